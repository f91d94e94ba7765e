"""Charts of a report as inline SVG: curves, a fall below them, prices with fills. Colours are the page's classes.

Numbers in, text out; every text is escaped. What it does not do: choose what to show, thin it (`making`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import NamedTuple

from sofia_streams.model import NS_PER_DAY, NS_PER_HOUR, NS_PER_SECOND
from sofia_streams.ops.report.records import Chart, Mark

Points = Sequence[tuple[int, float]]
WIDTH = 1000
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 12, 10, 24
_TICKS, _COLOURS = 8, 5
_SIZES = ((200, 5.0), (600, 3.5))
"""Of marks, by how many there are: more must not hide the price."""
_STEPS_NS = (
    *(NS_PER_HOUR * hours for hours in (1, 2, 4, 6, 12)),
    *(NS_PER_DAY * days for days in (1, 2, 4, 7, 14, 30, 60, 91, 182, 365)),
)


class Frame(NamedTuple):
    """The area of a chart: time from left to right, values upwards, and its height in units of a WIDTH of 1,000."""

    from_ns: int
    until_ns: int
    low: float
    high: float
    height: int

    def x(self, at_ns: int) -> float:
        """Units from the left."""
        return _LEFT + (at_ns - self.from_ns) / (self.until_ns - self.from_ns) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Units from the top."""
        return _TOP + (self.high - value) / (self.high - self.low) * (self.height - _TOP - _BOTTOM)


def frame(lines: Iterable[Points], height: int, *, span: tuple[int, int], low: float | None = None) -> Frame:
    """One that holds these lines with a little room, over `span` (from, until; ns); `low` None: the lowest value's."""
    values = [value for points in lines for _, value in points] or [0.0]
    bottom, top = (min(values) if low is None else low), max(values)
    room = (top - bottom or abs(top) or 1.0) * 0.06
    return Frame(span[0], max(span[1], span[0] + 1), bottom - room, top + room, height)


def curves(lines: Sequence[tuple[str, Points]], *, height: int, span: tuple[int, int], label: str) -> str:
    """Lines by name, the first one in front; names are in the legend. `label` says what the chart shows."""
    area = frame([points for _, points in lines], height, span=span)
    drawn = [
        f'<path class="line c{at % _COLOURS}" d="{_path(area, points)}"><title>{escape(name)}</title></path>'
        for at, (name, points) in reversed([*enumerate(lines)])
    ]
    legend = [
        f'<span class="key"><i class="c{at % _COLOURS}"></i>{escape(name)}</span>' for at, (name, _) in enumerate(lines)
    ] if len(lines) > 1 else []  # fmt: skip
    return f'<div class="legend">{"".join(legend)}</div>' + _svg(area, label, drawn, _number)


def fall(points: Points, *, height: int, span: tuple[int, int], label: str) -> str:
    """What lies between 0 and a line at or below 0, filled; the axis is in per cent."""
    lowest = min((value for _, value in points), default=0.0) or -0.01
    area = Frame(span[0], max(span[1], span[0] + 1), lowest * 1.1, 0.0, height)
    if not points:
        return _svg(area, label, [], _percent)
    base = f"{area.y(0.0):.1f}"
    shape = f"{_path(area, points)}V{base}H{area.x(points[0][0]):.1f}Z"
    return _svg(area, label, [f'<path class="fall" d="{shape}"/>'], _percent)


def prices(chart: Chart, *, height: int, span: tuple[int, int], label: str) -> str:
    """Closes with fills: a triangle upwards below its price is a buy, downwards above it a sell."""
    paid = [(one.at_ns, float(one.price)) for one in chart.marks]
    area = frame([chart.points, paid], height, span=span)
    drawn = [f'<path class="line price" d="{_path(area, chart.points)}"/>'] if chart.points else []
    size = next((size for most, size in _SIZES if len(chart.marks) <= most), 2.4)
    return _svg(area, label, [*drawn, *(_mark(area, one, size) for one in chart.marks)], _number)


def _mark(area: Frame, one: Mark, size: float) -> str:
    x, y = area.x(one.at_ns), area.y(float(one.price))
    down = size if one.side == "buy" else -size
    said = [f"{one.side} {one.quantity:f} at {one.price:f}", moment(one.at_ns), f"fee {one.fee_quote:f}"]
    said += [f"realised {one.realised_quote:+f} before fees"] if one.realised_quote else []
    said += [one.purpose.replace("_", " ")] if one.purpose else []
    shape = f"M{x:.1f} {y:.1f}l{size:g} {down * 1.8:g}h{-2 * size:g}z"
    return f'<path class="{one.side}" d="{shape}"><title>{escape(chr(10).join(said))}</title></path>'


def _path(area: Frame, points: Points) -> str:
    pairs = (f"{area.x(at_ns):.1f} {area.y(value):.1f}" for at_ns, value in points)
    return "M" + "L".join(pairs) if points else "M0 0"


def _svg(area: Frame, label: str, drawn: Sequence[str], shown: _Shown) -> str:
    foot = area.height - _BOTTOM
    parts = [f'<svg viewBox="0 0 {WIDTH} {area.height}" role="img" aria-label="{escape(label)}">']
    step = nice_step(area.high - area.low, max(3, area.height // 50))
    for number in range(math.ceil(area.low / step - 1e-9), math.floor(area.high / step + 1e-9) + 1):
        y = area.y(number * step)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(f'<text class="left" x="{_LEFT - 6}" y="{y + 4:.1f}">{escape(shown(number * step, step))}</text>')
    for at_ns, text in times(area.from_ns, area.until_ns):
        x = area.x(at_ns)
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{foot}"/>')
        parts.append(f'<text class="below" x="{x:.1f}" y="{area.height - 7}">{text}</text>')
    return "".join([*parts, *drawn, "</svg>"])


class _Shown:
    """How a tick is written: the value and the step between ticks give the digits."""

    def __init__(self, scale: float, unit: str) -> None:
        self._scale, self._unit = scale, unit

    def __call__(self, value: float, step: float) -> str:
        digits = min(8, max(0, -math.floor(math.log10(step * self._scale) + 1e-9)))
        return f"{value * self._scale + 0.0:,.{digits}f}{self._unit}"


_number, _percent = _Shown(1.0, ""), _Shown(100.0, " %")


def nice_step(span: float, most: int) -> float:
    """1, 2 or 5 times a power of ten, so that at most about `most` of them fit into `span` (above 0)."""
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    return next((size * power for size in (1, 2, 5) if size * power >= rough), 10 * power)


def times(from_ns: int, until_ns: int) -> list[tuple[int, str]]:
    """Moments on the grid of hours or UTC days, and how they are written: days, with the hour where days are few."""
    span = until_ns - from_ns
    step = next((one for one in _STEPS_NS if span / one <= _TICKS), _STEPS_NS[-1])
    shape = "%d %b %H:%M" if step < NS_PER_DAY else "%d %b" if span < 300 * NS_PER_DAY else "%d %b %Y"
    first = -(-from_ns // step) * step
    edge = span * 0.04
    return [
        (at_ns, f"{datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC):{shape}}")
        for at_ns in range(first, until_ns + 1, step)
        if from_ns + edge / 4 <= at_ns <= until_ns - edge
    ]


def moment(at_ns: int) -> str:
    """To the second, UTC."""
    return f"{datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC):%Y-%m-%d %H:%M:%S}"

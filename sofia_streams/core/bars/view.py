"""What the `ohlcv` table holds, as people want to read it: per instrument its open seconds and last closed bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sofia_streams.core.bars.ohlcv import bar_of
from sofia_streams.core.bars.windows import SIZES_NS, Feed, Joint, Row, Window, instrument_key
from sofia_streams.model import NS_PER_SECOND, Bar, Market


def instruments(rows: Mapping[str, Row]) -> list[dict[str, Any]]:
    """Every instrument with its open seconds and its last closed bar of each size."""
    closed = _closed(rows)
    return [_one(key, row, closed.get(key, {}), 1) for key, row in sorted(rows.items()) if _is_instrument(row)]


def instrument(rows: Mapping[str, Row], key: str) -> dict[str, Any] | None:
    """One of them, with all closed bars that are kept; None where there is none."""
    row = rows.get(key)
    if row is None or not _is_instrument(row):
        return None
    return _one(key, row, _closed(rows).get(key, {}), None)


def _is_instrument(row: Row) -> bool:
    return isinstance(row, Feed | Joint)


def _closed(rows: Mapping[str, Row]) -> dict[str, dict[str, list[Bar]]]:
    found: dict[str, dict[str, list[Bar]]] = {}
    for key, row in rows.items():
        if isinstance(row, Window):
            venue, market, symbol, size, start_ns = key.split("|")
            bar = _bar(venue, market, symbol, SIZES_NS[size], int(start_ns), row)
            found.setdefault(instrument_key(venue, _market(market), symbol), {}).setdefault(size, []).append(bar)
    return found


def _one(key: str, row: Row, closed: Mapping[str, Iterable[Bar]], last: int | None) -> dict[str, Any]:
    venue, market, symbol = key.split("|")
    seen: dict[str, Any] = {"instrument": key}
    if isinstance(row, Feed):
        seen |= {"newest_ns": row.newest_ns, "closed_ns": row.closed_ns, "trades": row.trades, "late": row.late}
        seen["open"] = [_bar(venue, market, symbol, NS_PER_SECOND, at, found) for at, found in sorted(row.open.items())]
    elif isinstance(row, Joint):
        seen |= {"closed_ns": row.closed_ns, "waits_for": row.waits_for}
    for size, bars in sorted(closed.items()):
        ordered = sorted(bars, key=lambda bar: bar.start_ns)
        seen[f"bars_{size}"] = ordered if last is None else ordered[-last:]
    return seen


def _bar(venue: str, market: str, symbol: str, size_ns: int, start_ns: int, window: Window) -> Bar:
    return bar_of(
        window.sums,
        venue=venue,
        market=_market(market),
        symbol=symbol,
        size_ns=size_ns,
        start_ns=start_ns,
        revision=window.revision,
        mark=window.mark,
    )


def _market(text: str) -> Market:
    markets: dict[str, Market] = {"spot": "spot", "linear": "linear", "inverse": "inverse"}
    return markets[text]

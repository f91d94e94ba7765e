"""Bars from outside as the windows that features are computed from: every one checked, in order, quiet ones filled in.

What it does not do: read files or stores (`parquet`, `klines`, `stored`), compute features (`dataset`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from types import MappingProxyType
from typing import NamedTuple

from sofia_streams.core.features.book import flat
from sofia_streams.core.scoring.labels import Prices
from sofia_streams.errors import ConfigError
from sofia_streams.model import NS_PER_SECOND
from sofia_streams.scored import Candle, Value
from sofia_streams.training.dataset import Seen, Written

_PRICE_MAX = 1e15
_START_MAX_NS = 2**63 - 1


class Bars(NamedTuple):
    """Windows to train on; `name` says where they are from, for people. Each symbol's ascend."""

    seen: Sequence[Seen]
    name: str
    is_synthetic: bool = False


class Row(NamedTuple):
    """One bar as it was read; `where` it stands, for errors. Without prices it is a quiet one."""

    where: str
    symbol: str
    start_ns: int
    prices: Prices | None
    volume: float
    quote_volume: Value = None
    buy_volume: Value = None
    trade_count: int | None = None
    is_complete: bool = True
    venues: Mapping[str, float] = MappingProxyType({})
    written: Sequence[Written] = ()
    """What was known live behind it."""


def number(text: object, where: str, name: str) -> Value:
    """A number or its text; None for nothing. Raises ConfigError."""
    if text is None or text == "":
        return None
    try:
        return float(str(text).replace("_", "no digit"))  # Python alone reads 1_0 as 10
    except ValueError:
        raise wrong(where, f"a number as {name}", repr(text)[:60]) from None


def wrong(where: str, expected: str, found: str) -> ConfigError:
    """What is said of a bar that cannot be."""
    return ConfigError(
        f"bars: {where}: expected {expected}, found {found}. Nothing was done; correct the data, or leave the "
        "file out."
    )


def by_time(row: Row) -> tuple[str, int, bool]:
    """Order of rows; of two of one window, the one that says what was known live goes first."""
    return row.symbol, row.start_ns, not row.written


def windows(rows: Iterable[Row], size_ns: int, *, data: str) -> list[Seen]:
    """Checked, by symbol and time; a bar that is there twice counts once. Rows of each symbol must ascend (`by_time`).

    Raises ConfigError: none at all, bars of another size, a bar that cannot be, two different ones of one window.
    """
    symbols: dict[str, _Symbol] = {}
    steps: Counter[int] = Counter()
    count = 0
    for row in rows:
        count += 1
        if not 0 <= row.start_ns <= _START_MAX_NS or row.start_ns % size_ns:
            raise wrong(row.where, f"a start in ns since 1970 that is a multiple of {size_ns}", f"{row.start_ns}")
        symbol = symbols.get(row.symbol) or symbols.setdefault(row.symbol, _Symbol())
        if (step := symbol.take(row)) > 0:
            steps[step] += 1
    if not count:
        raise ConfigError(f"bars: expected bars in {data}, found none. `sofia train --help` says what is read.")
    if steps and (usual := steps.most_common(1)[0][0]) > size_ns * 2:
        raise ConfigError(
            f"bars: expected bars {size_ns / NS_PER_SECOND:g} s apart in {data}, found most of them "
            f"{usual / NS_PER_SECOND:g} s apart. Give --size, or other data."
        )
    found = [one for name in sorted(symbols) for one in symbols[name].seen]
    if not found:
        raise ConfigError(
            f"bars: expected bars with prices in {data}, found {count} without. Correct the data, or give other."
        )
    return found


class _Symbol:
    """Rows of one symbol as they come; `seen`: its windows so far."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._before: Row | None = None

    def take(self, row: Row) -> int:
        """How far it is from the row before, ns; 0 for the first, and for the same again."""
        before = self._before
        if before is not None and row.start_ns == before.start_ns:
            if row[3:-1] != before[3:-1]:
                raise wrong(row.where, f"one bar of {row.symbol} that starts at {row.start_ns} ns", "two that differ")
            return 0
        self._before = row
        candle = _candle(row, self.seen[-1].candle.close if self.seen else None)
        if candle is not None:
            self.seen.append(Seen(row.symbol, row.start_ns, candle, row.written))
        return 0 if before is None else row.start_ns - before.start_ns


def _candle(row: Row, close: float | None) -> Candle | None:
    """None for a quiet bar before the first price. `close` is that of the bar before."""
    if row.prices is None:
        return None if close is None else flat(close, is_complete=row.is_complete, quantity=0.0)
    first, high, low, last = row.prices
    if not all(isfinite(price) and 0.0 < price < _PRICE_MAX for price in row.prices):
        raise wrong(row.where, "prices above zero", f"{row.prices}")
    if not low <= min(first, last) <= max(first, last) <= high:
        raise wrong(row.where, "open and close from low to high", f"open, high, low, close {row.prices}")
    if not all(isfinite(close) and close > 0.0 for close in row.venues.values()):
        raise wrong(row.where, "closes of venues above zero", f"{dict(row.venues)}"[:200])
    amounts = [one for one in (row.volume, row.quote_volume, row.buy_volume, row.trade_count) if one is not None]
    if not all(isfinite(one) and one >= 0 for one in amounts):
        raise wrong(row.where, "quantities from zero", f"{amounts}")
    if row.buy_volume is not None and row.buy_volume > row.volume * (1.0 + 1e-9):
        raise wrong(row.where, f"a taker buy volume of at most the volume, {row.volume}", f"{row.buy_volume}")
    return Candle(
        first, high, low, last, row.volume, row.quote_volume, row.buy_volume, row.trade_count, row.is_complete,
        dict(row.venues),
    )  # fmt: skip

"""Bars of a file or a store as the windows of a backtest: all symbols of one moment together, ascending.

Prices and volumes are the decimals that were read: a float64 of up to 15 digits keeps them, and its shortest text gives
them back. What it does not do: read files or stores (`training.sources`), score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from math import isnan
from operator import attrgetter
from typing import NamedTuple

from sofia_streams.core.features.sets import FeatureSet
from sofia_streams.core.oms.engine import BarSeen
from sofia_streams.core.signals.rolling import Closed
from sofia_streams.errors import ConfigError, UnknownSymbol
from sofia_streams.ingest.names import Names
from sofia_streams.model import Market
from sofia_streams.scored import FeatureValues
from sofia_streams.settings import Settings
from sofia_streams.training.dataset import Seen, Written

_LISTED_LIKE = "binance"
"""Names without a separator, as files of klines have them, are split by this venue's rule."""
_SYMBOL, _START = attrgetter("symbol"), attrgetter("start_ns")


class Item(NamedTuple):
    """One symbol's bar of a window. `bar` is None where trades of it are missing: nothing is filled on such a bar.

    `close` is that of the last trade in it; None where there was none.
    """

    closed: Closed
    bar: BarSeen | None
    close: Decimal | None


class Window(NamedTuple):
    """What closed at one moment, by symbol; ends at `end_ns`, outside."""

    end_ns: int
    items: list[Item]


def windows(
    seen: Sequence[Seen], sets: Sequence[FeatureSet], *, venue: str, market: Market, until_ns: int | None = None
) -> Iterator[Window]:
    """Every window that ends by `until_ns`; orders are taken to `venue`. Memory: a reference a bar."""
    size_ns, schemas = sets[0].size_ns, {one.schema: one.name for one in sets}
    ordered = sorted(sorted(seen, key=_SYMBOL), key=_START)  # quick where symbols stand one behind the other
    for start_ns, some in groupby(ordered, key=_START):
        if until_ns is not None and start_ns + size_ns > until_ns:
            return
        yield Window(start_ns + size_ns, [_item(one, schemas, venue, market, size_ns) for one in some])


def _item(one: Seen, schemas: Mapping[str, str], venue: str, market: Market, size_ns: int) -> Item:
    known = _known(one.written, schemas) if one.written else None
    candle, close = one.candle, Decimal(repr(one.candle.close))
    bar = None
    if candle.is_complete:
        bar = BarSeen(
            venue, market, one.symbol, one.start_ns, size_ns, Decimal(repr(candle.open)), Decimal(repr(candle.high)),
            Decimal(repr(candle.low)), close, Decimal(repr(candle.volume)),
        )  # fmt: skip
    return Item(Closed(market, one.symbol, one.start_ns, candle, known), bar, None if candle.is_quiet else close)


def _known(written: Sequence[Written], schemas: Mapping[str, str]) -> dict[str, FeatureValues] | None:
    """What was known live, where all of these sets were; None: features are computed."""
    found = {schemas[one.schema]: _values(one) for one in written if one.schema in schemas}
    return found if len(found) == len(schemas) else None


def _values(one: Written) -> FeatureValues:
    values = [None if isnan(value) else value for value in one.values]
    return FeatureValues(one.schema, values, None not in values)


def with_pairs(seen: Sequence[Seen], settings: Settings) -> Sequence[Seen]:
    """The same with unified symbols: files of klines are named BTCUSDT, what is traded is BTC/USDT.

    Raises ConfigError for a name that is no pair, or two that are the same one.
    """
    names, found = Names(settings.listings()), dict[str, str]()
    for symbol in dict.fromkeys(one.symbol for one in seen):
        found[symbol] = symbol if "/" in symbol else _pair(names, symbol, settings.crypto_market)
    twice = [pair for pair, count in Counter(found.values()).items() if count > 1]
    if twice:
        raise ConfigError(f"backtest: expected each pair once, found {twice[0]} under two names. Leave one out.")
    if all(old == new for old, new in found.items()):
        return seen
    return [one._replace(symbol=found[one.symbol]) for one in seen]


def _pair(names: Names, symbol: str, market: Market) -> str:
    try:
        return names.unified(_LISTED_LIKE, market, symbol)
    except UnknownSymbol as error:
        raise ConfigError(
            f"backtest: expected bars of pairs, such as BTC/USDT or a file named BTCUSDT-1m.csv, found {symbol!r}: "
            f"{error}"
        ) from error

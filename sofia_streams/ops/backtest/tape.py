"""Stored trades and quotes as the records that ingest made of them, in order, with how far each instrument is.

A hole is not seen here: what is not stored was not traded. What it does not do: read rows (`stored`), fold records.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple, cast

import msgspec

from sofia_streams import codec
from sofia_streams.errors import ConfigError
from sofia_streams.model import (
    NS_PER_MINUTE,
    NS_PER_SECOND,
    PUNCTUATION_LAG_NS,
    Market,
    Punctuation,
    Ticker,
    Trade,
    TradeBatch,
)
from sofia_streams.ops.backtest.stored import Name, Row, Source
from sofia_streams.stores.base import TICKER_VALUES

Made = TradeBatch | Ticker
Record = Made | Punctuation
_LINE, _DIGITS_MAX = "stored", 18
_AROUND_NS = NS_PER_MINUTE
"""Quotes have our clock and trades the venue's: those of a minute around the trades are read too."""
_OVER_NS = 2 * NS_PER_MINUTE
"""So long after the last record everything is over: every window closes."""


class Tape(NamedTuple):
    """What a source has of a stretch; `instruments` with whether each is quoted."""

    source: Source
    from_ns: int
    until_ns: int
    instruments: Mapping[Name, bool]

    def names(self) -> tuple[str, ...]:
        """As a replay sets PAPER_INSTRUMENTS."""
        return tuple("|".join([*name, *(["tickers"] if quoted else [])]) for name, quoted in self.instruments.items())

    def records(self) -> Iterator[Record]:
        """Trades at their exchange time, quotes at their receipt; each second says how far all are."""
        printed = self.source.rows("trades", self.from_ns, self.until_ns)
        quoted = self.source.rows("tickers", self.from_ns - _AROUND_NS, self.until_ns + _AROUND_NS)
        trades = ((row["exchange_ns"], "trades", row) for row in printed)
        quotes = ((row["received_ns"], "tickers", row) for row in quoted)
        made, last_ns = _Made(), self.from_ns
        for second, found in groupby(heapq.merge(trades, quotes, key=_time), key=lambda one: one[0] // NS_PER_SECOND):
            yield from self._passed(second * NS_PER_SECOND)
            for at_ns, table, row in found:
                last_ns = max(last_ns, at_ns, row["received_ns"])
                yield _checked(made.trade if table == "trades" else made.quote, row, self.source.name)
        yield from self._passed(last_ns + _OVER_NS)

    def _passed(self, until_ns: int) -> Iterator[Record]:
        """Everything before this has come."""
        for (venue, market, symbol), is_quoted in self.instruments.items():
            named = venue, cast(Market, market), symbol
            yield Punctuation(*named, until_ns, _LINE, until_ns - 1)
            if is_quoted:
                yield Ticker(*named, until_ns - 1 + PUNCTUATION_LAG_NS, state="dead")


class _Made:
    """Records of rows, one after the other."""

    def __init__(self) -> None:
        self._count = 0
        self._quoted: dict[Name, tuple[int, dict[str, Decimal | None]]] = {}

    def trade(self, row: Row) -> TradeBatch:
        """Where the venue's ids are no numbers, trades of one moment are in the order in which they are stored."""
        self._count += 1
        name = row["trade_id"]
        order = int(name) if name.isdecimal() and len(name) <= _DIGITS_MAX else self._count
        trade = Trade(
            name, _exact(row["price"]), _exact(row["quantity"]), row["taker_side"], row["exchange_ns"], order,
            row["id_kind"], row["snapshot"], row["stale"], row.get("id_count") or 1, bool(row.get("backfilled")),
        )  # fmt: skip
        return TradeBatch(row["venue"], row["market"], row["symbol"], row["received_ns"], _LINE, [trade])

    def quote(self, row: Row) -> Ticker:
        """Ingest says a quote again each second while nothing comes, whether its feed is alive or not: one that is the
        same as a second before only says the time.
        """
        name, received_ns = (row["venue"], row["market"], row["symbol"]), row["received_ns"]
        values = {one: None if row[one] is None else _exact(row[one]) for one in TICKER_VALUES}
        before_ns, before = self._quoted.get(name, (received_ns, None))
        is_again = before == values and received_ns - before_ns >= NS_PER_SECOND
        self._quoted[name] = received_ns, values
        ticker = Ticker(*name, received_ns, row["exchange_ns"], state="dead" if is_again else "said")
        return msgspec.structs.replace(ticker, **values)


def _exact(value: object) -> Decimal:
    """A number as text, or as a decimal; a float64 has lost digits."""
    if not isinstance(value, str | Decimal):
        raise TypeError(f"expected a number as text, found {value!r}")
    return Decimal(value)


def _checked(make: Callable[[Row], Made], row: Row, place: str) -> Made:
    """As records of the log are. Raises ConfigError for a row that cannot be."""
    try:
        record = make(row)
        if isinstance(record, TradeBatch):
            codec.decode_trades(codec.encode(record))
        else:
            codec.decode_ticker(codec.encode(record))
        return record
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        shown = {name: row.get(name) for name in ("venue", "symbol", "trade_id", "received_ns", "price", "bid", "ask")}
        raise ConfigError(f"--trades: {place}: expected a trade or quote, found {shown} ({error!r}).") from error


def _time(one: tuple[int, str, Row]) -> int:
    return one[0]


def tape_of(source: Source, from_ns: int | None, until_ns: int | None) -> Tape:
    """What lies between two times (None: all). Raises ConfigError where nothing does."""
    first_ns, last_ns = source.span_ns()
    begin_ns, end_ns = max(first_ns, from_ns or 0), min(last_ns + 1, until_ns or last_ns + 1)
    if begin_ns >= end_ns:
        raise ConfigError(
            f"--trades: expected trades between --from and --to, found those from {first_ns} to {last_ns} ns."
        )
    quoted = source.instruments("tickers")
    return Tape(source, begin_ns, end_ns, {one: one in quoted for one in sorted(source.instruments("trades"))})

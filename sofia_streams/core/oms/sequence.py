"""Log records as inputs of a merge: whose they are, at which event time, and how far their input has come by them.

    signals|market|symbol         at the bar's end; the next is a bar later. `Silence` says that none is to come
    tickers|venue|market|symbol   at receipt; ingest repeats the last one each second
    trades|venue|market|symbol    each trade at its exchange time, ten seconds ahead of its receipt at most; gaps
                                  where they stand, punctuation in between
    control                       rare: at once

A feed that ingest calls dead, or is silent for five seconds of ingest's clock, holds nobody. What it does not do: read
the log, decide what a record does (`steps`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sofia_streams.core.oms.rules import Instrument
from sofia_streams.model import NS_PER_SECOND, PUNCTUATION_LAG_NS, Gap, Market, Punctuation, Ticker, Trade, TradeBatch
from sofia_streams.paper import Command
from sofia_streams.scored import Signal, Silence

CONTROL = "control"
_SILENT_NS = 5 * NS_PER_SECOND
_AHEAD_NS = 10 * NS_PER_SECOND
"""A print is at most so far ahead of its receipt, which is more than clocks differ: one that says more would hide all
that follow it for as long.
"""
_PARTS = 2**20
"""Trades in one record, at most; a record of a megabyte holds fewer."""


class Printed(NamedTuple):
    """A trade of an instrument."""

    venue: str
    market: Market
    symbol: str
    trade: Trade


Event = Printed | Ticker | Gap | Signal | Command
Record = TradeBatch | Punctuation | Gap | Ticker | Signal | Silence | Command


class Arrival(NamedTuple):
    """What a merge takes (`Merge.take`)."""

    input: str
    serial: int
    event: Event | None
    at_ns: int = 0
    passed_ns: int | None = None


def inputs_of(instruments: list[Instrument]) -> list[str]:
    """The names of the inputs that these instruments have."""
    found = {f"signals|{one.market}|{one.symbol}": None for one in instruments}
    for one in instruments:
        found[f"trades|{one.venue}|{one.market}|{one.symbol}"] = None
        if one.has_tickers:
            found[f"tickers|{one.venue}|{one.market}|{one.symbol}"] = None
    return [*found]


def input_of(record: Record) -> str:
    """The name of the input that a record belongs to."""
    if isinstance(record, Command):
        return CONTROL
    if isinstance(record, Signal | Silence):
        return f"signals|{record.market}|{record.symbol}"
    topic = "tickers" if isinstance(record, Ticker) else "trades"
    return f"{topic}|{record.venue}|{record.market}|{record.symbol}"


def serial_of(offset: int, part: int = 0) -> int:
    """Where a part of the record at `offset` stands in its input."""
    return offset * _PARTS + part


def arrivals(record: Record, offset: int) -> Iterator[Arrival]:
    """What one log record brings, in order; the last has the record's last serial."""
    name = input_of(record)
    if isinstance(record, TradeBatch):
        yield from _trades(name, record, offset)
    elif isinstance(record, Punctuation):
        quiet_ns = PUNCTUATION_LAG_NS if not record.alive else _SILENT_NS
        passed_ns = record.received_ns - quiet_ns
        if record.alive:
            passed_ns = max(passed_ns, record.exchange_ns)
        yield Arrival(name, serial_of(offset), None, passed_ns=passed_ns)
    elif isinstance(record, Silence):
        yield Arrival(name, serial_of(offset), None, passed_ns=record.until_ns)
    elif isinstance(record, Signal):
        yield Arrival(name, serial_of(offset), record, record.end_ns, record.end_ns + record.size_ns - 1)
    elif isinstance(record, Ticker) and record.state == "dead":
        yield Arrival(name, serial_of(offset), None, passed_ns=record.received_ns - PUNCTUATION_LAG_NS)
    elif isinstance(record, Ticker):
        yield Arrival(name, serial_of(offset), record, record.received_ns)
    else:
        yield Arrival(name, serial_of(offset), record)


def _trades(name: str, batch: TradeBatch, offset: int) -> Iterator[Arrival]:
    """Each that is evidence; where none is, the record alone."""
    part = 0
    for trade in batch.trades:
        if not (trade.snapshot or trade.backfilled or trade.stale):
            event = Printed(batch.venue, batch.market, batch.symbol, trade)
            at_ns = min(trade.exchange_ns, batch.received_ns + _AHEAD_NS)
            yield Arrival(name, serial_of(offset, part), event, at_ns)
            part += 1
    yield Arrival(name, serial_of(offset, part), None)

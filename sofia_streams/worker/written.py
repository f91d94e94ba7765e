"""What of the log is written into the tables: topics, how their records are read, what each writes. Does no I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sofia_streams import codec, topics
from sofia_streams.logread import DECODE
from sofia_streams.model import Bar, Gap, Punctuation, Ticker, TradeBatch
from sofia_streams.paper import Account
from sofia_streams.scored import Signal
from sofia_streams.stores.base import Record


def of_trades(record: TradeBatch | Punctuation | Gap, offset: int) -> list[Record]:
    """What a record of `trades` writes: punctuation nothing, and a gap is written from `gaps`."""
    return [record] if isinstance(record, TradeBatch) else []


def of_bars(record: codec.InBars, offset: int) -> list[Record]:
    """What a record of `bars` writes: history, model swaps and silence nothing."""
    return [record] if isinstance(record, Bar) else []


def of_tickers(ticker: Ticker, offset: int) -> list[Record]:
    """What a ticker writes: one that is said again nothing."""
    return [ticker] if ticker.state == "said" else []


def of_signals(record: codec.InSignals, offset: int) -> list[Record]:
    """What a record of `signals` writes: silence nothing."""
    return [record] if isinstance(record, Signal) else []


def of_account(record: codec.InAccount, offset: int) -> list[Record]:
    """What a record of `account` writes: decisions on order and snapshots nothing."""
    return [record] if isinstance(record, Account) else []


def of_others(record: Record, offset: int) -> list[Record]:
    """What a record of any other topic writes."""
    return [record]


_WRITES: dict[topics.Topic, Callable[[Any, int], list[Record]]] = {
    topics.TRADES: of_trades,
    topics.BARS: of_bars,
    topics.TICKERS: of_tickers,
    topics.GAPS: of_others,
    topics.FEATURES: of_others,
    topics.PREDICTIONS: of_others,
    topics.SIGNALS: of_signals,
    topics.MODEL_QUALITY: of_others,
    topics.ORDERS: of_others,
    topics.FILLS: of_others,
    topics.ACCOUNT: of_account,
}
READS = {topic: (DECODE[topic], prepare) for topic, prepare in _WRITES.items()}
"""How a topic's records are read, and what each of them writes."""
TABLES_OF = {
    topics.TRADES: ("trades",),
    topics.BARS: ("bars_1s", "bars_1m"),
    topics.TICKERS: ("tickers",),
    topics.GAPS: ("gaps",),
    topics.FEATURES: ("features_1s", "features_1m"),
    topics.PREDICTIONS: ("predictions",),
    topics.SIGNALS: ("signals",),
    topics.MODEL_QUALITY: ("model_quality",),
    topics.ORDERS: ("orders",),
    topics.FILLS: ("fills",),
    topics.ACCOUNT: ("account",),
}
REPLACED = (topics.BARS, topics.GAPS, topics.ORDERS)
"""Topics whose later records replace the rows of earlier ones."""

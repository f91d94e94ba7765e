"""What records become in Redis: the fields of stream entries, packed as the wire has them. Sends nothing.

What is the same in a record is packed once, for packing is what publishing costs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

import msgspec

from sofia_streams.model import NS_PER_SECOND, Bar, Gap, Ticker, Trade, TradeBatch
from sofia_streams.paper import Account, Fill
from sofia_streams.scored import Prediction, Signal
from sofia_streams.stores.paper_rows import positions_text

_TRADE_FIELDS = 13


class Entry(NamedTuple):
    """One stream entry: where it goes, the log record it is of, which of its trades (from 1), and its packed fields.

    Field values are texts; numbers are plain decimals, times ns; scores as Python writes a float, every bit of it.
    """

    stream: str
    offset: int
    nth: int
    pairs: int
    fields: str


def packed(text: str) -> str:
    """A word as the wire has it."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return f"${size}\r\n{text}\r\n"


def packed_pairs(pairs: Mapping[str, str]) -> str:
    """Names and values in turn, as the wire has them."""
    return "".join(packed(name) + packed(value) for name, value in pairs.items())


_ENDS = {
    (side, kind, snapshot, stale): packed_pairs(
        {"taker_side": side, "id_kind": kind, "snapshot": str(snapshot).lower(), "stale": str(stale).lower()}
    )
    for side in ("buy", "sell")
    for kind in ("trade", "agg")
    for snapshot in (False, True)
    for stale in (False, True)
}
"""The fields that have few values."""


def trade_entries(batch: TradeBatch, trades: Iterable[tuple[int, Trade]], offset: int, prefix: str) -> list[Entry]:
    """One entry a trade; `trades` come with their index in the record, from 0."""
    stream = f"{prefix}trades:{batch.symbol}"
    same = packed_pairs(
        {"venue": batch.venue, "market": batch.market, "symbol": batch.symbol, "received_ns": str(batch.received_ns)}
    )
    return [Entry(stream, offset, index + 1, _TRADE_FIELDS, same + _trade_fields(trade)) for index, trade in trades]


def _trade_fields(trade: Trade) -> str:
    price, quantity = _plain(trade.price), _plain(trade.quantity)
    exchange_ns, order = str(trade.exchange_ns), str(trade.order)
    return (
        f"$8\r\ntrade_id\r\n{packed(trade.trade_id)}"
        f"$5\r\nprice\r\n${len(price)}\r\n{price}\r\n$8\r\nquantity\r\n${len(quantity)}\r\n{quantity}\r\n"
        f"$11\r\nexchange_ns\r\n${len(exchange_ns)}\r\n{exchange_ns}\r\n$5\r\norder\r\n${len(order)}\r\n{order}\r\n"
        f"{_ENDS[trade.taker_side, trade.id_kind, trade.snapshot, trade.stale]}"
    )


def entry_of(record: object, offset: int, prefix: str) -> Entry | None:
    """The one entry of a bar, ticker, prediction, signal, fill or account; None for any other record, and for a ticker
    that is said again.
    """
    if isinstance(record, Bar):
        return bar_entry(record, offset, prefix)
    if isinstance(record, Ticker):
        return ticker_entry(record, offset, prefix) if record.state == "said" else None
    if isinstance(record, Prediction):
        return prediction_entry(record, offset, prefix)
    if isinstance(record, Fill):
        return execution_entry(record, offset, prefix)
    if isinstance(record, Account):
        return _entry(f"{prefix}account", record, offset)
    return signal_entry(record, offset, prefix) if isinstance(record, Signal) else None


def streams_of(topic: str) -> str:
    """What the names of the streams of a topic begin with, behind the prefix of the namespace."""
    return {"fills": "executions:", "account": "account"}.get(topic, f"{topic}:")


def bar_entry(bar: Bar, offset: int, prefix: str) -> Entry:
    """One revision of a bar."""
    return _entry(f"{prefix}bars:{bar.symbol}", bar, offset)


def gap_entry(gap: Gap, offset: int, prefix: str) -> Entry:
    """A gap as it is known now; a later entry with its `gap_id` replaces it."""
    return _entry(f"{prefix}gaps:{gap.symbol}", gap, offset)


def ticker_entry(ticker: Ticker, offset: int, prefix: str) -> Entry:
    """One ticker; what the venue did not say is left out."""
    return _entry(f"{prefix}tickers:{ticker.symbol}", ticker, offset, left_out=("state",))


def prediction_entry(prediction: Prediction, offset: int, prefix: str) -> Entry:
    """What a model says of one bar. The published seven are always there; "" where it abstains, which 0 is not."""
    shown = ("model_type", "raw_score", "calibrated_score", "prediction_class", "confidence")
    return _scored_entry(f"{prefix}predictions:{prediction.symbol}", prediction, shown, offset)


def signal_entry(signal: Signal, offset: int, prefix: str) -> Entry:
    """What to do behind one bar; `confidence` is "" where the model abstains."""
    return _scored_entry(f"{prefix}signals:{signal.symbol}", signal, ("action", "reason", "confidence"), offset)


def execution_entry(fill: Fill, offset: int, prefix: str) -> Entry:
    """A paper execution; the published eight are always there, `status` is the order's right behind it."""
    pairs = {
        "order_id": fill.order_id, "symbol": _as_venues_write(fill.symbol), "side": fill.side,
        "quantity": _plain(fill.quantity), "price": _plain(fill.price), "fees": _plain(fill.fee_quote),
        "status": fill.order_status, "timestamp": str(fill.at_ns / NS_PER_SECOND), "pair": fill.symbol,
    }  # fmt: skip
    return _with_the_rest(f"{prefix}executions:{fill.symbol}", fill, pairs, offset, {"fee_quote", "order_status"})


def _scored_entry(stream: str, record: Prediction | Signal, shown: tuple[str, ...], offset: int) -> Entry:
    """`symbol` as venues write it, what is `shown`, `timestamp` (end of the bar, s); then the rest of what is known."""
    pairs = {"symbol": _as_venues_write(record.symbol)}
    pairs |= {name: "" if (value := getattr(record, name)) is None else _text(value) for name in shown}
    pairs |= {"timestamp": str(record.end_ns / NS_PER_SECOND), "pair": record.symbol}
    return _with_the_rest(stream, record, pairs, offset)


def _with_the_rest(
    stream: str, record: msgspec.Struct, pairs: dict[str, str], offset: int, left_out: Collection[str] = ()
) -> Entry:
    for name in record.__struct_fields__:
        if name not in pairs and name not in left_out and (value := getattr(record, name)) is not None:
            pairs[name] = _text(value)
    return Entry(stream, offset, 1, len(pairs), packed_pairs(pairs))


def _as_venues_write(pair: str) -> str:
    """`BTCUSDT` of `BTC/USDT` and of `BTC/USDT:USDT`."""
    return pair.partition(":")[0].replace("/", "")


def _entry(stream: str, record: msgspec.Struct, offset: int, left_out: tuple[str, ...] = ()) -> Entry:
    names = (name for name in record.__struct_fields__ if name not in left_out)
    pairs = {name: _text(value) for name in names if (value := getattr(record, name)) is not None}
    return Entry(stream, offset, 1, len(pairs), packed_pairs(pairs))


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return _plain(value)
    if isinstance(value, list):
        return positions_text(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(value: Decimal) -> str:
    text = str(value)  # much quicker than format
    return format(value, "f") if "E" in text else text

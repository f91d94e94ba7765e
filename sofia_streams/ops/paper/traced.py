"""What a paper order or fill follows from, read back from the log: the trade, the quote, the signal. Judges nothing.

Every record is given with its topic, partition and offset; what retention has dropped is said, not guessed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sofia_streams import codec, topics
from sofia_streams.errors import BadRecord
from sofia_streams.model import NS_PER_MINUTE, TradeBatch
from sofia_streams.ops.paper.log_stretch import Dropped, LogView
from sofia_streams.ops.paper.parity_compare import Difference
from sofia_streams.paper import Fill, Order
from sofia_streams.scored import Signal
from sofia_streams.topics import place_of

_SAID_AGAIN_NS = NS_PER_MINUTE
"""A worker that was killed says its last records again: a bar's signal is looked for so far behind it."""


async def evidence(view: LogView, fill: Fill) -> dict[str, Any]:
    """The market record that a fill follows from. Raises KafkaError."""
    found: dict[str, Any] = {"evidence": fill.evidence, "place": fill.place, "record": None, "missing": ""}
    if not fill.place:
        return found | {"missing": "the fill names no place in a log"}
    message = await view.at(fill.place)
    if isinstance(message, Dropped):
        return found | {"missing": message.reason}
    try:
        return found | _shown(message, fill)
    except BadRecord as error:
        return found | {"missing": str(error)}


def _shown(message: Any, fill: Fill) -> dict[str, Any]:
    kind, _, name = fill.evidence.partition(" ")
    if topics.catalogue_name(message) == topics.TICKERS.name:
        return {"record": msgspec.to_builtins(codec.decode_ticker(message.value))}
    batch = codec.decode_trades(message.value)
    trades = batch.trades if isinstance(batch, TradeBatch) else []
    if kind != "trade":  # a quote around a trade, where the venue quotes none
        return {"record": msgspec.to_builtins(batch)}
    one = next((trade for trade in trades if trade.trade_id == name), None)
    if one is None:
        return {"missing": f"the record there has no trade {name}"}
    named = {"venue": batch.venue, "market": batch.market, "symbol": batch.symbol}
    values = {field: getattr(one, field) for field in one.__struct_fields__}
    return {"record": msgspec.to_builtins(named | values)}


async def signals_of(view: LogView, order: Order) -> list[tuple[Signal, str]]:
    """The signals of the bar that an order names, and their places: several where they were said again."""
    partition = partition_of(order.signal_place)
    end_ns, found = order.signal_start_ns + order.signal_size_ns, []
    async for message in view.since(topics.SIGNALS, end_ns, partition):
        try:
            record = codec.decode_signals(message.value)
        except BadRecord:
            continue
        if not isinstance(record, Signal) or (record.market, record.symbol) != (order.market, order.symbol):
            continue
        if record.end_ns > end_ns + max(_SAID_AGAIN_NS, order.signal_size_ns):
            break
        if (record.start_ns, record.size_ns) == (order.signal_start_ns, order.signal_size_ns):
            found.append((record, place_of(message)))
    return found


def partition_of(place: str) -> int | None:
    """The partition of "topic/partition/offset"; None of no place."""
    return int(place.split("/")[1]) if place.count("/") == 2 else None


async def traced(view: LogView, first: Difference, changed: list[str], versions: int) -> dict[str, Any]:
    """The first difference with what explains it, as far as the log says; `versions`: how often the log has another."""
    because, found = [], dict[str, Any]()
    if changed:
        because.append(f"settings were changed: {'; '.join(changed)}")
    if versions > 1:
        because.append(f"the log has this record in {versions} ways: it was written again, otherwise")
    record = first.record
    if isinstance(record, Fill):
        found["evidence"] = await evidence(view, record)
        if found["evidence"]["missing"]:
            because.append(f"its market record cannot be shown: {found['evidence']['missing']}")
    elif isinstance(record, Order) and record.signal_start_ns:
        signals = await signals_of(view, record)
        found["signals"] = [{"place": place, "record": msgspec.to_builtins(one)} for one, place in signals]
        because += _about(record, [one for one, _ in signals])
    return {"at_ns": first.at_ns, "follows_from": first.follows_from, "because": because, **found}


def _about(order: Order, signals: list[Signal]) -> list[str]:
    """What is wrong with an order's signal."""
    if not signals:
        return ["no signal of its bar stands in `signals`: retention has dropped it, or it never was there"]
    found = []
    if len({msgspec.json.encode(one) for one in signals}) > 1:
        found.append(f"`signals` has {len(signals)} records of its bar, which differ: the first one counts")
    models = {one.model_id for one in signals}
    if order.model_id not in models:
        found.append(f"the order names the model {order.model_id or 'none'}, its signal {', '.join(sorted(models))}")
    return found

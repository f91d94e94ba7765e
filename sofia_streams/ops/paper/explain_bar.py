"""What stands behind one scored bar: prediction, model, features by name, the bar, and the trades that it is made of.

By place and by time, from the log and the registry. What it does not do: score or fold anything again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import msgspec

from sofia_streams import codec, topics
from sofia_streams.core.features.sets import sets_of
from sofia_streams.errors import BadModel, BadRecord
from sofia_streams.logread import readable
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, Bar, TradeBatch
from sofia_streams.ops.paper.log_stretch import Dropped, LogView
from sofia_streams.ops.paper.traced import partition_of
from sofia_streams.paper import Order
from sofia_streams.scored import Activation, Features, Prediction
from sofia_streams.settings import Settings
from sofia_streams.topics import place_of
from sofia_streams.training.activation import said_of_models
from sofia_streams.training.registry import Registry

_LATE_NS = 5 * NS_PER_MINUTE
"""A bar's trades are looked for in what was received up to so long behind it."""


async def of_bar(settings: Settings, view: LogView, order: Order, missing: list[str]) -> dict[str, Any]:
    """Everything behind the bar that an order names; what is not there goes into `missing`. Raises KafkaError."""
    partition, found = partition_of(order.signal_place), dict[str, Any]()
    for topic, name in ((topics.PREDICTIONS, "prediction"), (topics.FEATURES, "features")):
        found[name] = await _scored(view, topic, order, partition)
        if found[name] is None:
            missing.append(f"the {name} of its bar: retention has dropped it, or it never was there")
    if found["features"] is not None:
        found["features"]["values"] = _named(found["features"]["record"], order.signal_size_ns)
    found["model"] = await _model(settings, order, missing)
    bar = await _bar(view, order.signal_place, missing)
    found["bar"] = None if bar is None else {"place": order.signal_place, "record": msgspec.to_builtins(bar)}
    found["trades"] = None if bar is None else await _trades(view, bar, partition, missing)
    return found


async def _scored(
    view: LogView, topic: topics.Topic, order: Order, partition: int | None
) -> dict[str, Any] | None:
    """The first record of the order's bar."""
    end_ns = order.signal_start_ns + order.signal_size_ns
    async with aclosing(view.since(topic, end_ns, partition)) as messages:
        async for message in messages:
            try:
                record = codec.decode_scored(message.value)
            except BadRecord:
                continue
            if not isinstance(record, Prediction | Features):
                continue
            if (record.market, record.symbol) != (order.market, order.symbol):
                continue
            if (record.start_ns, record.size_ns) == (order.signal_start_ns, order.signal_size_ns):
                return {"place": place_of(message), "record": msgspec.to_builtins(record)}
            if record.start_ns > end_ns + _LATE_NS:
                break
    return None


def _named(record: dict[str, Any], size_ns: int) -> dict[str, dict[str, float | None]]:
    """Values by name, by set; of a set that this version declares otherwise, by number."""
    declared = {one.name: one for one in sets_of(size_ns)}
    found: dict[str, dict[str, float | None]] = {}
    for name, one in record["sets"].items():
        known = declared.get(name)
        same = known is not None and known.schema == one["schema"]
        names = [feature.name for feature in known.features] if known is not None and same else []
        found[name] = dict(zip(names or map(str, range(len(one["values"]))), one["values"], strict=True))
    return found


async def _model(settings: Settings, order: Order, missing: list[str]) -> dict[str, Any] | None:
    """Its id and version, who put it in force, and what its card says."""
    if not order.model_id:
        return None
    end_ns = order.signal_start_ns + order.signal_size_ns
    said = [one for one in await said_of_models(settings) if isinstance(one, Activation)]
    begun = [one for one in said if one.model_id == order.model_id and one.from_ns <= end_ns]
    found: dict[str, Any] = {"model_id": order.model_id, "activation": None, "sha256": None, "card": None}
    if begun:
        found |= {"activation": msgspec.to_builtins(begun[-1]), "sha256": begun[-1].sha256}
    registry = Registry(settings.models_folder())
    try:
        stored = registry.load(order.model_id)
        found |= {"folder": str(stored.folder), "sha256_now": stored.sha256}
        card = registry.card(order.model_id)
        found["card"] = {"verdict": card.verdict, "data": card.data, "label": card.label,
                         "horizon_bars": card.horizon_bars, "is_synthetic": card.is_synthetic}  # fmt: skip
    except BadModel as error:
        missing.append(f"the model's card: {error}")
    return found


async def _bar(view: LogView, place: str, missing: list[str]) -> Bar | None:
    """The record of `bars` that was scored."""
    if partition_of(place) is None:
        missing.append("the bar: the order names no place in a log")
        return None
    message = await view.at(place)
    if isinstance(message, Dropped):
        missing.append(f"the bar at {place}: {message.reason}")
        return None
    record = codec.decode_bars(message.value)
    if not isinstance(record, Bar) or record.venue != CONSOLIDATED:
        missing.append(f"the bar: {place} holds another record, so it is another log")
        return None
    return record


async def _trades(view: LogView, bar: Bar, partition: int | None, missing: list[str]) -> dict[str, Any]:
    """The trades of the bar's window in the order of the log, until there are as many as the bar counted."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    quantity = Decimal(0)
    async with aclosing(_batches(view, bar, partition)) as batches:
        async for batch, place in batches:
            if len(found) >= bar.trade_count:
                break
            for one in batch.trades:
                name = batch.venue, one.trade_id
                is_inside = bar.start_ns <= one.exchange_ns < bar.start_ns + bar.size_ns
                if is_inside and not one.snapshot and name not in found:
                    quantity += one.quantity
                    found[name] = {
                        "venue": batch.venue, "trade_id": one.trade_id, "price": str(one.price),
                        "quantity": str(one.quantity), "exchange_ns": one.exchange_ns, "place": place,
                    }  # fmt: skip
    if quantity != bar.volume or len(found) != bar.trade_count:
        missing.append(
            f"trades of the bar: it counted {bar.trade_count} with {bar.volume}, the log shows {len(found)} with "
            f"{quantity}: retention has dropped some, or others came late"
        )
    return {"count": len(found), "quantity": str(quantity), "bar_volume": str(bar.volume), "trades": [*found.values()]}


async def _batches(view: LogView, bar: Bar, partition: int | None) -> AsyncGenerator[tuple[TradeBatch, str]]:
    """Records of the bar's symbol that may hold trades of it."""
    async with aclosing(view.since(topics.TRADES, bar.start_ns, partition)) as messages:
        async for message in messages:
            name = codec.name_in(message.value)
            if name is None or name[1:] != (bar.market, bar.symbol):  # most are others: not decoded
                continue
            record = readable(message.value)
            if record is not None and record.received_ns > bar.start_ns + bar.size_ns + _LATE_NS:
                return
            if isinstance(record, TradeBatch):
                yield record, place_of(message)

"""`sofia explain`: why a paper order was made, from the log: signal, prediction, model, features, bar, trade ids.

Each record is given with its topic, partition and offset. An order that no signal asked for is followed to the fill, or
the command, that did. What retention has dropped is said (`missing`), not guessed. Changes and judges nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import msgspec

from sofia_streams import codec, topics
from sofia_streams.core.oms.meanings import MEANINGS
from sofia_streams.core.oms.orders import order_id
from sofia_streams.errors import BadRecord, ConfigError
from sofia_streams.logread import reader
from sofia_streams.ops.paper.explain_bar import of_bar
from sofia_streams.ops.paper.log_stretch import LogView
from sofia_streams.ops.paper.traced import evidence, partition_of, signals_of
from sofia_streams.paper import TERMINAL, Account, Fill, Order
from sofia_streams.settings import Settings
from sofia_streams.topics import place_of

_AGAIN_MAX = 8
"""Orders that are followed from one to the next."""


async def explain(settings: Settings, name: str) -> dict[str, Any]:
    """What `sofia explain ID --json` prints: of an order (or a fill's id), or of a reason code.

    Raises ConfigError where the log has no such order and there is no such code, KafkaError.
    """
    if name in MEANINGS:
        return {"code": name, "meaning": MEANINGS[name]}
    async with reader(settings) as consumer:
        view = LogView(settings, consumer)
        return await _explained(settings, view, name.partition("-")[0], _AGAIN_MAX)


async def _explained(settings: Settings, view: LogView, name: str, again: int) -> dict[str, Any]:
    revisions = await _revisions(view, name)
    if not revisions:
        raise ConfigError(
            f"ID: expected an order that stands in the log, or a reason code, found {name[:40]!r}. "
            "`sofia topics tail orders` shows the newest orders; retention drops old ones."
        )
    order, place = revisions[-1]
    partition = partition_of(place)
    found: dict[str, Any] = {
        "order": msgspec.to_builtins(order),
        "revisions": [
            {"revision": one.revision, "status": one.status, "at_ns": one.at_ns, "reason": one.reason, "place": at}
            for one, at in revisions
        ],
        "reason": _meaning(order.reason),
        "fills": await _fills(view, order, partition),
        "missing": [],
    }
    if revisions[0][0].revision:
        found["missing"].append(f"the order's first {revisions[0][0].revision} revisions: retention has dropped them")
    if order.signal_start_ns:
        return found | {"cause": await _signal(settings, view, order, found["missing"])}
    return found | {"cause": await _by_price(settings, view, order, partition, again, found["missing"])}


def _meaning(text: str) -> dict[str, str] | None:
    """Every code in a reason, in words."""
    codes = [word.strip() for word in text.split(":")]
    return {code: MEANINGS[code] for code in codes if code in MEANINGS} or None


async def _revisions(view: LogView, name: str) -> list[tuple[Order, str]]:
    """By revision, each once; the last written of each."""
    found: dict[int, tuple[Order, str]] = {}
    async for message in view.since(topics.ORDERS, 0):
        if name.encode() not in (message.value or b""):  # most are others: not decoded
            continue
        try:
            order = codec.decode_orders(message.value)
        except BadRecord:
            continue
        if order.order_id == name:
            found[order.revision] = order, place_of(message)
    return [found[number] for number in sorted(found)]


async def _fills(view: LogView, order: Order, partition: int | None) -> list[dict[str, Any]]:
    """With their market records."""
    found: dict[str, tuple[Fill, str]] = {}
    async with aclosing(_records(view, topics.FILLS, order.created_ns, partition, codec.decode_fills)) as records:
        async for fill, place in records:
            if fill.order_id == order.order_id:
                found[fill.fill_id] = fill, place
            if order.status in TERMINAL and sum(one.quantity for one, _ in found.values()) >= order.filled_quantity:
                break
    await view.fetch(fill.place for fill, _ in found.values() if fill.place)
    return [
        {"place_in_log": place, "fill": msgspec.to_builtins(fill), "evidence": await evidence(view, fill)}
        for fill, place in found.values()
    ]


async def _records(
    view: LogView, topic: topics.Topic, since_ns: int, partition: int | None, decode: Callable[[bytes | None], Any]
) -> AsyncGenerator[tuple[Any, str]]:
    """Records that can be read, and their places."""
    async for message in view.since(topic, since_ns, partition):
        try:
            yield decode(message.value), place_of(message)
        except BadRecord:
            continue  # its readers have quarantined it


async def _signal(settings: Settings, view: LogView, order: Order, missing: list[str]) -> dict[str, Any]:
    """The signal that an order follows from, and all that is behind it."""
    signals = await signals_of(view, order)
    if not signals:
        missing.append("the signal of its bar: retention has dropped it, or it never was there")
    found: dict[str, Any] = {"kind": "signal", "signal": None}
    if signals:
        record, place = signals[0]
        found["signal"] = {"place": place, "record": msgspec.to_builtins(record)}
    return found | await of_bar(settings, view, order, missing)


async def _by_price(
    settings: Settings, view: LogView, order: Order, partition: int | None, again: int, missing: list[str]
) -> dict[str, Any]:
    """The fill behind which an exit by price was placed, by its id: it is a hash of the fill's."""
    async with aclosing(_records(view, topics.FILLS, order.created_ns, partition, codec.decode_fills)) as records:
        async for fill, place in records:
            if order_id(fill.fill_id, order.purpose) == order.order_id:
                found = {"kind": "fill", "place": place, "fill": msgspec.to_builtins(fill),
                         "evidence": await evidence(view, fill)}  # fmt: skip
                if again and fill.order_id != order.order_id:
                    found["behind"] = await _behind(settings, view, fill.order_id, again - 1)
                return found
            if fill.at_ns > order.created_ns and fill.symbol == order.symbol:
                break
    return await _by_command(view, order, missing)


async def _behind(settings: Settings, view: LogView, name: str, again: int) -> dict[str, Any]:
    """The order of that fill, explained too."""
    try:
        return await _explained(settings, view, name, again)
    except ConfigError as error:
        return {"missing": [str(error)]}


async def _by_command(view: LogView, order: Order, missing: list[str]) -> dict[str, Any]:
    """A resume places exits by price again: the id is a hash of the command, the account's serial and the position."""
    async with aclosing(_records(view, topics.ACCOUNT, order.created_ns, None, codec.decode_account)) as accounts:
        serials = [
            one.serial + 1
            async for one, _ in accounts
            if isinstance(one, Account) and one.cause == "control" and one.at_ns == order.created_ns
        ]
    async with aclosing(_records(view, topics.CONTROL, 0, None, codec.decode_control)) as commands:
        async for command, place in commands:
            for serial in serials:
                cause = f"{command.command_id}|{serial}|{order.market}|{order.symbol}"
                if order_id(cause, order.purpose) == order.order_id:
                    return {"kind": "command", "place": place, "command": msgspec.to_builtins(command)}
    missing.append("the fill or command that it follows from: retention has dropped it")
    return {"kind": "unknown"}

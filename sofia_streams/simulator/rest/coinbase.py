"""Coinbase Exchange's REST as a simulated venue answers it: newest first; `after` an id asks for what is older."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sofia_streams.simulator.candle import MINUTE_MS
from sofia_streams.simulator.instrument import SimulatedInstrument
from sofia_streams.simulator.rest.memory import Memory
from sofia_streams.simulator.rest.replies import BadParameter, Reply, json_reply, limit, moment_ms, number, step
from sofia_streams.venues.registry import VENUES

_CANDLES_MAX, _TRADES_MAX = 300, 1_000


def answer(listed: Mapping[str, tuple[SimulatedInstrument, Memory]], path: str, asked: Mapping[str, str]) -> Reply:
    """What a GET gets."""
    if path == "products":
        return json_reply([_row(one) for one, _ in listed.values()])
    listing, _, what = path.removeprefix("products/").partition("/")
    found = listed.get(listing)
    if found is None or what not in _PATHS:
        return json_reply({"message": "NotFound"}, 404)
    try:
        return _PATHS[what](found[1], asked)
    except BadParameter as error:
        return json_reply({"message": f"Invalid {error.name}"}, 400)


def _candles(memory: Memory, asked: Mapping[str, str]) -> Reply:
    from_ms, to_ms = moment_ms(asked, "start"), moment_ms(asked, "end")
    if from_ms is not None and to_ms is not None and to_ms - from_ms > _CANDLES_MAX * MINUTE_MS:
        text = "granularity too small for the requested time range. Count of aggregations requested exceeds 300"
        return json_reply({"message": text}, 400)
    if asked.get("granularity", "60") != "60":
        return json_reply({"message": "Unsupported granularity"}, 400)
    numbers = [
        f"[{one.start_ms // 1000},{one.low:f},{one.high:f},{one.open:f},{one.close:f},{one.volume:f}]"
        for one in reversed(memory.candles(MINUTE_MS, from_ms, to_ms, _CANDLES_MAX))
    ]
    return Reply(200, f"[{','.join(numbers)}]")  # this venue sends bare numbers


def _trades(memory: Memory, asked: Mapping[str, str]) -> Reply:
    older, newer = number(asked, "after"), number(asked, "before")
    found = memory.before_id(older, limit(asked, _TRADES_MAX, _TRADES_MAX))
    if newer is not None:
        found = [one for one in found if int(one.trade.trade_id) > newer]
    ends = {"CB-BEFORE": found[-1].trade.trade_id, "CB-AFTER": found[0].trade.trade_id} if found else {}
    return json_reply([VENUES["coinbase"].write_trade(one) for one in reversed(found)], headers=ends)


_PATHS = {"candles": _candles, "trades": _trades}


def _row(one: SimulatedInstrument) -> dict[str, Any]:
    base, _, quote = one.symbol.partition("/")
    return {
        "id": one.listing, "base_currency": base, "quote_currency": quote, "quote_increment": f"{one.tick:f}",
        "base_increment": step(one), "display_name": one.symbol, "min_market_funds": "1", "margin_enabled": False,
        "post_only": False, "limit_only": False, "cancel_only": False, "status": "online", "status_message": "",
        "trading_disabled": False, "auction_mode": False,
    }  # fmt: skip

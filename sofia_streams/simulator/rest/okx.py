"""OKX's REST as a simulated spot venue answers it: newest first; `after` asks for what is older, `before` for newer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sofia_streams.model import NS_PER_MS, ParsedTrade
from sofia_streams.simulator.candle import MINUTE_MS, SECOND_MS
from sofia_streams.simulator.instrument import SimulatedInstrument
from sofia_streams.simulator.rest.memory import Memory
from sofia_streams.simulator.rest.replies import BadParameter, Reply, json_reply, limit, number, ohlc, step
from sofia_streams.venues.registry import VENUES

_CANDLES_MAX, _ROWS, _TRADES_MAX, _HISTORY_MAX = 300, 100, 500, 100
_SIZES_MS = {"1s": SECOND_MS, "1m": MINUTE_MS}


def answer(listed: Mapping[str, tuple[SimulatedInstrument, Memory]], path: str, asked: Mapping[str, str]) -> Reply:
    """What a GET gets."""
    if path == "api/v5/public/instruments":
        ones = [one for one, _ in listed.values()] if asked.get("instType") == "SPOT" else []
        return _data([*map(_row, ones)])
    if path not in _PATHS:
        return json_reply({"code": "404", "msg": "not served here", "data": []}, 404)
    found = listed.get(asked.get("instId", ""))
    if found is None:
        return json_reply({"code": "51001", "msg": "Instrument ID doesn't exist.", "data": []})
    try:
        return _PATHS[path](found[1], asked)
    except BadParameter as error:
        return json_reply({"code": "51000", "msg": f"Parameter {error.name} error", "data": []}, 400)


def _data(rows: list[Any]) -> Reply:
    return json_reply({"code": "0", "msg": "", "data": rows})


def _candles(memory: Memory, asked: Mapping[str, str]) -> Reply:
    size_ms = _SIZES_MS.get(asked.get("bar", "1m"))
    if size_ms is None:
        raise BadParameter("bar", asked["bar"])
    older, newer = number(asked, "after"), number(asked, "before")
    span = None if newer is None else newer + 1, None if older is None else older - 1
    found, newest_ms = memory.candles(size_ms, *span, limit(asked, _ROWS, _CANDLES_MAX)), memory.newest_ms(size_ms)
    return _data([
        [str(one.start_ms), *ohlc(one), f"{one.volume:f}", f"{one.quote:f}", f"{one.quote:f}",
         "0" if one.start_ms == newest_ms else "1"] for one in reversed(found)
    ])  # fmt: skip


def _trades(memory: Memory, asked: Mapping[str, str]) -> Reply:
    return _prints(memory.before_id(None, limit(asked, _ROWS, _TRADES_MAX)))


def _history(memory: Memory, asked: Mapping[str, str]) -> Reply:
    """By trade id (`type` 1), or by time (2, which goes back only)."""
    kind, older, newer = asked.get("type", "1"), number(asked, "after"), number(asked, "before")
    rows_max = limit(asked, _ROWS, _HISTORY_MAX)
    if kind not in ("1", "2"):
        raise BadParameter("type", kind)
    if kind == "2" and older is not None:
        first = memory.from_time(older * NS_PER_MS, 1)
        older = int(first[0].trade.trade_id) if first else None
    found = memory.before_id(older, rows_max)
    if newer is not None and kind == "1":
        found = [one for one in found if int(one.trade.trade_id) > newer]
    return _prints(found)


def _prints(found: list[ParsedTrade]) -> Reply:
    return _data([VENUES["okx"].write_trade(one) for one in reversed(found)])


_PATHS = {
    "api/v5/market/candles": _candles,
    "api/v5/market/history-candles": _candles,
    "api/v5/market/trades": _trades,
    "api/v5/market/history-trades": _history,
}


def _row(one: SimulatedInstrument) -> dict[str, Any]:
    base, _, quote = one.symbol.partition("/")
    return {
        "instType": "SPOT", "instId": one.listing, "baseCcy": base, "quoteCcy": quote, "settleCcy": "", "uly": "",
        "ctVal": "", "ctMult": "", "ctType": "", "lotSz": step(one), "minSz": step(one), "tickSz": f"{one.tick:f}",
        "lever": "10", "state": "live", "listTime": "1548133413000", "expTime": "",
    }  # fmt: skip

"""The REST of four exchanges, as far as instruments and klines go, each in its own paths, shapes and errors.

Klines are folded from the trades that this simulator sent, so they agree with its tape; a minute without a trade has
none (the real venues but Coinbase repeat the last price). Knows spot only. No socket: `server` carries the answers.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from sofia_streams.model import NS_PER_MINUTE, ParsedTrade
from sofia_streams.simulator.instrument import Instrument
from sofia_streams.simulator.market import Event

_MINUTES_MAX = 3_000
"""Kept of each instrument: two days."""
_MINUTE_MS = 60_000
_ROWS_MAX = {"binance": 1_000, "okx": 300, "coinbase": 300, "bybit": 1_000}
_ROOTS = {"binance": ("/api/", "/fapi/", "/dapi/"), "okx": ("/api/",), "coinbase": ("/products",), "bybit": ("/v5/",)}
_MIN_NOTIONAL = "5"
_encoder = msgspec.json.Encoder()


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    body: str
    headers: Mapping[str, str] = {"Content-Type": "application/json"}


def too_many(after_s: float) -> Reply:
    """What a client that asked too often gets."""
    headers = {"Content-Type": "application/json", "Retry-After": f"{math.ceil(after_s)}"}
    return Reply(429, '{"code":-1003,"msg":"Too many requests."}', headers)


@dataclass(slots=True)
class _Minute:
    start_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = Decimal(0)
    quote: Decimal = Decimal(0)
    bought: Decimal = Decimal(0)
    bought_quote: Decimal = Decimal(0)
    count: int = 0

    def add(self, price: Decimal, quantity: Decimal, *, is_buy: bool) -> None:
        self.high, self.low, self.close = max(self.high, price), min(self.low, price), price
        self.volume += quantity
        self.quote += price * quantity
        self.count += 1
        if is_buy:
            self.bought += quantity
            self.bought_quote += price * quantity


class Rest:
    """Answers for these instruments. What stands in `instead` is answered first, once each: a venue in trouble."""

    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        self._listed = {(one.venue, one.listing): one for one in instruments}
        self._minutes: dict[tuple[str, str], dict[int, _Minute]] = {name: {} for name in self._listed}
        self.instead: deque[Reply] = deque()

    def watch(self, events: Iterable[Event]) -> Iterator[Event]:
        """The same events; their trades are in the klines from now on."""
        for event in events:
            if isinstance(event.said, ParsedTrade):
                self._fold(event.venue, event.said)
            yield event

    def _fold(self, venue: str, said: ParsedTrade) -> None:
        minutes, trade = self._minutes.get((venue, said.venue_symbol)), said.trade
        if minutes is None:
            return
        start_ms = trade.exchange_ns // NS_PER_MINUTE * _MINUTE_MS
        minute = minutes.get(start_ms)
        if minute is None:
            minute = minutes[start_ms] = _Minute(start_ms, trade.price, trade.price, trade.price, trade.price)
            if len(minutes) > _MINUTES_MAX:
                del minutes[next(iter(minutes))]
        minute.add(trade.price, trade.quantity, is_buy=trade.taker_side == "buy")

    def answer(self, target: str) -> Reply | None:
        """What a GET of this path and query gets; None for what is no REST path of a venue."""
        parts = urlsplit(target)
        venue, _, path = parts.path.strip("/").partition("/")
        if venue not in _ROOTS or not f"/{path}".startswith(_ROOTS[venue]):
            return None
        if self.instead:
            return self.instead.popleft()
        if not self._listed:
            return _json({"code": 404, "message": "a recording has no REST"}, 404)
        asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        try:
            return _VENUES[venue](self, path, asked)
        except ValueError as error:
            return _json({"code": -1102, "msg": f"a parameter could not be read: {error}"}, 400)

    def instruments(self, venue: str) -> list[Instrument]:
        """All that this venue lists."""
        return [one for (name, _), one in self._listed.items() if name == venue]

    def minutes(self, venue: str, listing: str, from_ms: int | None, to_ms: int | None) -> list[_Minute] | None:
        """Ascending, both ends inside; None for an instrument that is not listed."""
        found = self._minutes.get((venue, listing))
        if found is None:
            return None
        low, high = from_ms or 0, (1 << 62) if to_ms is None else to_ms
        return [found[start_ms] for start_ms in sorted(found) if low <= start_ms <= high]

    def newest_ms(self, venue: str, listing: str) -> int:
        """The start of the minute that is still open."""
        return max(self._minutes[venue, listing], default=0)


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(status, _encoder.encode(value).decode())


def _number(asked: Mapping[str, str], name: str) -> int | None:
    return int(asked[name]) if name in asked else None


def _moment_ms(asked: Mapping[str, str], name: str) -> int | None:
    return round(datetime.fromisoformat(asked[name]).timestamp() * 1000) if name in asked else None


def _step(one: Instrument) -> str:
    return format(Decimal(1).scaleb(-one.lot_digits), "f")


def _binance(rest: Rest, path: str, asked: Mapping[str, str]) -> Reply:
    if path == "api/v3/exchangeInfo":
        return _json({"timezone": "UTC", "symbols": [*map(_binance_row, rest.instruments("binance"))]})
    if path != "api/v3/klines":
        return _json({"code": -1100, "msg": "not served here"}, 404)
    if asked.get("interval") != "1m":
        return _json({"code": -1120, "msg": "Invalid interval."}, 400)
    found = rest.minutes("binance", asked.get("symbol", ""), _number(asked, "startTime"), _number(asked, "endTime"))
    if found is None:
        return _json({"code": -1121, "msg": "Invalid symbol."}, 400)
    limit = min(_number(asked, "limit") or 500, _ROWS_MAX["binance"])
    rows = found[:limit] if "startTime" in asked else found[-limit:]
    return _json([
        [one.start_ms, *_ohlc(one), f"{one.volume:f}", one.start_ms + _MINUTE_MS - 1, f"{one.quote:f}", one.count,
         f"{one.bought:f}", f"{one.bought_quote:f}", "0"] for one in rows
    ])  # fmt: skip


def _binance_row(one: Instrument) -> dict[str, Any]:
    base, _, quote = one.symbol.partition("/")
    return {
        "symbol": one.listing, "status": "TRADING", "baseAsset": base, "baseAssetPrecision": 8, "quoteAsset": quote,
        "quotePrecision": 8, "isSpotTradingAllowed": True, "permissions": [],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": f"{one.tick:.8f}", "maxPrice": "1000000.00000000",
             "tickSize": f"{one.tick:.12f}"},
            {"filterType": "LOT_SIZE", "minQty": _step(one), "maxQty": "9000.00000000", "stepSize": _step(one)},
            {"filterType": "NOTIONAL", "minNotional": f"{_MIN_NOTIONAL}.00000000", "maxNotional": "9000000.00000000"},
        ],
    }  # fmt: skip


def _ohlc(one: _Minute) -> list[str]:
    return [f"{price:f}" for price in (one.open, one.high, one.low, one.close)]


def _okx(rest: Rest, path: str, asked: Mapping[str, str]) -> Reply:
    if path == "api/v5/public/instruments":
        listed = rest.instruments("okx") if asked.get("instType") == "SPOT" else []
        return _json({"code": "0", "msg": "", "data": [*map(_okx_row, listed)]})
    if path not in ("api/v5/market/candles", "api/v5/market/history-candles"):
        return _json({"code": "404", "msg": "not served here", "data": []}, 404)
    if asked.get("bar", "1m") != "1m":
        return _json({"code": "51000", "msg": "Parameter bar error", "data": []}, 400)
    older, newer, listing = _number(asked, "after"), _number(asked, "before"), asked.get("instId", "")
    found = rest.minutes("okx", listing, None if newer is None else newer + 1, None if older is None else older - 1)
    if found is None:
        return _json({"code": "51001", "msg": "Instrument ID doesn't exist.", "data": []})
    limit = min(_number(asked, "limit") or 100, _ROWS_MAX["okx"])
    newest_ms = rest.newest_ms("okx", listing)
    return _json({"code": "0", "msg": "", "data": [
        [str(one.start_ms), *_ohlc(one), f"{one.volume:f}", f"{one.quote:f}", f"{one.quote:f}",
         "0" if one.start_ms == newest_ms else "1"] for one in found[::-1][:limit]
    ]})  # fmt: skip


def _okx_row(one: Instrument) -> dict[str, Any]:
    base, _, quote = one.symbol.partition("/")
    return {
        "instType": "SPOT", "instId": one.listing, "baseCcy": base, "quoteCcy": quote, "settleCcy": "", "uly": "",
        "ctVal": "", "ctMult": "", "ctType": "", "lotSz": _step(one), "minSz": _step(one), "tickSz": f"{one.tick:f}",
        "lever": "10", "state": "live", "listTime": "1548133413000", "expTime": "",
    }  # fmt: skip


def _coinbase(rest: Rest, path: str, asked: Mapping[str, str]) -> Reply:
    if path == "products":
        return _json([*map(_coinbase_row, rest.instruments("coinbase"))])
    listing, _, what = path.removeprefix("products/").partition("/")
    from_ms, to_ms = _moment_ms(asked, "start"), _moment_ms(asked, "end")
    if from_ms is not None and to_ms is not None and to_ms - from_ms > _ROWS_MAX["coinbase"] * _MINUTE_MS:
        text = "granularity too small for the requested time range. Count of aggregations requested exceeds 300"
        return _json({"message": text}, 400)
    found = rest.minutes("coinbase", listing, from_ms, to_ms)
    if found is None or what != "candles":
        return _json({"message": "NotFound"}, 404)
    if asked.get("granularity", "60") != "60":
        return _json({"message": "Unsupported granularity"}, 400)
    numbers = [
        f"[{one.start_ms // 1000},{one.low:f},{one.high:f},{one.open:f},{one.close:f},{one.volume:f}]"
        for one in found[::-1][: _ROWS_MAX["coinbase"]]
    ]
    return Reply(200, f"[{','.join(numbers)}]")  # this venue sends bare numbers


def _coinbase_row(one: Instrument) -> dict[str, Any]:
    base, _, quote = one.symbol.partition("/")
    return {
        "id": one.listing, "base_currency": base, "quote_currency": quote, "quote_increment": f"{one.tick:f}",
        "base_increment": _step(one), "display_name": one.symbol, "min_market_funds": "1", "margin_enabled": False,
        "post_only": False, "limit_only": False, "cancel_only": False, "status": "online", "status_message": "",
        "trading_disabled": False, "auction_mode": False,
    }  # fmt: skip


def _bybit(rest: Rest, path: str, asked: Mapping[str, str]) -> Reply:
    is_spot = asked.get("category") == "spot"
    if path == "v5/market/instruments-info":
        return _bybit_result({"category": asked.get("category", ""),
                              "list": [*map(_bybit_row, rest.instruments("bybit"))] if is_spot else []})  # fmt: skip
    if path != "v5/market/kline":
        return _json({"retCode": 404, "retMsg": "not served here", "result": {}}, 404)
    listing = asked.get("symbol", "")
    all_found = rest.minutes("bybit", listing, None, None)
    if all_found is None or not is_spot or asked.get("interval") != "1":
        return _json({"retCode": 10001, "retMsg": "Not supported symbols", "result": {}, "retExtInfo": {}})
    rows, before = [], None
    for one in all_found:  # this venue opens a minute at the close of the one before
        first = one.open if before is None else before
        prices = (first, max(first, one.high), min(first, one.low), one.close)
        rows.append([str(one.start_ms), *(f"{price:f}" for price in prices), f"{one.volume:f}", f"{one.quote:f}"])
        before = one.close
    low, high = _number(asked, "start") or 0, _number(asked, "end")
    chosen = [row for row in rows if low <= int(row[0]) and (high is None or int(row[0]) <= high)]
    limit = min(_number(asked, "limit") or 200, _ROWS_MAX["bybit"])
    return _bybit_result({"category": "spot", "symbol": listing, "list": chosen[::-1][:limit]})


def _bybit_result(result: dict[str, Any]) -> Reply:
    return _json({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}})


def _bybit_row(one: Instrument) -> dict[str, Any]:
    base, _, quote = one.symbol.partition("/")
    lots = {"basePrecision": _step(one), "quotePrecision": "0.00000001", "minOrderQty": _step(one),
            "maxOrderQty": "9000", "minOrderAmt": _MIN_NOTIONAL, "maxOrderAmt": "4000000"}  # fmt: skip
    return {"symbol": one.listing, "baseCoin": base, "quoteCoin": quote, "status": "Trading", "marginTrading": "none",
            "lotSizeFilter": lots, "priceFilter": {"tickSize": f"{one.tick:f}"}}  # fmt: skip


_VENUES: dict[str, Callable[[Rest, str, Mapping[str, str]], Reply]] = {
    "binance": _binance,
    "okx": _okx,
    "coinbase": _coinbase,
    "bybit": _bybit,
}

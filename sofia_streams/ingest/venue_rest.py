"""ccxt's client of one venue's public REST: opened, asked, closed; whatever goes wrong is said with its cure.

Numbers come as the venue wrote them: no value passes through a float. Not in the hot path, and slow to import (1.3 s,
80 MB), so ccxt is loaded only when a client is opened.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NamedTuple

from sofia_streams.errors import DependencyDown, UnknownSymbol
from sofia_streams.model import Market, decimal_from_text
from sofia_streams.venues.registry import check_venue

_CLASSES = {"binance": "binance", "okx": "okx", "coinbase": "coinbaseexchange", "bybit": "bybit"}
_TYPES: dict[str, dict[Market, list[str]]] = {
    "okx": {"spot": ["spot"], "linear": ["swap", "future"], "inverse": ["swap", "future"]},
}
"""What ccxt calls the lists of a market, where it does not use our word."""
_REQUEST_MS, _ANSWER_S = 10_000, 60.0
_TRIES, _WAIT_S_MAX = 3, 20.0
_SCIENTIFIC = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?[eE][+-]?[0-9]{1,2}", re.ASCII)
_CURES = {
    403: "The venue refuses this address or region: ask from elsewhere, or leave it out of CRYPTO_EXCHANGES.",
    451: "The venue does not serve this region: leave it out of CRYPTO_EXCHANGES.",
    404: "If the venue moved its REST, a newer ccxt knows where.",
}
_NETWORK = "Check the network, HTTPS_PROXY and the system's certificates; `sofia doctor` says more."
_LATER = "Try again later; the venue's status page says more."


class _Refused(Exception):
    """An answer that is no JSON, or one whose status says no."""

    def __init__(self, status: int, retry_after_s: float | None, found: str, cure: str) -> None:
        super().__init__(found)
        self.status, self.retry_after_s, self.found, self.cure = status, retry_after_s, found, cure


class Rest(NamedTuple):
    """An open client: ccxt's exchange object and whose it is."""

    venue: str
    market: Market
    exchange: Any

    async def ask(self, what: str, call: Callable[[], Awaitable[Any]]) -> Any:
        """What `call` gives; waits as long as a busy venue asks for, at most 20 s and twice.

        Raises DependencyDown that names `what`, UnknownSymbol where the venue finds fault with the question itself.
        """
        from ccxt.base.errors import BadRequest, BaseError, OrderNotFound

        for tries_left in reversed(range(_TRIES)):
            try:
                async with asyncio.timeout(_ANSWER_S):
                    return await call()
            except _Refused as refused:
                wait_s = 1.0 if refused.retry_after_s is None else refused.retry_after_s
                if refused.status != 429 or not tries_left or wait_s > _WAIT_S_MAX:
                    raise self._down(what, refused.found, refused.cure) from refused
                await asyncio.sleep(wait_s)
            except (BadRequest, OrderNotFound) as error:  # what ccxt makes of an unknown instrument, by venue
                raise UnknownSymbol(f"{self.venue}: expected {what}, found: {error}") from error
            except TimeoutError as error:
                raise self._down(what, f"no answer within {_ANSWER_S:.0f} s", _NETWORK) from error
            except BaseError as error:
                found = f"{type(error).__name__}: {error.__cause__ or error}"
                raise self._down(what, found, _LATER if error.__cause__ is None else _NETWORK) from error
            except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:  # ccxt trusts its venues
                found = f"JSON of another shape ({error!r})"
                raise self._down(what, found, "If the venue changed its REST, a newer ccxt may know it.") from error
        raise AssertionError("unreachable")

    def _down(self, what: str, found: str, cure: str) -> DependencyDown:
        return DependencyDown(f"{self.venue}: expected {what}, found {found[:300]}. {cure}")


@asynccontextmanager
async def open_rest(venue: str, market: Market, rest_url: str | None = None) -> AsyncIterator[Rest]:
    """A client of this venue; `rest_url` (http://host:port/venue) stands in for the venue's own hosts.

    Raises ConfigError for an unknown venue, UnknownSymbol for a market that it does not have.
    """
    check_venue(venue).url(market)
    module = importlib.import_module(f"ccxt.async_support.{_CLASSES[venue]}")
    exchange = getattr(module, _CLASSES[venue])({
        "enableRateLimit": True,
        "timeout": _REQUEST_MS,
        "ssl_context": ssl.create_default_context(),  # the operating system's certificates, not those of a wheel
        "aiohttp_trust_env": rest_url is None,
        "has": {"fetchCurrencies": False},
        "options": {"fetchMarkets": {"types": _TYPES.get(venue, {}).get(market, [market])}},
    })  # fmt: skip
    exchange.number = str
    exchange.on_json_response = _read_json
    exchange.on_rest_response = _checked
    if rest_url is not None:
        exchange.urls["api"] = _moved(exchange.urls["api"], rest_url.rstrip("/"))
    try:
        exchange.open()
        yield Rest(venue, market, exchange)
    finally:
        await exchange.close()


def _moved(urls: Any, base: str) -> Any:
    if isinstance(urls, dict):
        return {name: _moved(url, base) for name, url in urls.items()}
    return re.sub(r"^https?://[^/]+", base, urls) if isinstance(urls, str) else urls


def _read_json(text: str) -> Any:
    return json.loads(text, parse_float=str)


def _checked(
    status: int, reason: str, url: str, method: str, headers: Mapping[str, str], body: str, *request: object
) -> str:
    """The body as it is; for ccxt, before it looks. Raises _Refused."""
    start = " ".join(body[:120].split())
    if status in (429, 418):
        text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
        after_s = float(text) if re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) else None
        wait = f"Wait {after_s:.0f} s" if after_s is not None else "Wait a few minutes"
        cure = f"{wait} before asking again, and ask for less."
        raise _Refused(status, after_s, f"HTTP {status} (asked too often)", cure)
    if status in _CURES and not (status == 404 and body.lstrip().startswith("{")):
        raise _Refused(status, None, f"HTTP {status} {reason}: {start}", _CURES[status])
    if status >= 500:
        raise _Refused(status, None, f"HTTP {status} {reason}: {start}", _LATER)
    if not body.lstrip().startswith(("{", "[")):
        cure = f"Something between here and the venue answers in its place: open {url.partition('?')[0]} in a browser."
        raise _Refused(status, None, f"HTTP {status} with no JSON: {start}", cure)
    return body.strip()


def exact(text: str | None) -> Decimal | None:
    """A number as the venue wrote it; None where it says nothing. Raises ValueError for what is no plain number."""
    if text is None or text == "":
        return None
    value = Decimal(text) if _SCIENTIFIC.fullmatch(text) else decimal_from_text(text)
    return decimal_from_text(f"{value:f}")

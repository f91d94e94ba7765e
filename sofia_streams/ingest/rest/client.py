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
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from sofia_streams.errors import DependencyDown, UnknownSymbol
from sofia_streams.ingest.rest.budget import WAIT_S_MAX, RestBudget, budget_of
from sofia_streams.model import Market, decimal_from_text
from sofia_streams.venues.registry import check_venue

_CLASSES = {"binance": "binance", "okx": "okx", "coinbase": "coinbaseexchange", "bybit": "bybit"}
_TYPES: dict[str, dict[Market, list[str]]] = {
    "okx": {"spot": ["spot"], "linear": ["swap", "future"], "inverse": ["swap", "future"]},
}
"""What ccxt calls the lists of a market, where it does not use our word."""
_REQUEST_MS, _ANSWER_S = 10_000, 60.0
_TRIES = 3
_BUSY_S, _AGAIN_S, _BANNED_S = 3.0, 1.0, 600.0
"""How long not to ask when a venue says no, and not for how long: asked too often; a cut answer; banned or blocked."""
_BUSY, _BANNED = (429,), (403, 418, 451)
_CUT_BODIES = ("ClientPayloadError", "ClientResponseError")
"""Of aiohttp, which is not imported before it is needed: fewer bytes than announced; bytes that do not unpack."""
_LOADING = threading.Lock()
_SCIENTIFIC = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?[eE][+-]?[0-9]{1,2}", re.ASCII)
_CURES = {
    403: "The venue refuses this address or region: ask from elsewhere, or leave it out of CRYPTO_EXCHANGES.",
    451: "The venue does not serve this region: leave it out of CRYPTO_EXCHANGES.",
    404: "If the venue moved its REST, a newer ccxt knows where.",
}
_NETWORK = "Check the network, HTTPS_PROXY and the system's certificates; `sofia doctor` says more."
_LATER = "Try again later; the venue's status page says more."


class _Cut(Exception):
    """An answer that ends too early, or is damaged: never taken for a short one."""


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
    budget: RestBudget

    async def ask(self, what: str, call: Callable[[], Awaitable[Any]], *, weight: int = 1) -> Any:
        """What `call` gives, asked within the venue's budget; `weight` as the venue counts.

        Asked again, twice at most, when the venue is busy for 20 s or less, or its answer was cut. Raises
        DependencyDown that names `what`, without asking while the venue has banned us; UnknownSymbol where the venue
        finds fault with the question itself.
        """
        for tries_left in reversed(range(_TRIES)):
            await self.budget.admit(what, weight)
            try:
                return await self._answer(what, call)
            except _Refused as refused:
                await self._took_no(what, refused, tries_left)
            except _Cut as error:
                if not tries_left:
                    raise self._down(what, f"{error}, {_TRIES} times", _NETWORK) from error
                await asyncio.sleep(_AGAIN_S)
        raise AssertionError("unreachable")

    async def _answer(self, what: str, call: Callable[[], Awaitable[Any]]) -> Any:
        """One try. Raises _Refused, _Cut; DependencyDown, UnknownSymbol where another would not help."""
        from ccxt.base.errors import BadRequest, BaseError, OrderNotFound, RateLimitExceeded

        try:
            async with asyncio.timeout(_ANSWER_S):
                return await call()
        except (BadRequest, OrderNotFound) as error:  # what ccxt makes of an unknown instrument, by venue
            raise UnknownSymbol(f"{self.venue}: expected {what}, found: {error}") from error
        except RateLimitExceeded as error:  # said in JSON, with a status of 200
            found = f"{error} (asked too often)"
            raise _Refused(429, None, found, "Wait a few seconds, and ask for less.") from error
        except TimeoutError as error:
            raise self._down(what, f"no answer within {_ANSWER_S:.0f} s", _NETWORK) from error
        except BaseError as error:
            if type(error.__cause__).__name__ in _CUT_BODIES:
                raise _Cut(f"a body that was cut or damaged ({error.__cause__})") from error
            found = f"{type(error).__name__}: {error.__cause__ or error}"
            raise self._down(what, found, _LATER if error.__cause__ is None else _NETWORK) from error
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:  # ccxt trusts its venues
            found = f"JSON of another shape ({error!r})"
            raise self._down(what, found, "If the venue changed its REST, a newer ccxt may know it.") from error

    async def _took_no(self, what: str, refused: _Refused, tries_left: int) -> None:
        """Keep away as long as the venue wants; returns where asking again makes sense. Raises DependencyDown."""
        is_busy, cure = refused.status in _BUSY, refused.cure
        if is_busy or refused.status in _BANNED:
            wait_s = refused.retry_after_s or (_BUSY_S if is_busy else _BANNED_S)
            ends = await self.budget.close(wait_s, refused.found, is_ban=not is_busy)
            if is_busy and tries_left and wait_s <= WAIT_S_MAX:
                return
            cure = f"{cure} It is not asked before {ends}."
        raise self._down(what, refused.found, cure) from refused

    def _down(self, what: str, found: str, cure: str) -> DependencyDown:
        return DependencyDown(f"{self.venue}: expected {what}, found {found[:300]}. {cure}")


@asynccontextmanager
async def open_rest(
    venue: str, market: Market, rest_url: str | None = None, budgets: Path | None = None
) -> AsyncIterator[Rest]:
    """A client of this venue; `rest_url` (http://host:port/venue) stands in for the venue's own hosts.

    `budgets` is the folder of the budgets that other processes go by as well (`budget_of`).
    Raises ConfigError for an unknown venue, UnknownSymbol for a market that it does not have.
    """
    check_venue(venue).url(market)
    module = await asyncio.to_thread(_load, f"ccxt.async_support.{_CLASSES[venue]}")
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
        yield Rest(venue, market, exchange, budget_of(venue, rest_url, budgets))
    finally:
        await exchange.close()


def _load(name: str) -> Any:
    """The module; in a thread, since it takes a second, one at a time, since ccxt's import each other in circles."""
    with _LOADING:
        return importlib.import_module(name)


def _moved(urls: Any, base: str) -> Any:
    if isinstance(urls, dict):
        return {name: _moved(url, base) for name, url in urls.items()}
    return re.sub(r"^https?://[^/]+", base, urls) if isinstance(urls, str) else urls


def _read_json(text: str) -> Any:
    """Numbers with a point as text. Raises _Cut, which ccxt does not swallow."""
    try:
        return json.loads(text, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise _Cut(f"JSON that is cut or damaged ({error})") from error


def _checked(
    status: int, reason: str, url: str, method: str, headers: Mapping[str, str], body: str, *request: object
) -> str:
    """The body as it is; for ccxt, before it looks. Raises _Refused."""
    start = " ".join(body[:120].split())
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    after_s = float(text) if re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) else None
    if status in (429, 418):
        wait = f"Wait {after_s:.0f} s" if after_s is not None else "Wait a few minutes"
        cure = f"{wait} before asking again, and ask for less."
        raise _Refused(status, after_s, f"HTTP {status} (asked too often)", cure)
    if status in _CURES and not (status == 404 and body.lstrip().startswith("{")):
        raise _Refused(status, after_s, f"HTTP {status} {reason}: {start}", _CURES[status])
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

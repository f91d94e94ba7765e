"""Names: a venue's own, and the unified one as ccxt writes it (`BTC/USDT`, `BTC/USDT:USDT`, `BTC/USD:BTC-220527`)."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from sofia_streams.errors import UnknownSymbol
from sofia_streams.model import Market

_QUOTES = (
    *("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USDE", "USD1", "USD", "EUR", "GBP", "TRY", "BRL", "JPY", "AUD"),
    *("BTC", "ETH", "BNB", "DAI", "MNT", "XRP", "TRX", "DOGE", "SOL"),
)
_LONGEST_FIRST = sorted(_QUOTES, key=lambda quote: (-len(quote), quote))
_COMMON_BASES = (
    *("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "AVAX", "LINK", "DOT", "LTC", "TRX", "BCH", "BNB", "SUI", "TON"),
)
_KNOWN = {base + quote: (base, quote) for base in _COMMON_BASES for quote in ("USDT", "USDC", "USD") if base != quote}
_MONTH_CODES = "FGHJKMNQUVXZ"
_QUARTER = re.compile(rf"(?P<pair>[A-Z0-9]+USD)(?P<month>[{_MONTH_CODES}])(?P<year>[0-9]{{2}})", re.ASCII)


def split_joined(name: str) -> tuple[str, str, bool]:
    """(base, quote, guessed) of a name without a separator; guessed unless it is in the shipped table.

    Raises UnknownSymbol when it ends in no known quote.
    """
    if name in _KNOWN:
        return (*_KNOWN[name], False)
    for quote in _LONGEST_FIRST:
        if name.endswith(quote) and len(name) > len(quote):
            return name[: -len(quote)], quote, True
    raise UnknownSymbol(f"expected a name that ends in one of {', '.join(_QUOTES)}, found {name[:40]!r}")


def unified(base: str, quote: str, market: Market, expiry: str | None = None) -> str:
    """The unified symbol; a contract names its settle currency, a dated one its expiry as YYMMDD."""
    if market == "spot":
        return f"{base}/{quote}"
    settle = quote if market == "linear" else base
    return f"{base}/{quote}:{settle}" + (f"-{expiry}" if expiry else "")


def from_joined(name: str, market: Market) -> tuple[str, bool]:
    """`BTCUSDT`, `BTCUSDT_210924`, `BTCUSD_PERP` (Binance) to (unified, guessed). Raises UnknownSymbol."""
    stem, _, expiry = name.partition("_")
    base, quote, guessed = split_joined(stem)
    return unified(base, quote, market, expiry if expiry not in ("", "PERP") else None), guessed


def from_bybit(name: str, market: Market) -> tuple[str, bool]:
    """`BTCUSDT`, `BTCPERP`, `BTCUSDT-26DEC25`, `BTCUSDZ25` to (unified, guessed). Raises UnknownSymbol."""
    stem, _, day = name.partition("-")
    if market == "inverse" and (quarter := _QUARTER.fullmatch(stem)):
        base, quote, guessed = split_joined(quarter["pair"])
        return unified(base, quote, market, _last_friday(quarter["month"], quarter["year"])), guessed
    if market == "linear" and stem.endswith("PERP"):
        stem = f"{stem.removesuffix('PERP')}USDC"
    base, quote, guessed = split_joined(stem)
    return unified(base, quote, market, _expiry(day) if day else None), guessed


def from_dashed(name: str, market: Market) -> tuple[str, bool]:
    """`BTC-USD`, `XMR-USDT-SWAP`, `TRX-USDT-210924` (Coinbase, OKX) to (unified, False). Raises UnknownSymbol."""
    parts = name.split("-")
    if len(parts) not in (2, 3) or not all(parts):
        raise UnknownSymbol(f"expected BASE-QUOTE or BASE-QUOTE-SWAP or -YYMMDD, found {name[:40]!r}")
    if market == "spot" and len(parts) == 3:
        raise UnknownSymbol(f"expected BASE-QUOTE on spot, found the contract {name[:40]!r}")
    expiry = parts[2] if len(parts) == 3 and parts[2] != "SWAP" else None
    return unified(parts[0], parts[1], market, expiry), False


def to_binance(symbol: str, market: Market) -> str:
    """`BTC/USDT` to `BTCUSDT`; coin-margined perpetuals end in `_PERP`."""
    return _joined(symbol) + ("_PERP" if market == "inverse" else "")


def to_okx(symbol: str, market: Market) -> str:
    """`BTC/USDT` to `BTC-USDT`; perpetuals end in `-SWAP`."""
    return _dashed(symbol) + ("" if market == "spot" else "-SWAP")


def to_coinbase(symbol: str, market: Market) -> str:
    """`BTC/USD` to `BTC-USD`."""
    return _dashed(symbol)


def to_bybit(symbol: str, market: Market) -> str:
    """`BTC/USDT` to `BTCUSDT`."""
    return _joined(symbol)


def sent_as_itself(listing: str) -> str:
    """The listing: what most venues send is named as it was asked for."""
    return listing


def coinbase_sent_as(listing: str) -> str:
    """`BTC-USDC` comes as `BTC-USD`, because their books are one."""
    base, _, quote = listing.partition("-")
    return f"{base}-USD" if quote == "USDC" else listing


def _pair(symbol: str) -> str:
    return symbol.partition(":")[0]


def _joined(symbol: str) -> str:
    return _pair(symbol).replace("/", "")


def _dashed(symbol: str) -> str:
    return _pair(symbol).replace("/", "-")


def _expiry(text: str) -> str:
    """`26DEC25` to `251226`."""
    try:
        return f"{datetime.strptime(text, '%d%b%y'):%y%m%d}"
    except ValueError as error:
        raise UnknownSymbol(f"expected an expiry like 26DEC25, found {text[:40]!r}") from error


def _last_friday(month_code: str, year: str) -> str:
    """The expiry of a quarterly contract, `Z` of `25` to `251226`: the last Friday of its month, 08:00 UTC."""
    month = _MONTH_CODES.index(month_code) + 1
    following = date(2000 + int(year) + month // 12, month % 12 + 1, 1)
    last = following - timedelta(days=1)
    return f"{last - timedelta(days=(last.weekday() - 4) % 7):%y%m%d}"

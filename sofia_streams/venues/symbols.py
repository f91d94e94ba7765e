"""Names: a venue's own, and the unified one as ccxt writes it (`BTC/USDT`, `BTC/USDT:USDT`, `BTC/USD:BTC-220527`)."""

from __future__ import annotations

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


def from_joined(name: str, market: Market) -> str:
    """`BTCUSDT`, `BTCUSDT_210924` (Binance, Bybit) to unified. Raises UnknownSymbol."""
    stem, _, expiry = name.partition("_")
    base, quote, _guessed = split_joined(stem)
    return unified(base, quote, market, expiry or None)


def from_dashed(name: str, market: Market) -> str:
    """`BTC-USD`, `XMR-USDT-SWAP`, `TRX-USDT-210924` (Coinbase, OKX) to unified. Raises UnknownSymbol."""
    parts = name.split("-")
    if len(parts) not in (2, 3) or not all(parts):
        raise UnknownSymbol(f"expected BASE-QUOTE or BASE-QUOTE-SWAP or -YYMMDD, found {name[:40]!r}")
    expiry = parts[2] if len(parts) == 3 and parts[2] != "SWAP" else None
    return unified(parts[0], parts[1], market, expiry)

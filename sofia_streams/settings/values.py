"""How the text of a setting becomes its value, where the type alone does not say. Knows no setting by name."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from sofia_streams.errors import UnknownSymbol
from sofia_streams.venues.symbols import split_joined

Exchange = Literal["binance", "okx", "coinbase", "bybit"]
SERVER = r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]"
"""A host name or an address; IPv6 in brackets."""
_PORT_MAX = 65_535
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?", re.ASCII)
_AUTHORITY = re.compile(r"[^:/]+://([^/?#\s]*@)?(?P<places>[^/?#\s]*)")
_PORT_OF_SECRET = re.compile(r"[^:/]+://(.*@)?[^@/?#]*:(?P<port>[0-9]+)([/?#]|$)", re.ASCII)
_ODD_PORT_OF_SECRET = re.compile(r"[^:/]+://([^/?#]*@)?[^@/?#]*:(?P<port>[^]@/?#:,]*)([/?#](?!.*@)|$)")
"""Of a text that has no port in digits; what stands before an @ may be a password."""
_PORT = re.compile(r"[0-9]{1,9}", re.ASCII)
_PLACE = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]+)(:(?P<port>[0-9]{1,9}))?", re.ASCII)
_PLAIN = {
    int: re.compile(r"[0-9]{1,15}", re.ASCII),
    Decimal: re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII),
}
_PAIR = re.compile(r"[A-Z0-9]+/[A-Z0-9]+", re.ASCII)
_BPS = r"-?[0-9]{1,4}(\.[0-9]{1,6})?"
_FEE = re.compile(rf"(?P<venue>[a-z]+)=(?P<maker>{_BPS})/(?P<taker>{_BPS})", re.ASCII)
_OVERRIDE = re.compile(r"(?P<venue>[a-z]+):(?P<pair>[A-Z0-9]+/[A-Z0-9]+)=(?P<listing>\S+)", re.ASCII)


def split_list(value: object) -> object:
    """`a, b` to ("a", "b"); refuses an empty list and repeated members."""
    if not isinstance(value, str):
        return value
    parts = tuple(part.strip() for part in value.split(",") if part.strip())
    if not parts or len(set(parts)) != len(parts):
        raise PydanticCustomError("list", "not a list without repeats")
    return parts


def plain_number(value: object, kind: object) -> object:
    """Refuses what Python takes for a number and a reader does not: `1_000`, `1e9`, full-width digits."""
    pattern = _PLAIN.get(kind) if isinstance(kind, type) else None
    if isinstance(value, str) and pattern is not None and pattern.fullmatch(value.strip()) is None:
        raise PydanticCustomError("number", "not a plain number")
    return value


def check_host(host: str | None) -> str | None:
    """Refuses what can be no host: an address with numbers that no address has, a name with an empty part."""
    if host is not None and not _is_server(host):
        raise ValueError(
            f"expected a host name, or an address like 127.0.0.1 or [::1], found {host[:80]!r}. Correct it, or leave "
            "the setting out"
        )
    return host


def _is_server(host: str) -> bool:
    try:
        if host.startswith("["):
            ipaddress.IPv6Address(host[1:-1])
        elif host.replace(".", "").isdigit():
            ipaddress.IPv4Address(host)
        else:
            return _HOST_NAME.fullmatch(host) is not None
    except ValueError:
        return False
    return True


def check_address(url: str | None) -> str | None:
    """Refuses a URL whose host can be none, or whose port is none; of several, in a comma list, each. Shows no user."""
    found = _AUTHORITY.match(url or "")
    for place in found["places"].split(",") if found else ():
        parts = _PLACE.fullmatch(place)
        if parts is None or not _is_server(parts["host"]) or not _is_port(parts["port"]):
            raise ValueError(
                f"expected host:port with a port from 1 to {_PORT_MAX} after the //, found {place[:80]!r}. Correct it, "
                "or leave the setting out"
            )
    return url


def _is_port(text: str | None) -> bool:
    return text is None or (_PORT.fullmatch(text) is not None and 1 <= int(text) <= _PORT_MAX)


def secret_like(pattern: str) -> Callable[[SecretStr | None], SecretStr | None]:
    """A validator of secrets of that form; what it raises does not hold the secret."""

    def check(secret: SecretStr | None) -> SecretStr | None:
        if secret is None:
            return None
        text = secret.get_secret_value()
        port = _PORT_OF_SECRET.match(text) or _ODD_PORT_OF_SECRET.match(text)
        if re.fullmatch(pattern, text) is None or not _is_port(port and port["port"]):
            raise PydanticCustomError("secret", "not of the expected form")
        return secret

    return check


def unified_name(name: str) -> str:
    """`BTCUSDT`, `BTC-USDT` or `BTC/USDT` to `BTC/USDT`. Raises ValueError."""
    pair = name.upper().replace("-", "/")
    if "/" not in pair:
        try:
            base, quote, guessed = split_joined(pair)
        except UnknownSymbol as error:
            raise ValueError(f"expected a pair like BTC/USDT; {error}") from error
        if guessed:
            raise ValueError(f"expected a pair like BTC/USDT, found {name!r}, which could be split in several ways")
        pair = f"{base}/{quote}"
    if _PAIR.fullmatch(pair) is None:
        raise ValueError(f"expected a pair like BTC/USDT, found {name[:40]!r}")
    return pair


def override(text: str, venues: Sequence[str]) -> tuple[tuple[str, str], str]:
    """`coinbase:BTC/USDT=BTC-USD` to (("coinbase", "BTC/USDT"), "BTC-USD"). Raises ValueError."""
    match = _OVERRIDE.fullmatch(text)
    if match is None or match["venue"] not in venues:
        raise ValueError(
            f"expected venue:BASE/QUOTE=LISTING, like coinbase:BTC/USDT=BTC-USD, with a venue of {', '.join(venues)}, "
            f"found {text[:80]!r}"
        )
    return (match["venue"], match["pair"]), match["listing"]


def fees_of(texts: Sequence[str], venues: Sequence[str]) -> tuple[tuple[str, Decimal, Decimal], ...]:
    """`binance=10/10` to ("binance", 10, 10): maker and taker, bps; below 0 is a rebate. Raises ValueError."""
    found = {}
    for text in texts:
        match = _FEE.fullmatch(text)
        if match is None or match["venue"] not in venues or match["venue"] in found:
            raise ValueError(
                f"expected venue=MAKER/TAKER in bps, like binance=10/10, each venue of {', '.join(venues)} once, "
                f"found {text[:80]!r}"
            )
        found[match["venue"]] = Decimal(match["maker"]), Decimal(match["taker"])
    return tuple((venue, maker, taker) for venue, (maker, taker) in found.items())

"""How the text of a setting becomes its value, where the type alone does not say. Knows no setting by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from sofia_streams.errors import UnknownSymbol
from sofia_streams.venues.symbols import split_joined

SERVER = r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]"
"""A host name or an address; IPv6 in brackets."""
_PLAIN = {
    int: re.compile(r"[0-9]{1,15}", re.ASCII),
    Decimal: re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII),
}
_PAIR = re.compile(r"[A-Z0-9]+/[A-Z0-9]+", re.ASCII)
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


def secret_like(pattern: str) -> Callable[[SecretStr | None], SecretStr | None]:
    """A validator of secrets of that form; what it raises does not hold the secret."""

    def check(secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and re.fullmatch(pattern, secret.get_secret_value()) is None:
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

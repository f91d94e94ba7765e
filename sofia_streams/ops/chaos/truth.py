"""What the exchanges really printed, from the simulator's ledger, and the candles that follow from it.

The fold here is another one than the product's on purpose: it shares no code with `core`, so that both are wrong in the
same way only by chance. Pure but for reading the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from pathlib import Path
from typing import NamedTuple

import msgspec

from sofia_streams.errors import BadRecord

_EXACT = 200
_VWAP = Context(prec=18, rounding=ROUND_HALF_EVEN)


class _Line(msgspec.Struct):
    venue: str
    market: str
    listing: str
    trade_id: str
    exchange_ns: int
    price: Decimal
    quantity: Decimal
    side: str


class Print(NamedTuple):
    """One trade that an exchange printed; `place` is where its line begins in the ledger, bytes."""

    trade_id: str
    exchange_ns: int
    price: Decimal
    quantity: Decimal
    side: str
    place: int


Prints = dict[str, dict[str, Print]]
"""By "venue|market|symbol", then by trade id, in the order they were printed."""
_decoder = msgspec.json.Decoder(_Line)


def read_ledger(path: Path, symbols: Mapping[tuple[str, str], str]) -> Prints:
    """Every whole line; `symbols` by (venue, listing). A last line without its end was being written: left out.

    Raises BadRecord for a line that is none, KeyError for a listing that nobody asked for.
    """
    found: Prints = {}
    place = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            try:
                one = _decoder.decode(line)
            except msgspec.MsgspecError as error:
                raise BadRecord(f"{path}: expected a trade at byte {place}, found {line[:80]!r}: {error}") from error
            name = f"{one.venue}|{one.market}|{symbols[one.venue, one.listing]}"
            found.setdefault(name, {})[one.trade_id] = Print(
                one.trade_id, one.exchange_ns, one.price, one.quantity, one.side, place
            )
            place += len(line)
    return found


class Candle(NamedTuple):
    """What a window's prints make; named as the fields of a bar."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    buy_volume: Decimal
    trade_count: int
    vwap: Decimal
    first_trade_id: str
    last_trade_id: str


def candles(prints: Iterable[tuple[str, Print]], size_ns: int) -> dict[int, Candle]:
    """Candles by the start of their window, of (venue, print) in any order."""
    windows: dict[int, list[tuple[int, str, int, Print]]] = {}
    for venue, one in prints:
        start_ns = one.exchange_ns // size_ns * size_ns
        windows.setdefault(start_ns, []).append((one.exchange_ns, venue, int(one.trade_id), one))
    return {start_ns: _candle([one for *_, one in sorted(found)]) for start_ns, found in windows.items()}


def _candle(prints: list[Print]) -> Candle:
    with localcontext(prec=_EXACT):
        volume = sum((one.quantity for one in prints), Decimal(0))
        quote = sum((one.price * one.quantity for one in prints), Decimal(0))
        bought = sum((one.quantity for one in prints if one.side == "buy"), Decimal(0))
    prices = [one.price for one in prints]
    edges = (prints[0].trade_id, prints[-1].trade_id)
    sums = (volume, quote, bought, len(prints), _VWAP.divide(quote, volume))
    return Candle(prices[0], max(prices), min(prices), prices[-1], *sums, *edges)

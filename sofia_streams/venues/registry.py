"""Each venue's parser and symbol rule by name; the only list."""

from __future__ import annotations

from collections.abc import Callable

from sofia_streams.model import Market
from sofia_streams.venues.base import Parse
from sofia_streams.venues.binance.parse import parse as parse_binance
from sofia_streams.venues.bybit.parse import parse as parse_bybit
from sofia_streams.venues.coinbase.parse import parse as parse_coinbase
from sofia_streams.venues.okx.parse import parse as parse_okx
from sofia_streams.venues.symbols import from_dashed, from_joined

PARSE: dict[str, Parse] = {
    "binance": parse_binance,
    "okx": parse_okx,
    "coinbase": parse_coinbase,
    "bybit": parse_bybit,
}
UNIFIED: dict[str, Callable[[str, Market], str]] = {
    "binance": from_joined,
    "okx": from_dashed,
    "coinbase": from_dashed,
    "bybit": from_joined,
}

"""Each venue's protocol by name; the only list."""

from __future__ import annotations

from sofia_streams.errors import ConfigError
from sofia_streams.venues import symbols
from sofia_streams.venues.base import Venue
from sofia_streams.venues.binance import encode as binance_encode
from sofia_streams.venues.binance import rest as binance_rest
from sofia_streams.venues.binance import subscribe as binance_subscribe
from sofia_streams.venues.binance.parse import parse as parse_binance
from sofia_streams.venues.bybit import encode as bybit_encode
from sofia_streams.venues.bybit import rest as bybit_rest
from sofia_streams.venues.bybit import subscribe as bybit_subscribe
from sofia_streams.venues.bybit.parse import TRADES_PER_FRAME_MAX
from sofia_streams.venues.bybit.parse import parse as parse_bybit
from sofia_streams.venues.coinbase import encode as coinbase_encode
from sofia_streams.venues.coinbase import rest as coinbase_rest
from sofia_streams.venues.coinbase import subscribe as coinbase_subscribe
from sofia_streams.venues.coinbase.parse import parse as parse_coinbase
from sofia_streams.venues.okx import encode as okx_encode
from sofia_streams.venues.okx import rest as okx_rest
from sofia_streams.venues.okx import subscribe as okx_subscribe
from sofia_streams.venues.okx.parse import parse as parse_okx

VENUES: dict[str, Venue] = {
    "binance": Venue(
        parse=parse_binance,
        url=binance_subscribe.url,
        requests=binance_subscribe.requests,
        answers=binance_subscribe.answers,
        sent_as=symbols.sent_as_itself,
        to_listing=symbols.to_binance,
        from_listing=symbols.from_joined,
        encode_trade=binance_encode.encode_trade,
        encode_ticker=binance_encode.encode_ticker,
        read_trade=binance_rest.read_trade,
        write_trade=binance_rest.write_trade,
        answer=binance_encode.answer,
        heartbeat=binance_encode.heartbeat,
        limits=binance_subscribe.LIMITS,
    ),
    "okx": Venue(
        parse=parse_okx,
        url=okx_subscribe.url,
        requests=okx_subscribe.requests,
        answers=okx_subscribe.answers,
        sent_as=symbols.sent_as_itself,
        to_listing=symbols.to_okx,
        from_listing=symbols.from_dashed,
        encode_trade=okx_encode.encode_trade,
        encode_ticker=okx_encode.encode_ticker,
        read_trade=okx_rest.read_trade,
        write_trade=okx_rest.write_trade,
        answer=okx_encode.answer,
        heartbeat=okx_encode.heartbeat,
        limits=okx_subscribe.LIMITS,
    ),
    "coinbase": Venue(
        parse=parse_coinbase,
        url=coinbase_subscribe.url,
        requests=coinbase_subscribe.requests,
        answers=coinbase_subscribe.answers,
        sent_as=symbols.coinbase_sent_as,
        to_listing=symbols.to_coinbase,
        from_listing=symbols.from_dashed,
        encode_trade=coinbase_encode.encode_trade,
        encode_ticker=coinbase_encode.encode_ticker,
        read_trade=coinbase_rest.read_trade,
        write_trade=coinbase_rest.write_trade,
        answer=coinbase_encode.answer,
        heartbeat=coinbase_encode.heartbeat,
        limits=coinbase_subscribe.LIMITS,
    ),
    "bybit": Venue(
        parse=parse_bybit,
        url=bybit_subscribe.url,
        requests=bybit_subscribe.requests,
        answers=bybit_subscribe.answers,
        sent_as=symbols.sent_as_itself,
        to_listing=symbols.to_bybit,
        from_listing=symbols.from_bybit,
        encode_trade=bybit_encode.encode_trade,
        encode_ticker=bybit_encode.encode_ticker,
        read_trade=bybit_rest.read_trade,
        write_trade=bybit_rest.write_trade,
        answer=bybit_encode.answer,
        heartbeat=bybit_encode.heartbeat,
        limits=bybit_subscribe.LIMITS,
        ids_count=False,
        places_a_sequence=TRADES_PER_FRAME_MAX,
    ),
}


def check_venue(name: str) -> Venue:
    """The venue of that name. Raises ConfigError that lists all."""
    if name not in VENUES:
        raise ConfigError(f"venue: expected one of {', '.join(VENUES)}, found {name[:40]!r}.")
    return VENUES[name]

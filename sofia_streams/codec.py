"""Records to bytes and back: JSON with exact decimals as numbers, readable in any Kafka console.

Times stay int nanoseconds. What it does not do: venue frames (`venues`), capture lines (`capture`).
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from sofia_streams.core.windows import Row
from sofia_streams.errors import BadRecord
from sofia_streams.model import Alert, Bar, Gap, Outage, Progress, Punctuation, Ticker, TradeBatch

T = TypeVar("T")

_encoder = msgspec.json.Encoder(decimal_format="number")
_trades: msgspec.json.Decoder[TradeBatch | Punctuation | Gap] = msgspec.json.Decoder(TradeBatch | Punctuation | Gap)
_bar = msgspec.json.Decoder(Bar)
_ticker = msgspec.json.Decoder(Ticker)
_gap = msgspec.json.Decoder(Gap)
_outage = msgspec.json.Decoder(Outage)
_alert = msgspec.json.Decoder(Alert)
_progress = msgspec.json.Decoder(Progress)
_row: msgspec.json.Decoder[Row] = msgspec.json.Decoder(Row)


def encode(record: object) -> bytes:
    """Any record of ours as JSON."""
    return _encoder.encode(record)


def decode_trades(data: bytes | None) -> TradeBatch | Punctuation | Gap:
    """A record of `trades`. Raises BadRecord."""
    return _decode(_trades, data, "a record of `trades`")


def decode_bar(data: bytes | None) -> Bar:
    """A record of `bars`. Raises BadRecord."""
    return _decode(_bar, data, "a record of `bars`")


def decode_ticker(data: bytes | None) -> Ticker:
    """A record of `tickers`. Raises BadRecord."""
    return _decode(_ticker, data, "a record of `tickers`")


def decode_gap(data: bytes | None) -> Gap:
    """A record of `gaps`. Raises BadRecord."""
    return _decode(_gap, data, "a record of `gaps`")


def decode_outage(data: bytes | None) -> Outage:
    """A record of `outages`. Raises BadRecord."""
    return _decode(_outage, data, "a record of `outages`")


def decode_alert(data: bytes | None) -> Alert:
    """A record of `alerts`. Raises BadRecord."""
    return _decode(_alert, data, "a record of `alerts`")


def decode_progress(data: bytes | None) -> Progress:
    """A record of `health`. Raises BadRecord."""
    return _decode(_progress, data, "a record of `health`")


def decode_row(data: bytes | None) -> Row:
    """A row of the `ohlcv` table. Raises BadRecord."""
    return _decode(_row, data, "a row of the ohlcv table")


def _decode(decoder: msgspec.json.Decoder[T], data: bytes | None, expected: str) -> T:
    try:
        return decoder.decode(data or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadRecord(
            f"expected {expected}, found {(data or b'')[:80]!r} ({error}). It is put into `quarantine`; "
            "`sofia topics tail quarantine` shows it."
        ) from error

"""Records to bytes and back: JSON with exact decimals as numbers, readable in any Kafka console.

Times stay int nanoseconds. Whoever may write into the log may write anything, so values are checked as well as types: a
decoder takes "NaN" and 1e999999999 for a decimal, and a step that adds those up would end its worker, for ever again.
What it does not do: venue frames (`venues`), capture lines (`capture`).
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import TypeVar

import msgspec

from sofia_streams import codec_checks as checks
from sofia_streams.core.bars.windows import Row
from sofia_streams.core.oms.steps import AccountRow, Sealed, Snapshot
from sofia_streams.core.signals.in_force import ChosenRow
from sofia_streams.core.signals.rolling import OpenRow, RollingRow
from sofia_streams.errors import BadRecord
from sofia_streams.model import Alert, Bar, Gap, Outage, Progress, Punctuation, Ticker, TradeBatch
from sofia_streams.paper import Account, Command, Fill, Order, Taken
from sofia_streams.scored import Activation, History, Refusal, Scored, Signal, Silence

T = TypeVar("T")
InBars = Bar | Activation | History | Silence
"""What stands in `bars`: bars, and what is said to those who follow them, in order with them."""
InAccount = Account | Taken | Snapshot
"""What stands in `account`."""
InSignals = Signal | Silence
"""What stands in `signals`, in the order of the bars it follows from."""
AnyRow = Row | RollingRow | OpenRow | ChosenRow | Sealed


class _Name(msgspec.Struct):
    venue: str
    market: str
    symbol: str


_encoder = msgspec.json.Encoder(decimal_format="number")
_trades: msgspec.json.Decoder[TradeBatch | Punctuation | Gap] = msgspec.json.Decoder(TradeBatch | Punctuation | Gap)
_name = msgspec.json.Decoder(_Name)
_bars: msgspec.json.Decoder[InBars] = msgspec.json.Decoder(InBars)
_signals: msgspec.json.Decoder[InSignals] = msgspec.json.Decoder(InSignals)
_scored: msgspec.json.Decoder[Scored] = msgspec.json.Decoder(Scored)
_models: msgspec.json.Decoder[Activation | Refusal] = msgspec.json.Decoder(Activation | Refusal)
_ticker = msgspec.json.Decoder(Ticker)
_gap = msgspec.json.Decoder(Gap)
_outage = msgspec.json.Decoder(Outage)
_alert = msgspec.json.Decoder(Alert)
_progress = msgspec.json.Decoder(Progress)
_order = msgspec.json.Decoder(Order)
_fill = msgspec.json.Decoder(Fill)
_account: msgspec.json.Decoder[InAccount] = msgspec.json.Decoder(InAccount)
_command = msgspec.json.Decoder(Command)
_books = msgspec.json.Decoder(AccountRow)
_row: msgspec.json.Decoder[AnyRow] = msgspec.json.Decoder(AnyRow)


def encode(record: object) -> bytes:
    """Any record of ours as JSON."""
    return _encoder.encode(record)


def encode_parts(batch: TradeBatch, bytes_max: int) -> list[bytes]:
    """A batch as one record, or as several in its order, none of which is larger. A single trade is never cut."""
    data = encode(batch)
    half = len(batch.trades) // 2
    if len(data) <= bytes_max or not half:
        return [data]
    parts = [batch.trades[:half], batch.trades[half:]]
    return [data for trades in parts for data in encode_parts(msgspec.structs.replace(batch, trades=trades), bytes_max)]


def decode_trades(data: bytes | None) -> TradeBatch | Punctuation | Gap:
    """A record of `trades`. Raises BadRecord."""
    return _decode(_trades, data, "a record of `trades`", checks.check_trades)


def name_in(data: bytes | None) -> tuple[str, str, str] | None:
    """Venue, market and symbol of a record of `trades`, as they stand there; None where they do not.

    Says nothing of the rest, and makes no trades: for who wants few of many records.
    """
    try:
        found = _name.decode(data or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return found.venue, found.market, found.symbol


def decode_bars(data: bytes | None) -> InBars:
    """A record of `bars`. Raises BadRecord."""
    return _decode(_bars, data, "a record of `bars`", checks.check_in_bars)


def decode_bar(data: bytes | None) -> Bar | None:
    """A record of `bars`, for who wants only bars; None for another one. Raises BadRecord."""
    found = decode_bars(data)
    return found if isinstance(found, Bar) else None


def decode_scored(data: bytes | None) -> Scored:
    """A record of `features`, `predictions` or `model_quality`, or a signal. Raises BadRecord."""
    expected = "a record of `features`, `predictions`, `signals` or `model_quality`"
    return _decode(_scored, data, expected, checks.check_scored)


def decode_signals(data: bytes | None) -> InSignals:
    """A record of `signals`. Raises BadRecord."""
    return _decode(_signals, data, "a record of `signals`", checks.check_in_signals)


def decode_models(data: bytes | None) -> Activation | Refusal:
    """A record of `models`. Raises BadRecord."""
    return _decode(_models, data, "a record of `models`")


def decode_ticker(data: bytes | None) -> Ticker:
    """A record of `tickers`. Raises BadRecord."""
    return _decode(_ticker, data, "a record of `tickers`", checks.check_ticker)


def decode_gap(data: bytes | None) -> Gap:
    """A record of `gaps`. Raises BadRecord."""
    return _decode(_gap, data, "a record of `gaps`", checks.check_trades)


def decode_orders(data: bytes | None) -> Order:
    """A record of `orders`. Raises BadRecord."""
    return _decode(_order, data, "a record of `orders`", checks.check_order)


def decode_fills(data: bytes | None) -> Fill:
    """A record of `fills`. Raises BadRecord."""
    return _decode(_fill, data, "a record of `fills`", checks.check_fill)


def decode_account(data: bytes | None) -> InAccount:
    """A record of `account`. Raises BadRecord."""
    return _decode(_account, data, "a record of `account`", checks.check_account)


def decode_control(data: bytes | None) -> Command:
    """A record of `control`. Raises BadRecord."""
    return _decode(_command, data, "a record of `control`", checks.check_command)


def decode_outage(data: bytes | None) -> Outage:
    """A record of `outages`. Raises BadRecord."""
    return _decode(_outage, data, "a record of `outages`")


def decode_alert(data: bytes | None) -> Alert:
    """A record of `alerts`. Raises BadRecord."""
    return _decode(_alert, data, "a record of `alerts`")


def decode_progress(data: bytes | None) -> Progress:
    """A record of `health`. Raises BadRecord."""
    return _decode(_progress, data, "a record of `health`")


def decode_row(data: bytes | None) -> AnyRow:
    """A row of a worker's table. Raises BadRecord."""
    return _decode(_row, data, "a row of a worker's table", checks.check_row)


def seal(row: AccountRow) -> bytes:
    """The account's row as bytes that show whether they were changed: one that was would be traded on."""
    body = encode(row)
    return encode(Sealed(_digest(body), msgspec.Raw(body)))


def opened(data: bytes) -> AccountRow:
    """What `seal` closed. Raises BadRecord."""
    sealed = decode_row(data)
    found = f"a row that is no account's: {data[:80]!r}"
    if isinstance(sealed, Sealed):
        if (digest := _digest(bytes(sealed.row))) == sealed.digest:
            return _decode(_books, bytes(sealed.row), "the account's row")
        found = f"digest {digest} of bytes that were written as {sealed.digest[:40]!r}"
    raise BadRecord(
        f"expected the row of the table `account`, found {found}. The account's state is damaged; `sofia parity` "
        "computes from the log what it should be, docs/paper_trading.md says how an account begins anew."
    )


def _digest(body: bytes) -> str:
    return blake2b(body, digest_size=16).hexdigest()


def _decode(
    decoder: msgspec.json.Decoder[T], data: bytes | None, expected: str, check: Callable[[T], None] | None = None
) -> T:
    try:
        record = decoder.decode(data or b"")
        if check is not None:
            check(record)
        return record
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError) as error:
        raise BadRecord(
            f"expected {expected}, found {(data or b'')[:80]!r} ({str(error)[:300]}). It is put into `quarantine`; "
            "`sofia topics tail quarantine` shows it."
        ) from error

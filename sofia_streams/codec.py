"""Records to bytes and back: JSON with exact decimals as numbers, readable in any Kafka console.

Times stay int nanoseconds. Whoever may write into the log may write anything, so values are checked as well as types: a
decoder takes "NaN" and 1e999999999 for a decimal, and a step that adds those up would end its worker, for ever again.
What it does not do: venue frames (`venues`), capture lines (`capture`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import TypeVar

import msgspec

from sofia_streams.core.bars.windows import SIZE_NAME, Feed, Row, Window
from sofia_streams.core.signals.in_force import ChosenRow
from sofia_streams.core.signals.rolling import OpenRow, RollingRow
from sofia_streams.errors import BadRecord
from sofia_streams.model import Alert, Bar, Gap, Outage, Progress, Punctuation, Ticker, TradeBatch
from sofia_streams.scored import Activation, History, ModelQuality, Refusal, Scored, Signal

T = TypeVar("T")
InBars = Bar | Activation | History
"""What stands in `bars`: bars, and what is said to those who follow them, in order with them."""
AnyRow = Row | RollingRow | OpenRow | ChosenRow


class _Name(msgspec.Struct):
    venue: str
    market: str
    symbol: str


_encoder = msgspec.json.Encoder(decimal_format="number")
_trades: msgspec.json.Decoder[TradeBatch | Punctuation | Gap] = msgspec.json.Decoder(TradeBatch | Punctuation | Gap)
_name = msgspec.json.Decoder(_Name)
_bars: msgspec.json.Decoder[InBars] = msgspec.json.Decoder(InBars)
_scored: msgspec.json.Decoder[Scored] = msgspec.json.Decoder(Scored)
_models: msgspec.json.Decoder[Activation | Refusal] = msgspec.json.Decoder(Activation | Refusal)
_ticker = msgspec.json.Decoder(Ticker)
_gap = msgspec.json.Decoder(Gap)
_outage = msgspec.json.Decoder(Outage)
_alert = msgspec.json.Decoder(Alert)
_progress = msgspec.json.Decoder(Progress)
_row: msgspec.json.Decoder[AnyRow] = msgspec.json.Decoder(AnyRow)
_SMALLEST, _LARGEST = Decimal("1e-20"), Decimal("1e20")
"""What `model.positive_from_text` takes."""
_EXPONENT_MAX = 64
_NS_MAX = 2**63 - 1
_NAME_CHARS_MAX = 64
_PRICES = ("open", "high", "low", "close", "vwap")
_SUMS = ("volume", "quote_volume", "buy_volume")


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
    return _decode(_trades, data, "a record of `trades`", _check_trades)


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
    return _decode(_bars, data, "a record of `bars`", _check_in_bars)


def decode_bar(data: bytes | None) -> Bar | None:
    """A record of `bars`, for who wants only bars; None for another one. Raises BadRecord."""
    found = decode_bars(data)
    return found if isinstance(found, Bar) else None


def decode_scored(data: bytes | None) -> Scored:
    """A record of `features`, `predictions`, `signals` or `model_quality`. Raises BadRecord."""
    return _decode(_scored, data, "a record of `features`, `predictions`, `signals` or `model_quality`", _check_scored)


def decode_models(data: bytes | None) -> Activation | Refusal:
    """A record of `models`. Raises BadRecord."""
    return _decode(_models, data, "a record of `models`")


def decode_ticker(data: bytes | None) -> Ticker:
    """A record of `tickers`. Raises BadRecord."""
    return _decode(_ticker, data, "a record of `tickers`", _check_ticker)


def decode_gap(data: bytes | None) -> Gap:
    """A record of `gaps`. Raises BadRecord."""
    return _decode(_gap, data, "a record of `gaps`", _check_trades)


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
    return _decode(_row, data, "a row of a worker's table", _check_row)


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


def _check_trades(record: TradeBatch | Punctuation | Gap) -> None:
    """Raises ValueError; ArithmeticError for a price that is not a number."""
    _check_name(record)
    if isinstance(record, TradeBatch):
        trades = record.trades
        times_ns = [trade.exchange_ns for trade in trades]
        for values in ([trade.price for trade in trades], [trade.quantity for trade in trades]):
            _check_prices(values)
    elif isinstance(record, Gap):
        times_ns = [record.from_ns, record.until_ns or 0]
        _check_numbers({"missing_volume": record.missing_volume})
        if record.first_id and not 0 <= int(record.first_id) <= int(record.last_id):
            raise ValueError("a last id before the first")
    else:
        times_ns = [record.exchange_ns]
    _check_times([record.received_ns, *times_ns])


def _check_bar(bar: Bar) -> None:
    _check_name(bar)
    if bar.size_ns not in SIZE_NAME:
        raise ValueError(f"a size of {str(bar.size_ns)[:40]} ns")
    _check_times([bar.start_ns])
    _check_numbers({name: getattr(bar, name) for name in (*_PRICES, *_SUMS)})
    is_quiet = not bar.trade_count
    if bar.trade_count < 0 or any((getattr(bar, name) is None) is not is_quiet for name in _PRICES):
        raise ValueError("prices that do not go with the number of trades")
    if not is_quiet:
        _check_prices([getattr(bar, name) for name in _PRICES[:4]])


def _check_ticker(ticker: Ticker) -> None:
    _check_name(ticker)
    _check_times([ticker.received_ns, ticker.exchange_ns or 0])
    values = {name: getattr(ticker, name) for name in ticker.__struct_fields__}
    _check_numbers({name: value for name, value in values.items() if isinstance(value, Decimal)})


def _check_in_bars(record: InBars) -> None:
    if isinstance(record, Bar):
        _check_bar(record)
    elif isinstance(record, Activation):
        _check_times([record.from_ns, record.said_ns])
    else:
        _check_history(record)


def _check_history(history: History) -> None:
    _check_label(history.symbol)
    starts = [kline.start_ns for kline in history.klines]
    _check_times([history.received_ns, *starts])
    if history.size_ns not in SIZE_NAME or any(one % history.size_ns for one in starts):
        raise ValueError("candles that do not start where windows do")
    if any(later <= sooner for sooner, later in pairwise(starts)):
        raise ValueError("candles that do not ascend")
    for kline in history.klines:
        _check_prices((kline.open, kline.high, kline.low, kline.close))
        _check_numbers({name: getattr(kline, name) for name in _SUMS})


def _check_scored(record: Scored) -> None:
    _check_label(record.symbol)
    _check_times([record.start_ns])
    if not isinstance(record, ModelQuality) and record.size_ns not in SIZE_NAME:
        raise ValueError(f"a size of {str(record.size_ns)[:40]} ns")
    if isinstance(record, Signal) and record.close is not None:
        _check_prices((record.close,))


def _check_row(row: AnyRow) -> None:
    windows = [row] if isinstance(row, Window) else row.open.values() if isinstance(row, Feed) else []
    for sums in [window.sums for window in windows if window.sums is not None]:
        _check_numbers({"first": sums.first.price, "last": sums.last.price})
        _check_numbers({name: getattr(sums, name) for name in ("high", "low", *_SUMS)})


def _check_name(record: TradeBatch | Punctuation | Gap | Bar | Ticker) -> None:
    """Names stand in keys (`venue|market|symbol`), in streams and in tables."""
    for name in (record.venue, record.symbol):
        _check_label(name)


def _check_label(name: str) -> None:
    if not (0 < len(name) <= _NAME_CHARS_MAX and name.isprintable()) or "|" in name:
        raise ValueError(f"a name that none can be: {name[:40]!r}")


def _check_times(times_ns: list[int]) -> None:
    if times_ns and not 0 <= min(times_ns) <= max(times_ns) <= _NS_MAX:
        raise ValueError("a time outside of 1970 to 2262")


def _check_prices(values: Sequence[Decimal]) -> None:
    if values and not _SMALLEST <= min(values) <= max(values) < _LARGEST:
        raise ValueError("a price or quantity that none can be")


def _check_numbers(found: dict[str, Decimal | None]) -> None:
    for name, value in found.items():
        if value is None:
            continue
        if not value.is_finite() or value.is_signed() or abs(value.adjusted()) > _EXPONENT_MAX:
            raise ValueError(f"a number that {name} cannot be")

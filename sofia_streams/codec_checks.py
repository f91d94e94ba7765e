"""What the values of a decoded record may be: names, times, numbers. Pure; raises ValueError or ArithmeticError.

Types are the decoder's business (`codec`). What it does not do: ask whether a record is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

from sofia_streams.core.bars.windows import SIZE_NAME, Feed, Row, Window
from sofia_streams.core.oms.steps import Sealed, Snapshot
from sofia_streams.core.signals.in_force import ChosenRow
from sofia_streams.core.signals.rolling import OpenRow, RollingRow
from sofia_streams.model import Bar, Gap, Punctuation, Ticker, TradeBatch
from sofia_streams.paper import REASON_CHARS_MAX, Account, Command, Fill, Order, Taken
from sofia_streams.scored import Activation, History, ModelQuality, Scored, Signal, Silence

_SMALLEST, _LARGEST = Decimal("1e-20"), Decimal("1e20")
"""What `model.positive_from_text` takes."""
_EXPONENT_MAX = 64
_NS_MAX = 2**63 - 1
_NAME_CHARS_MAX = 64
_PRICES = ("open", "high", "low", "close", "vwap")
_SUMS = ("volume", "quote_volume", "buy_volume")


def check_trades(record: TradeBatch | Punctuation | Gap) -> None:
    """A record of `trades` or `gaps`. Raises ValueError; ArithmeticError for a price that is not a number."""
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


def check_ticker(ticker: Ticker) -> None:
    """A record of `tickers`. Raises as `check_trades`."""
    _check_name(ticker)
    _check_times([ticker.received_ns, ticker.exchange_ns or 0])
    values = {name: getattr(ticker, name) for name in ticker.__struct_fields__}
    _check_numbers({name: value for name, value in values.items() if isinstance(value, Decimal)})


def check_in_bars(record: Bar | Activation | History | Silence) -> None:
    """A record of `bars`. Raises as `check_trades`."""
    if isinstance(record, Bar):
        _check_bar(record)
    elif isinstance(record, Activation):
        _check_times([record.from_ns, record.said_ns])
    elif isinstance(record, Silence):
        _check_silence(record)
    else:
        _check_history(record)


def check_in_signals(record: Signal | Silence) -> None:
    """A record of `signals`. Raises as `check_trades`."""
    if isinstance(record, Silence):
        _check_silence(record)
    else:
        check_scored(record)


def _check_silence(silence: Silence) -> None:
    _check_label(silence.symbol)
    _check_times([silence.until_ns])


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


def check_scored(record: Scored) -> None:
    """What is said behind bars. Raises as `check_trades`."""
    _check_label(record.symbol)
    _check_times([record.start_ns])
    if not isinstance(record, ModelQuality) and record.size_ns not in SIZE_NAME:
        raise ValueError(f"a size of {str(record.size_ns)[:40]} ns")
    if isinstance(record, Signal) and record.close is not None:
        _check_prices((record.close,))


def check_row(row: Row | RollingRow | OpenRow | ChosenRow | Sealed) -> None:
    """A row of a worker's table. Raises as `check_trades`."""
    windows = [row] if isinstance(row, Window) else row.open.values() if isinstance(row, Feed) else []
    for sums in [window.sums for window in windows if window.sums is not None]:
        _check_numbers({"first": sums.first.price, "last": sums.last.price})
        _check_numbers({name: getattr(sums, name) for name in ("high", "low", *_SUMS)})


def check_order(order: Order) -> None:
    """A record of `orders`. Raises as `check_trades`. A venue may be unknown of what was rejected."""
    for name in (order.order_id, order.symbol, order.account, *([order.venue] if order.status != "rejected" else [])):
        _check_label(name)
    _check_times([order.created_ns, order.at_ns, order.active_ns, order.expires_ns, order.revision])
    _check_times([order.signal_start_ns, order.signal_size_ns])
    own = ("quantity", "filled_quantity", "notional_quote", "limit_price", "stop_price", "decision_mid")
    _check_numbers({name: getattr(order, name) for name in own})
    _check_money({"fees_quote": order.fees_quote})
    if order.filled_quantity > order.quantity:
        raise ValueError("more filled than was ordered")


def check_fill(fill: Fill) -> None:
    """A record of `fills`. Raises as `check_trades`. Fees and slippage may be below 0: a rebate, a better price."""
    for name in (fill.fill_id, fill.order_id, fill.venue, fill.symbol, fill.account):
        _check_label(name)
    _check_times([fill.at_ns])
    _check_prices((fill.quantity, fill.price))
    _check_numbers({"decision_mid": fill.decision_mid, "arrival_mid": fill.arrival_mid})
    _check_money({name: getattr(fill, name) for name in ("fee_quote", "fee_rate", "realised_quote", "slippage_bps")})


def check_account(record: Account | Taken | Snapshot) -> None:
    """A record of `account`. Raises as `check_trades`. Money, and a position that is short, may be below 0."""
    if isinstance(record, Taken):
        _check_label(record.input)
        _check_times([record.number, record.serial + 1, record.at_ns])
        return
    if isinstance(record, Snapshot):
        _check_times([record.at_ns, *record.offsets.values()])
        return
    _check_label(record.account)
    _check_times([record.serial, record.at_ns, record.open_orders, *(one.opened_ns for one in record.positions)])
    for held in (record, *record.positions):
        values = {name: getattr(held, name) for name in held.__struct_fields__}
        _check_money({name: value for name, value in values.items() if isinstance(value, Decimal)})
    for position in record.positions:
        _check_label(position.symbol)
        _check_numbers({"mark": position.mark})


def check_command(command: Command) -> None:
    """A record of `control`. Raises as `check_trades`."""
    _check_label(command.command_id)
    _check_label(command.by)
    _check_times([command.said_ns])
    if len(command.reason) > REASON_CHARS_MAX or not command.reason.isprintable():
        raise ValueError(f"a reason of over {REASON_CHARS_MAX} letters, or with some that cannot be shown")


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


def _check_money(found: dict[str, Decimal | None]) -> None:
    """As `_check_numbers`, of what may be below 0."""
    _check_numbers({name: None if value is None else value.copy_abs() for name, value in found.items()})

"""A small market for tests of the paper OMS: records that are quickly made, and whole sequences of them from bytes.

What it does not do: say what the engine must answer (`oms_invariants`, the tests).
"""

from decimal import Decimal
from typing import Any, NamedTuple

from sofia_streams.core.oms.desk import Request
from sofia_streams.core.oms.engine import BarSeen, Engine
from sofia_streams.core.oms.rules import Costs, Limits, Lot, Rules, Strategy
from sofia_streams.model import NS_PER_DAY, NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND, Gap, Ticker, Trade
from sofia_streams.paper import Command
from sofia_streams.scored import Signal

MIDNIGHT = 20_789 * NS_PER_DAY  # 2026-12-02
T0 = MIDNIGHT - 2 * NS_PER_MINUTE
SYMBOLS, VENUES = ("BTC/USDT", "ETH/USDT"), ("binance", "okx")
S = NS_PER_SECOND


def ticker(at_ns, bid, ask, size="100", symbol="BTC/USDT", venue="binance", volume=None, state="said"):
    """A quote; `None` for a side that is empty."""
    sides = [None if one is None else Decimal(str(one)) for one in (bid, ask)]
    shown = None if size is None else Decimal(str(size))
    return Ticker(
        venue, "spot", symbol, at_ns, bid=sides[0], ask=sides[1], bid_quantity=shown, ask_quantity=shown, state=state,
        volume_24h=None if volume is None else Decimal(str(volume)),
    )  # fmt: skip


def trade(at_ns, price, quantity, side="buy", name=None, order=0):
    """A print; of one time, the `order` is told."""
    return Trade(name or f"t{at_ns}", Decimal(str(price)), Decimal(str(quantity)), side, at_ns, order)


def signal(end_ns, action, symbol="BTC/USDT", confidence=0.7, close=100, size_ns=NS_PER_MINUTE):
    """What a model says of the bar that ends at `end_ns`."""
    return Signal(
        "spot", symbol, size_ns, end_ns - size_ns, action, "", Decimal(str(close)), confidence, "m1", f"bars/0/{end_ns}"
    )


def command(at_ns, action, name="c1"):
    """Somebody halts or resumes."""
    return Command(name, action, "looked odd", "ann", at_ns)


def gap(at_ns, state="open", until_ns=None, name="g1", symbol="BTC/USDT", venue="binance"):
    """A hole in the trades."""
    return Gap(venue, "spot", symbol, at_ns, "L0", name, "outage", state, at_ns, until_ns)


class Event(NamedTuple):
    """One call of the engine."""

    name: str
    at_ns: int
    what: Any
    venue: str = ""
    symbol: str = ""


def play(engine: Engine, event: Event) -> None:
    """Give the engine one event. Call it inside `money.exact()`."""
    name, at_ns, what = event.name, event.at_ns, event.what
    if name == "trade":
        engine.trade(event.venue, "spot", event.symbol, what, at_ns, "trades/0/1")
    elif name == "place":
        engine.finish(at_ns)
        engine._desk.place(what, at_ns)
    elif name == "bar":
        engine.bar_opens(what)
        engine.bar_closes(what)
    elif name == "finish":
        engine.finish(at_ns)
    else:
        getattr(engine, name)(what, at_ns)


_MS = NS_PER_MS
_STEPS = (0, *[50 * _MS] * 3, *[200 * _MS] * 3, *[400 * _MS] * 3, 700 * _MS, S, 1300 * _MS, 2 * S, 3 * S)
_RARE_STEPS = (-2 * S, 20 * S, 61 * S, 61 * S, 700 * S, NS_PER_DAY // 2, -(S // 10), 2 * S)
_SPREADS = (1, 1, 1, 2, 2, 4, 8, 1, 1, 2, 1, 1, 0, -2, None, 1)
_SIZES = ("0.5", "1", "3", "10", "40", "100", "1000", None)
_VOLUMES = ("0.01", "0.3", "1", "2.5", "7", "20", "80", "300")
_QUANTITIES = ("0.001", "0.0137", "0.5", "1", "1", "2.5", "9", "40")
_ACTIONS = ("buy", "buy", "buy", "sell", "sell", "hold", "abstain", "buy")
_TYPES, _TIMES = ("market", "limit", "limit", "stop"), ("gtc", "ioc", "fok", "day", "gtd", "gtd", "gtc", "ioc")
_KINDS = (*["ticker"] * 6, *["trade"] * 4, "signal", "signal", "place", "place", "gap", "command")


def rules_of(head: bytes) -> tuple[Rules, dict[tuple[str, str], Lot]]:
    """Rules and lots by five bytes, each of whose bits chooses something."""
    one, two, three, four, five = head
    costs = Costs(
        latency_ns=(1250 * _MS, 200 * _MS)[one & 1], queue_position=bool(one & 2), impact=Decimal(one >> 2 & 1),
        participation=(Decimal("0.1"), Decimal(1))[one >> 3 & 1],
    )  # fmt: skip
    limits = Limits(
        short_enabled=bool(one & 16), position_share=(Decimal("0.1"), Decimal("0.5"), Decimal(1), Decimal(3))[two & 3],
        gross_share=(Decimal(1), Decimal(4))[four >> 2 & 1],
        order_notional_quote=(Decimal(1000), Decimal(100_000))[two >> 2 & 1], orders_per_second=(5, 2)[two >> 3 & 1],
        open_orders_max=(20, 3)[two >> 4 & 1], daily_loss=(Decimal("0.02"), Decimal("0.0005"))[two >> 5 & 1],
        drawdown=(Decimal("0.1"), Decimal("0.001"))[two >> 6 & 1], losses_max=(5, 1)[two >> 7],
    )  # fmt: skip
    strategy = Strategy(
        policy=("follow", "fade")[three & 1], sizing=("fixed", "volatility", "kelly", "fixed")[three >> 1 & 3],
        size_share=(Decimal("0.05"), Decimal("0.4"))[three >> 3 & 1], order_type=("market", "limit")[three >> 4 & 1],
        take_profit_bps=Decimal((0, 40)[three >> 5 & 1]), stop_loss_bps=Decimal((0, 60)[three >> 6 & 1]),
        time_exit_bars=(0, 2)[three >> 7],
    )  # fmt: skip
    fees = (("binance", Decimal(2), Decimal(10)), ("okx", Decimal(30), Decimal(5))) if four & 1 else ()
    lots = {}
    if four & 2:
        lots = {
            ("binance", "BTC/USDT"): Lot(Decimal("0.5"), Decimal("0.001"), Decimal("0.001"), Decimal(5)),
            ("okx", "BTC/USDT"): Lot(Decimal("0.01"), Decimal("0.01"), Decimal("0.01")),
        }
    start = Decimal((10_000, 1_000)[five & 1])
    return Rules(start, costs=costs, limits=limits, strategy=strategy, fees=fees), lots


def events_of(data: bytes) -> list[Event]:
    """Events by four bytes each behind the head: what and where, how much later, and two that fill it in. The market is
    quotes and prints, or bars instead of both.
    """
    found, now_ns, ends = [], T0, dict.fromkeys(SYMBOLS, T0 - S)
    on_bars = data[4] & 6 == 6
    for place in range(5, len(data) - 3, 4):
        kind, step, one, two = data[place : place + 4]
        name, venue = _KINDS[kind & 15], VENUES[kind >> 4 & 1 & kind >> 5]
        if on_bars and name in ("ticker", "trade"):
            name = "bar"
        if name == "gap" and two & 4:
            name = "finish"
        if not on_bars or step < 64:
            now_ns += _STEPS[step & 15] if step & 15 < 15 else _RARE_STEPS[step >> 5]
        found.append(_event(name, now_ns, venue, SYMBOLS[kind >> 6 & 1 & kind >> 7], one, two, ends, place))
        if name == "bar":
            now_ns += NS_PER_MINUTE
    return found


def _event(name, now_ns, venue, symbol, one, two, ends, place) -> Event:
    price = Decimal(100) + (Decimal(one % 32) - 16) / 8
    if name == "ticker":
        spread, size, said = _SPREADS[two & 15], _SIZES[two >> 4 & 7], ("said", "quiet")[two >> 7]
        ask = None if spread is None else price + Decimal(spread) / 8
        what = ticker(now_ns, price, ask, size, symbol, venue, "50000" if one & 32 else None, said)
    elif name == "trade":
        what = trade(now_ns, price, _VOLUMES[two & 7], ("buy", "sell")[two >> 3 & 1], order=place)
    elif name == "signal":
        ends[symbol] = end_ns = max(ends[symbol] + S, now_ns - now_ns % S)
        what = signal(end_ns, _ACTIONS[two & 7], symbol, (0.7, 0.55, 0.9, None)[two >> 3 & 3], price, S)
    elif name == "place":
        what = _request(venue, symbol, price, one, two, place)
    elif name == "gap":
        what = gap(now_ns, ("open", "closed")[two & 1], now_ns if two & 2 else None, f"g{two >> 3 & 1}", symbol, venue)
    elif name == "command":
        what = command(now_ns, ("resume", "halt")[two > 200], f"c{now_ns}")
    elif name == "finish":
        what = None
    else:
        low, high = price - Decimal(two & 7), price + Decimal(two >> 3 & 7)
        ends_at = price + (Decimal(two >> 6) - 1) / 2
        what = BarSeen(
            venue, "spot", symbol, now_ns, NS_PER_MINUTE, price, max(high, ends_at), min(low, ends_at), ends_at,
            Decimal(_VOLUMES[one >> 5]) * 10,
        )  # fmt: skip
    return Event(name, now_ns, what, venue, symbol)


def _request(venue, symbol, price, one, two, place) -> Request:
    kind = _TYPES[one >> 5 & 3]
    return Request(
        venue, "spot", symbol, ("buy", "sell")[two & 1], "exit" if one > 191 else "entry",
        Decimal(_QUANTITIES[two >> 1 & 7]),
        f"by hand {place}", kind, None if kind == "market" else price, _TIMES[two >> 4 & 7],
        (0, 5 * S)[two >> 7], reduce_only=one > 191,
    )  # fmt: skip

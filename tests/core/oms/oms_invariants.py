"""What must hold of a paper account after every single event, worked out beside the engine from what it was given and
what it said. It keeps quotes, holes and orders of its own. What it does not do: make the events (`oms_world`).
"""

from decimal import Decimal

from oms_world import Event

from sofia_streams.core.oms import reasons
from sofia_streams.core.oms.orders import NEXT
from sofia_streams.paper import TERMINAL, Account, Fill, Order

CODES = {value for name, value in vars(reasons).items() if name.isupper()}
STALE_NS = 5_000_000_000


class Watched:
    """Follows one engine: `before` each event, then `after` it with what was said."""

    def __init__(self, engine, rules):
        self.engine, self.rules = engine, rules
        self.orders, self.fills, self.quotes, self.prints, self.holes = {}, {}, {}, {}, {}
        self.state, self.quoted_ns, self.accepted_ns = "ACTIVE", {}, []
        self.serial = 0

    def before(self, event: Event) -> None:
        """Take up what the event says of the market."""
        key = (event.venue, event.symbol)
        if event.name == "ticker" and event.at_ns >= self.quoted_ns.get(key, 0):
            if event.what.ask is not None:
                self.quotes[key] = (event.what.bid, event.what.ask, event.at_ns)
                self.quoted_ns[key] = event.at_ns
            elif key in self.quotes:
                self.quotes[key] = None
        elif event.name == "trade":
            if key not in self.quotes and event.at_ns >= self.quoted_ns.get(key, 0):
                self.prints[key], self.quoted_ns[key] = event.what.price, event.at_ns
            self.holes[key] = {name: at for name, at in self.holes.get(key, {}).items() if at >= event.at_ns}
        elif event.name == "gap":
            holes = self.holes.setdefault(key, {})
            holes.pop(event.what.gap_id, None)
            if event.what.state == "open" and event.what.until_ns is None:
                holes[event.what.gap_id] = event.at_ns
        elif event.name == "command" and event.what.action == "resume":
            self.state = "ACTIVE"

    def after(self, event: Event, said: list) -> None:
        """Check everything."""
        for one in said:
            if isinstance(one, Order):
                self._order(one, event)
            elif isinstance(one, Fill):
                self._fill(one, event)
            else:
                self._account(one)
        self._books()

    def _order(self, order: Order, event: Event) -> None:
        known = self.orders.get(order.order_id)
        assert len(order.order_id) <= 32 and order.order_id.isalnum() and order.order_id.isascii()
        if known is None:
            assert order.revision == 0 and order.status in ("new", "rejected") and order.filled_quantity == 0
            if order.status == "new":
                assert self.state != "HALTED"
                self._accepted(order, event)
                self._paced(order)
        else:
            assert order.revision == known.revision + 1
            assert order.status in NEXT.get(known.status, ())
        self.orders[order.order_id] = order
        fills = [one for one in self.fills.values() if one.order_id == order.order_id]
        assert order.filled_quantity == sum((one.quantity for one in fills), Decimal(0))
        assert order.filled_quantity <= max(order.quantity, Decimal(0))
        assert order.notional_quote == sum((one.quantity * one.price for one in fills), Decimal(0))
        assert order.fees_quote == sum((one.fee_quote for one in fills), Decimal(0))
        is_done = order.status in TERMINAL
        assert order.leaves_quantity == (0 if is_done else order.quantity - order.filled_quantity)
        assert is_done or order.leaves_quantity > 0
        assert (order.status == "filled") is (order.filled_quantity == order.quantity > 0)
        if order.status in ("rejected", "cancelled", "expired"):
            assert order.reason_code in CODES

    def _accepted(self, order: Order, event: Event) -> None:
        """No position over its cap, nothing short on spot, and cash for all: counting all that is open on its side."""
        assert order.quantity > 0
        if order.reduce_only or event.name not in ("signal", "place"):
            return
        money, limits = self.engine.books.money, self.rules.limits
        held, sign = money.holding("spot", order.symbol).quantity, 1 if order.side == "buy" else -1
        working = self.engine.books.working
        pending = [
            one.order.leaves_quantity
            for one in working.values()
            if (one.order.symbol, one.order.side) == (order.symbol, order.side) and not one.order.reduce_only
        ]
        after = held + sign * sum(pending)
        if self.state == "REDUCING":
            assert after * sign <= 0
        if after * sign > 0:
            feed = self.engine.books.feeds[f"{order.venue}|spot|{order.symbol}"]
            price, equity = max(working[order.order_id].cap_price, feed.middle()), money.equity_quote()
            assert abs(after) * price <= limits.position_share * equity
            others = sum(
                (abs(one.value_quote()) for one in money.holdings.values() if one.symbol != order.symbol), Decimal(0)
            )
            assert others + abs(after) * price <= limits.gross_share * equity
            wanted = sum(
                (one.order.leaves_quantity * one.cap_price for one in working.values() if one.order.side == "buy"),
                Decimal(0),
            )
            assert sign < 0 or wanted <= money.cash_quote
        assert after >= 0 or limits.short_enabled

    def _paced(self, order: Order) -> None:
        """Not too many at once; exits count and pass, but for those by price: most take the place of another."""
        limits, at_ns = self.rules.limits, order.created_ns
        if order.purpose not in ("take_profit", "stop_loss"):
            self.accepted_ns.append(at_ns)
        if not order.reduce_only:
            assert sum(one > at_ns - 1_000_000_000 for one in self.accepted_ns) <= limits.orders_per_second
            assert sum(one > at_ns - 60_000_000_000 for one in self.accepted_ns) <= limits.orders_per_minute
            others = [one for one in self.orders.values() if one.status not in TERMINAL]
            assert len(others) < limits.open_orders_max

    def _fill(self, fill: Fill, event: Event) -> None:
        order, key = self.orders[fill.order_id], (fill.venue, fill.symbol)
        assert self.state != "HALTED" and order.status not in TERMINAL
        assert fill.fill_id not in self.fills
        self.fills[fill.fill_id] = fill
        assert fill.quantity > 0 and fill.price > 0
        assert fill.at_ns >= order.active_ns and (not order.expires_ns or fill.at_ns < order.expires_ns)
        assert event.name in ("ticker", "trade", "bar") and key == (event.venue, event.symbol)
        sign = 1 if fill.side == "buy" else -1
        if order.limit_price is not None:
            assert sign * (fill.price - order.limit_price) <= 0
        if fill.liquidity == "maker":
            assert fill.price == order.limit_price
        if event.name == "bar":
            assert not self.holes.get(key)
            return
        self._evidence(fill, order, event, sign)

    def _evidence(self, fill: Fill, order: Order, event: Event, sign: int) -> None:
        """Of the market of that moment, as the test saw it."""
        key = (fill.venue, fill.symbol)
        assert not self.holes.get(key)
        assert fill.evidence == (
            f"trade {event.what.trade_id}" if event.name == "trade" else f"quote {event.what.received_ns}"
        )
        if key in self.quotes:
            assert self.quotes[key] is not None
            bid, ask, quoted_ns = self.quotes[key]
            assert bid < ask and event.at_ns - quoted_ns <= STALE_NS
        else:
            bid = ask = self.prints[key]
        if fill.liquidity == "taker":
            assert fill.price >= ask if sign > 0 else fill.price <= bid
            if event.name == "trade":
                assert sign * (fill.price - event.what.price) >= 0
        else:
            assert event.name == "trade"
            through = sign * (order.limit_price - event.what.price)
            assert through > 0 or (through == 0 and self.rules.costs.queue_position)

    def _account(self, account: Account) -> None:
        assert account.serial == self.serial
        self.serial += 1
        value = sum((one.quantity * one.mark for one in account.positions), Decimal(0))
        assert account.equity_quote == account.cash_quote + value
        assert account.equity_quote - account.start_quote - account.flows_quote == (
            account.realised_quote + account.unrealised_quote - account.fees_quote
        )
        assert account.unrealised_quote == sum((one.unrealised_quote for one in account.positions), Decimal(0))
        assert account.fees_quote == sum((one.fee_quote for one in self.fills.values()), Decimal(0))
        assert account.realised_quote == sum((one.realised_quote for one in self.fills.values()), Decimal(0))
        self.state = account.state
        if self.state == "HALTED":
            assert account.open_orders == 0 and account.reason

    def _books(self) -> None:
        books = self.engine.books
        money = books.money
        assert sum(money.balances.values()) == 0
        assert {name for name, one in self.orders.items() if one.status not in TERMINAL} == set(books.working)
        for working in books.working.values():
            assert working.order == self.orders[working.order.order_id]
        for holding in money.holdings.values():
            fills = [one for one in self.fills.values() if one.symbol == holding.symbol]
            bought = sum((one.quantity if one.side == "buy" else -one.quantity for one in fills), Decimal(0))
            assert holding.quantity == bought
            assert holding.quantity or not holding.cost_quote
            assert holding.quantity >= 0 or self.rules.limits.short_enabled
        if not self.rules.limits.short_enabled:
            assert money.cash_quote >= 0

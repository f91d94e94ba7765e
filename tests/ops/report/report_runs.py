"""Made-up runs for tests of reports: prices that walk, an account that trades them, all from a seed."""

import random
from decimal import Decimal

from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND
from sofia_streams.ops.report.making import Run
from sofia_streams.paper import Account, Fill, Order

BEGIN_NS = 1_704_067_200 * NS_PER_SECOND
"""2024-01-01 00:00 UTC."""
ZERO, START = Decimal(0), Decimal(10_000)


class Trader:
    """One unit of worth 1,000 of each symbol, in and out by chance, at the middle and half a basis point."""

    def __init__(self, seed, symbols):
        self.draw, self.cash, self.fees, self.number = random.Random(seed), START, ZERO, 0
        self.price = {symbol: 100.0 * 10**n for n, symbol in enumerate(symbols)}
        self.held = dict.fromkeys(symbols, ZERO)
        self.prices = {symbol: [] for symbol in symbols}
        self.run = Run([], [], [])

    def order(self, symbol, at_ns, status, **others):
        side = "sell" if self.held[symbol] else "buy"
        purpose = "exit" if side == "sell" else "entry"
        self.run.orders.append(
            Order(
                f"o{self.number}", "binance", "spot", symbol, side, "market", "ioc", purpose, Decimal(1), status, at_ns,
                at_ns, **others,
            )
        )  # fmt: skip
        return side

    def trade(self, symbol, at_ns):
        self.number += 1
        chance = self.draw.random()
        if chance < 0.2:
            text = "STALE_QUOTE: <9 s>" if chance < 0.1 else "COOL_DOWN"
            return self.order(symbol, at_ns, "rejected", reason=text)
        side = self.order(symbol, at_ns, "filled", filled_quantity=Decimal(1))
        middle = Decimal(str(round(self.price[symbol], 2)))
        quantity = self.held[symbol] or (Decimal(1_000) / middle).quantize(Decimal("0.00001"))
        price = middle * (Decimal("1.00005") if side == "buy" else Decimal("0.99995"))
        fee, signed = price * quantity / 1_000, quantity if side == "buy" else -quantity
        self.cash -= signed * price + fee
        self.held[symbol] += signed
        self.run.fills.append(
            Fill(
                f"f{self.number}", f"o{self.number}", "binance", "spot", symbol, side, quantity, price, fee,
                Decimal("0.001"), "test", "taker", "filled", at_ns=at_ns, decision_mid=middle,
            )
        )  # fmt: skip
        return side

    def minute(self, at_ns, every, is_said):
        for symbol, rows in self.prices.items():
            self.price[symbol] *= 1 + self.draw.gauss(0, 0.001)
            rows.append((at_ns, round(self.price[symbol], 2)))
            if self.draw.random() < 1 / every:
                self.trade(symbol, at_ns)
        if not is_said:
            return
        worth = sum((self.held[one] * Decimal(str(round(self.price[one], 2))) for one in self.held), ZERO)
        accounts = self.run.accounts
        accounts.append(
            Account(
                len(accounts), at_ns + NS_PER_MINUTE, self.cash, self.cash + worth, START, ZERO, ZERO, self.fees, START,
                START, worth, 0, "ACTIVE", "minute",
            )
        )  # fmt: skip


def made(minutes, *, every=100, said_every=1, seed=1, symbols=("BTC/USDT", "ETH/USDT")):
    """A run and its prices by symbol: a trade of each about every so many minutes, a record of the account likewise."""
    trader = Trader(seed, symbols)
    for minute in range(minutes):
        trader.minute(BEGIN_NS + minute * NS_PER_MINUTE, every, (minute + 1) % said_every == 0)
    return trader.run, trader.prices

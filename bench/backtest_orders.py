"""One child of `bench backtest`: so many orders over the same bars; prints time and memory as JSON.

Its own process, so that its peak of memory is its own.

    python -m bench.backtest_orders ORDERS COPIES DAYS keep|drop
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable

import psutil  # type: ignore[import-untyped]  # it ships no types

from bench.backtest_data import load
from bench.backtest_rules import LOOSE
from sofia_streams.core.oms.rules import Rules
from sofia_streams.ops.backtest.bars import Window
from sofia_streams.ops.backtest.one_pass import Said, Trial, run
from sofia_streams.paper import Paper
from sofia_streams.scored import Action, Signal


class Ordering(Trial):
    """An order every so many bars, once the one before is done: out of what is held, else into it. `keeps` says
    whether what is said is kept.
    """

    def __init__(self, rules: Rules, orders: int, bars: int, *, keeps: bool) -> None:
        super().__init__(rules, {})
        self._orders, self._bars, self._at = orders, bars, 0
        self.placed = 0
        if not keeps:
            self.written.add = self._count  # type: ignore[method-assign]  # what is measured is the engine alone

    def _count(self, said: Iterable[Paper]) -> None:
        """Nothing is kept."""

    def signals(self, window: Window, said: Said) -> Iterable[Signal]:
        """By symbol."""
        money, working = self.engine.books.money, self.engine.books.working
        for item in window.items:
            closed = item.closed
            self._at += 1
            action: Action = "hold"
            if self._at * self._orders // self._bars > self.placed and not working:
                self.placed += 1
                action = "sell" if money.holding(closed.market, closed.symbol).quantity else "buy"
            size_ns = window.end_ns - closed.start_ns
            yield Signal(closed.market, closed.symbol, size_ns, closed.start_ns, action, "bench", item.close, 1.0)


def measure(orders: int, copies: int, days: int, *, keeps: bool) -> dict[str, float]:
    """Seconds, and resident memory before and at its highest, MB."""
    found, process = load(copies, days), psutil.Process()
    ready = found.windows()
    trial = Ordering(LOOSE, orders, len(found.seen), keeps=keeps)
    before_mb = process.memory_info().rss / 2**20
    began_s = time.process_time()
    run(ready, None, (), [trial])
    seconds = time.process_time() - began_s
    after_mb = process.memory_info().rss / 2**20
    return {
        "signalled": trial.placed, "orders": len(trial.written.orders()), "fills": len(trial.written.fills),
        "cpu_s": seconds, "before_mb": before_mb, "after_mb": after_mb,
    }  # fmt: skip


if __name__ == "__main__":
    asked = [int(one) for one in sys.argv[1:4]]
    print(json.dumps(measure(asked[0], asked[1], asked[2], keeps=sys.argv[4] == "keep")))

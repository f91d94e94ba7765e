"""Backtests: bars a second with everything inline, against backtesting.py on ready features, and what an order costs.

90 days of minutes of three symbols (`backtest_data`). The account pays fees, spread and impact, checks every order, and
has one cash for all symbols; backtesting.py has one symbol a run, commission and spread. What it does not do: judge
strategies; what the models learnt is of no interest here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.backtest_data import COPIES, DAYS, FEATURES, Market, Ready, load, ready, write
from bench.backtest_rules import DEFAULT, LOOSE
from bench.environments import ROOT, Unavailable, python_of
from bench.figures import ratio, spread
from bench.scoring import ROWS, Stock, data
from sofia_streams.core.features.sets import sets_of
from sofia_streams.core.scoring.scorer import Scorer
from sofia_streams.core.scoring.trees import Trees
from sofia_streams.core.signals.predicting import Model
from sofia_streams.core.signals.steps import Steps
from sofia_streams.errors import SofiaError
from sofia_streams.model import NS_PER_MINUTE
from sofia_streams.ops.backtest.bars import Window
from sofia_streams.ops.backtest.bars import windows as windows_of
from sofia_streams.ops.backtest.models import from_the_first
from sofia_streams.ops.backtest.one_pass import Said, Trial, run
from sofia_streams.scored import Action, Signal

Say = Callable[[str], None]
PARTS = ("inline", "scored", "orders")
INLINE_MIN = 20_000
ORDERS = (10_000, 100_000)
ENTER, LEAVE = 0.52, 0.48
_CHILD_S_MAX = 900


class Scored(Trial):
    """Scores a ready row of each bar, and goes long, out, or on."""

    def __init__(self, made: Ready) -> None:
        super().__init__(LOOSE, {})
        self._score = Trees(made.trees, FEATURES).at
        self._rows = {symbol: iter(rows.tolist()) for symbol, rows in made.rows.items()}
        self._said = iter(list[list[Signal]]())

    def windows(self, some: Sequence[tuple[Window, Said]]) -> None:
        """All of these are scored before they are traded, as `one_pass` does with models."""
        self._said = iter([self._scored(window) for window, _ in some])
        super().windows(some)

    def signals(self, window: Window, said: Said) -> Iterable[Signal]:
        """By symbol."""
        return next(self._said)

    def _scored(self, window: Window) -> list[Signal]:
        found = []
        for item in window.items:
            closed = item.closed
            score = self._score(next(self._rows[closed.symbol]))
            action: Action = "buy" if score > ENTER else "sell" if score < LEAVE else "hold"
            sure = 1.0 - score if action == "sell" else score
            about = (closed.market, closed.symbol, NS_PER_MINUTE, closed.start_ns, action, "bench", item.close, sure)
            found.append(Signal(*about))
        return found


def run_all(
    say: Say, *, rounds: int, parts: Iterable[str] = PARTS, copies: int = COPIES, days: int = DAYS
) -> dict[str, Any]:
    """Every part that is asked for. Raises SofiaError."""
    found = load(copies, days)
    result: dict[str, Any] = {"data": found.about, "bars": len(found.seen), "symbols": 3}
    if "inline" in parts:
        say("every feature computed, every bar scored, orders placed")
        result["inline"] = inline(found, rounds)
    if "scored" in parts:
        result["scored"] = scored(found, rounds, say)
    if "orders" in parts:
        result["orders"] = orders(say, copies, days)
    return result


def inline(found: Market, rounds: int) -> dict[str, Any]:
    """As `sofia backtest` does it: bars in float64 in, an account out."""
    sets = sets_of(NS_PER_MINUTE)
    made = data(size_ns=NS_PER_MINUTE)
    document, trees = Stock(made.inputs, made.labels).document(made.names, made.inputs[-ROWS:], size_ns=NS_PER_MINUTE)
    model = Model(Scorer(document, trees), sets)
    rates, trial = [], Trial(DEFAULT, {})
    for _ in range(rounds):
        trial, steps = Trial(DEFAULT, {}), Steps(sets, lambda activation: model, confidence_min=0.0)
        began_s = time.perf_counter()
        windows = windows_of(found.seen, sets, venue="binance", market="spot")
        passed = run(windows, steps, [from_the_first(document, "")], [trial])
        rates.append(passed.bars / (time.perf_counter() - began_s))
    return {
        "bars_per_s": spread(rates), "bar": INLINE_MIN, "met": median(rates) >= INLINE_MIN,
        "orders": len(trial.written.orders()), "fills": len(trial.written.fills), "inputs": len(document.inputs),
        "model": "LightGBM 100 trees, logistic regression, isotonic calibration",
    }  # fmt: skip


def scored(found: Market, rounds: int, say: Say) -> dict[str, Any]:
    """Ready features and bars on both sides, rounds in turn."""
    say(f"{FEATURES} features of every bar and LightGBM's 100 trees of them, before the clock")
    made = ready(found.seen)
    windows = found.windows()
    ours, theirs, result = list[float](), list[float](), dict[str, Any]()
    with tempfile.TemporaryDirectory(prefix="sofia-bench-") as folder:
        try:
            python = python_of("backtesting", say)
        except Unavailable as error:
            say(f"skipped: {error}")
            return {"bars_per_s": {"sofia": spread([_ours(windows, made, result) for _ in range(rounds)])}, **result,
                    "skipped": {"backtesting.py": str(error)}}  # fmt: skip
        write(Path(folder), found.seen, made)
        with _peer(python, folder) as peer:
            for number in range(rounds):
                say(f"ready features, round {number + 1} of {rounds}")
                ours.append(_ours(windows, made, result))
                answer = _ask(peer)
                theirs.append(answer["bars"] / answer["seconds"])
    return {
        "bars_per_s": {"sofia": spread(ours), "backtesting.py": spread(theirs)},
        "orders": {"sofia": result["orders"], "backtesting.py": answer["orders"]},
        "ratio": ratio(median(ours), median(theirs)),
        "met": median(ours) > median(theirs),
    }


def _ours(windows: list[Window], made: Ready, result: dict[str, Any]) -> float:
    trial = Scored(made)
    began_s = time.perf_counter()
    passed = run(windows, None, (), [trial])
    pace = passed.bars / (time.perf_counter() - began_s)
    result["orders"] = len(trial.written.orders())
    return pace


def _peer(python: str, folder: str) -> subprocess.Popen[str]:
    command = [python, "-m", "bench.peers.backtesting_py", folder]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def _ask(peer: subprocess.Popen[str]) -> Mapping[str, float]:
    """One round. Raises SofiaError where it ended."""
    assert peer.stdin is not None and peer.stdout is not None
    peer.stdin.write("round\n")
    peer.stdin.flush()
    line = peer.stdout.readline()
    if not line:
        raise SofiaError(
            "backtesting.py: expected an answer, found that it ended. Remove its environment and try again."
        )
    found: Mapping[str, float] = json.loads(line)
    return found


def orders(say: Say, copies: int, days: int) -> dict[str, Any]:
    """CPU time and memory of a few, many and no orders over the same bars; each in a process of its own."""
    few, many = ORDERS
    found: dict[str, Any] = {}
    for count, keeps in ((0, False), (few, False), (many, False), (few, True), (many, True)):
        say(f"{count:,} orders, {'kept for statistics' if keeps else 'the engine alone'}")
        found[f"{count}{' kept' if keeps else ''}"] = _child(count, copies, days, keeps=keeps)
    us = {count: (found[f"{count}"]["cpu_s"] - found["0"]["cpu_s"]) / count * 1e6 for count in ORDERS}
    grown = {count: found[f"{count}"]["after_mb"] - found[f"{count}"]["before_mb"] for count in (0, *ORDERS)}
    kept = found[f"{many} kept"]["after_mb"] - found[f"{few} kept"]["after_mb"]
    return {
        "us_an_order": {str(count): round(value, 1) for count, value in us.items()},
        "cost_ratio": ratio(us[many], us[few]),
        "memory_mb_grown": {str(count): round(value, 1) for count, value in grown.items()},
        "kept_bytes_an_order": round(kept * 2**20 / (many - few)),
        "runs": found,
    }


def _child(count: int, copies: int, days: int, *, keeps: bool) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.backtest_orders", str(count), str(copies), str(days)]
    done = subprocess.run(
        [*command, "keep" if keeps else "drop"], cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=_CHILD_S_MAX,
    )  # fmt: skip
    if done.returncode:
        raise SofiaError(f"backtest: expected a run of {count} orders to end well, found {done.stderr[-400:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found

"""What `bench backtest` runs on: 90 days of minutes of three symbols, ready features of them, and a model of these.

One real month three times in a row, where it stands beside the checkout; else a generated market. What it does not do:
time anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import lightgbm
import numpy as np
import numpy.typing as npt

from bench.environments import ROOT
from bench.scoring import LEAVES, TREES
from sofia_streams.core.features.book import Book
from sofia_streams.core.features.sets import base_set, sets_of
from sofia_streams.model import NS_PER_DAY, NS_PER_MINUTE
from sofia_streams.ops.backtest.bars import Window, windows, with_pairs
from sofia_streams.settings import Settings
from sofia_streams.training.dataset import Seen
from sofia_streams.training.sources.generated import generate
from sofia_streams.training.sources.reading import Generation, read

Floats = npt.NDArray[np.float64]
REAL = ROOT.parent / "shared" / "data" / "ohlcv" / "bybit-linear-1m"
"""BTCUSDT, ETHUSDT and SOLUSDT, June 2025; stands beside a checkout, or not."""
DAYS, COPIES, FEATURES = 30, 3, 10
VENUE = "binance"
_BEGIN_NS, _SEED = 1_748_736_000 * 10**9, 1
_PRICES = {"BTC/USDT": 105_000.0, "ETH/USDT": 2_500.0, "SOL/USDT": 150.0}
PRICES = ("open", "high", "low", "close", "volume")


class Market(NamedTuple):
    """Bars of all symbols, and where they are from."""

    seen: list[Seen]
    about: str

    def windows(self) -> list[Window]:
        """All of them, made."""
        return [*windows(self.seen, sets_of(NS_PER_MINUTE), venue=VENUE, market="spot")]


def load(copies: int = COPIES, days: int = DAYS) -> Market:
    """The month, so many times in a row."""
    settings = Settings()
    if REAL.is_dir():
        month = with_pairs(read(str(REAL), settings, "1m", None, Generation(0, 0, 0)).seen, settings)
        if days < DAYS:
            until_ns = min(one.start_ns for one in month) + days * NS_PER_DAY
            month = [one for one in month if one.start_ns < until_ns]
        about = f"bybit linear {REAL.name}, 2025-06, {copies} times"
    else:
        count = days * NS_PER_DAY // NS_PER_MINUTE
        until_ns = _BEGIN_NS + days * NS_PER_DAY
        month = generate(_PRICES, size_ns=NS_PER_MINUTE, bars=count, until_ns=until_ns, seed=_SEED).seen
        about = f"generated, seed {_SEED}, {copies} times"
    lasts_ns = max(one.start_ns for one in month) + NS_PER_MINUTE - min(one.start_ns for one in month)
    shifts = [copy * lasts_ns for copy in range(copies)]
    return Market([one._replace(start_ns=one.start_ns + shift) for shift in shifts for one in month], about)


class Ready(NamedTuple):
    """Rows of features by symbol, in the order of its bars; and LightGBM's text of a model of them."""

    rows: Mapping[str, Floats]
    trees: str


def ready(seen: Sequence[Seen]) -> Ready:
    """The first inputs of the base set; a bar whose features are not known yet has 0 in their place."""
    chosen = base_set(NS_PER_MINUTE)
    rows, closes = dict[str, Floats](), dict[str, Floats]()
    for symbol in dict.fromkeys(one.symbol for one in seen):
        book, found = Book([chosen]), []
        own = [one for one in seen if one.symbol == symbol]
        for one in own:
            values = book.take(one.start_ns, one.candle)
            known = book.nothing() if values is None else values
            found.append([known[0][place] or 0.0 for place in chosen.inputs[:FEATURES]])
        rows[symbol] = np.array(found)
        closes[symbol] = np.array([one.candle.close for one in own])
    return Ready(rows, _trees(rows, closes))


def _trees(rows: Mapping[str, Floats], closes: Mapping[str, Floats]) -> str:
    """Of whether the next close is higher: what it learns does not matter here, only what it costs."""
    inputs = np.concatenate([one[:-1] for one in rows.values()])
    labels = np.concatenate([(np.diff(one) > 0).astype(float) for one in closes.values()])
    terms = {
        "objective": "binary", "num_leaves": LEAVES, "num_threads": 1, "seed": 1, "deterministic": True,
        "force_row_wise": True, "verbosity": -1,
    }  # fmt: skip
    return lightgbm.train(terms, lightgbm.Dataset(inputs, labels), TREES).model_to_string()


def write(folder: Path, seen: Sequence[Seen], made: Ready) -> None:
    """For another process: model.txt, and for each symbol a matrix of PRICES, then features, a row a bar."""
    (folder / "model.txt").write_text(made.trees)
    for symbol, rows in made.rows.items():
        candles = [one.candle for one in seen if one.symbol == symbol]
        prices = np.array([[getattr(one, name) for name in PRICES] for one in candles])
        np.save(folder / f"{symbol.replace('/', '')}.npy", np.hstack([prices, rows]))

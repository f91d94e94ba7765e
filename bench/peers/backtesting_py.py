"""backtesting.py on ready features and a LightGBM model: each symbol a run of its own, as it has one symbol a run.

    python -m bench.peers.backtesting_py FOLDER     model.txt and SYMBOL.npy (open, high, low, close, volume, features)

Each line on stdin is a round; its answer is {"seconds", "bars", "orders"}. Commission 10 bps, spread 2 bps, next open.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy

ENTER, LEAVE = 0.52, 0.48
PRICES = ["Open", "High", "Low", "Close", "Volume"]


def strategy(booster: Any, rows: Any) -> type[Strategy]:
    """Long where the score is high, out where it is low: one row scored a bar."""

    class Scored(Strategy):
        def init(self) -> None:
            """Nothing: features are ready."""

        def next(self) -> None:
            """One bar."""
            score = booster.predict(rows[len(self.data) - 1 : len(self.data)], num_threads=1)[0]
            if not self.position:
                if score > ENTER:
                    self.buy(size=0.01)
            elif score < LEAVE:
                self.position.close()

    return Scored


def main(folder: Path) -> None:
    """Answer rounds until stdin ends."""
    warnings.simplefilter("ignore")
    booster = lightgbm.Booster(model_file=str(folder / "model.txt"))
    loaded = {}
    for path in sorted(folder.glob("*.npy")):
        columns = np.load(path)
        frame = pd.DataFrame(columns[:, : len(PRICES)], columns=PRICES)
        loaded[path.stem] = frame, np.ascontiguousarray(columns[:, len(PRICES) :])
    for _ in sys.stdin:
        seconds, bars, orders = 0.0, 0, 0
        for frame, rows in loaded.values():
            test = Backtest(
                frame, strategy(booster, rows), cash=1e9, commission=0.001, spread=0.0002, finalize_trades=True
            )
            began_s = time.perf_counter()
            found = test.run()
            seconds += time.perf_counter() - began_s
            bars += len(frame)
            orders += 2 * len(found["_trades"])
        print(json.dumps({"seconds": seconds, "bars": bars, "orders": orders}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

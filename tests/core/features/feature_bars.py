"""Bars for tests of features: from closes, from real klines beside the checkout, and the golden series."""

import csv
import gzip
import math
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest

from sofia_streams.core.features.book import candle_of, feature_values
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, Bar
from sofia_streams.scored import Candle

REAL = Path(__file__).parents[4] / "shared" / "data" / "ohlcv"
"""Klines of exchanges, of no licence of ours: not part of the repository."""
BEGIN_NS = 1_700_000_000_000_000_000 // NS_PER_MINUTE * NS_PER_MINUTE


def bar(number, close, *, high=None, low=None, volume="10", buy="6", count=5, quality="complete"):
    """The minute `number`; `close` None is a quiet one."""
    prices = [None if close is None else Decimal(str(x)) for x in (close, high or close, low or close, close)]
    traded = Decimal(0) if close is None else Decimal(volume)
    return Bar(
        CONSOLIDATED, "spot", "BTC/USDT", NS_PER_MINUTE, BEGIN_NS + number * NS_PER_MINUTE, *prices, traded,
        traded * (prices[3] or 0), Decimal(0) if close is None else Decimal(buy), 0 if close is None else count,
        prices[3], "", "", quality=quality,
    )  # fmt: skip


def taken(book, one, venues):
    """What the book knows behind a bar, set by set; None for a window that it took before."""
    candle = candle_of(one, venues, book.close)
    found = book.nothing() if candle is None else book.take(one.start_ns, candle)
    return None if found is None else [*feature_values(book.sets, found).values()]


def golden():
    """features.md, section 3: the series whose values were worked out independently."""
    for i in range(100):
        close = 100 + 5 * math.sin(i / 3) + 0.1 * i
        yield bar(i, repr(close), high=repr(close + 0.5 + 0.1 * (i % 3)), low=repr(close - 0.5 - 0.1 * (i % 2)))


def real_bars(name="binance-um-1m/LINKUSDT-1m-2026-02.csv.gz", most=None):
    """Real minutes with taker volumes; skips where they are not there."""
    path = REAL / name
    if not path.exists():
        pytest.skip(f"needs real klines in {name} beside the checkout")
    with gzip.open(path, "rt") as lines:
        for row in islice(csv.DictReader(lines), most):
            yield Bar(
                CONSOLIDATED, "linear", "LINK/USDT:USDT", NS_PER_MINUTE, int(row["open_time"]) * 1_000_000,
                *(Decimal(row[key]) for key in ("open", "high", "low", "close", "volume", "quote_volume")),
                Decimal(row["taker_buy_volume"]), int(row["count"]), None, "", "",
            )  # fmt: skip


def real_candles(name, most=None):
    """Real bars as candles, whatever their size; with flow where the venue tells. Skips where they are not there."""
    path = REAL / name
    if not path.exists():
        pytest.skip(f"needs real klines in {name} beside the checkout")
    with gzip.open(path, "rt") as lines:
        return [_candle(row) for row in islice(csv.DictReader(lines), most)]


def _candle(row):
    flow = (
        [float(row[key]) for key in ("quote_volume", "taker_buy_volume")] if "taker_buy_volume" in row else [None] * 2
    )
    count = int(row["count"]) if "count" in row else None
    return Candle(*(float(row[key]) for key in ("open", "high", "low", "close", "volume")), *flow, count)

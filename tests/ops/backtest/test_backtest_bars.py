"""Bars of any source as windows of a backtest: by time, exact, quiet and incomplete ones too; what is kept of a run."""

import random
from array import array
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tested_bars import SETS, bars, settings

from sofia_streams.core.features.book import Book, feature_values, flat
from sofia_streams.core.oms.money import exact
from sofia_streams.core.performance.summary import tell
from sofia_streams.core.signals.steps import Steps
from sofia_streams.errors import ConfigError
from sofia_streams.model import NS_PER_MINUTE
from sofia_streams.ops.backtest.bars import windows, with_pairs
from sofia_streams.ops.backtest.one_pass import Trial
from sofia_streams.ops.backtest.written import Written
from sofia_streams.paper import Account, Order
from sofia_streams.paper_rules import paper_rules
from sofia_streams.scored import Candle, Signal
from sofia_streams.training.dataset import Seen
from sofia_streams.training.dataset import Written as Known
from sofia_streams.training.sources.reading import Generation, read


def candle(close, **how):
    return Candle(close, close, close, close, 1.0, **how)


def seen(symbol, minute, close=1.0, **how):
    return Seen(symbol, minute * NS_PER_MINUTE, candle(close, **how))


def windowed(some, **how):
    return [*windows(some, SETS, venue="okx", market="spot", **how)]


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 50)), unique=True, min_size=1))
def test_every_bar_is_in_one_window_and_windows_ascend(places):
    found = windowed([seen(f"{name}/USDT", minute) for name, minute in places])
    assert all(one.end_ns < after.end_ns for one, after in pairwise(found))
    kept = [(item.closed.symbol[0], item.closed.start_ns // NS_PER_MINUTE) for one in found for item in one.items]
    assert sorted(kept) == sorted(places)
    for one in found:
        assert [item.closed.symbol for item in one.items] == sorted({item.closed.symbol for item in one.items})
        assert {item.closed.start_ns + NS_PER_MINUTE for item in one.items} == {one.end_ns}


def test_windows_end_by_the_end_of_the_period():
    some = [seen("A/USDT", minute) for minute in range(4)]
    assert [one.end_ns for one in windowed(some, until_ns=3 * NS_PER_MINUTE)][-1] == 3 * NS_PER_MINUTE
    assert len(windowed(some, until_ns=3 * NS_PER_MINUTE - 1)) == 2


@pytest.mark.parametrize("text", ["104712.3", "0.00001234", "1e-07", "99999999999.9999", "65000"])
def test_prices_are_the_decimals_that_were_read(tmp_path, text):
    path = tmp_path / "BTCUSDT-1m.csv"
    rows = [f"{1_700_000_040_000 + minute * 60_000},{text},{text},{text},{text},{text}" for minute in range(3)]
    path.write_text("\n".join(["open_time,open,high,low,close,volume", *rows]))
    found = read(str(path), settings(tmp_path), "1m", None, Generation(0, 0, 0))
    (first, *_) = windowed(with_pairs(found.seen, settings(tmp_path)))
    (item,) = first.items
    assert item.bar.symbol == "BTC/USDT" and item.bar.venue == "okx"
    assert {item.bar.open, item.bar.high, item.bar.low, item.bar.close, item.bar.volume} == {Decimal(text)}


def test_an_incomplete_bar_fills_nothing_and_a_quiet_one_has_no_close():
    some = [
        seen("A/USDT", 0),
        seen("A/USDT", 1, is_complete=False),
        Seen("A/USDT", 2 * NS_PER_MINUTE, flat(1.0, is_complete=True, quantity=0.0)),
    ]
    whole, incomplete, quiet = (one.items[0] for one in windowed(some))
    assert whole.bar is not None and whole.close == Decimal(1)
    assert incomplete.bar is None and incomplete.close == Decimal(1)
    assert quiet.bar.volume == 0 and quiet.close is None


def test_what_was_known_live_is_taken_as_it_was():
    values = array("d", [0.5] * (len(SETS[0].features) - 1) + [float("nan")])
    flow = array("d", [1.0] * len(SETS[1].features))
    known = [Known(SETS[0].schema, values), Known(SETS[1].schema, flow)]
    (window,) = windowed([seen("A/USDT", 0)._replace(written=known)])
    features, _, _ = Steps(SETS, lambda _: None, confidence_min=0.5).score(window.items[0].closed)
    assert features.sets["base"].values == [0.5] * (len(values) - 1) + [None]
    assert features.sets["flow"].is_ready and not features.sets["base"].is_ready
    (window,) = windowed([seen("A/USDT", 0)._replace(written=known[:1])])
    assert window.items[0].closed.known is None


def test_features_are_those_of_the_live_book():
    some = [one for one in bars(200).seen if one.symbol == "BTC/USDT"]
    steps, book = Steps(SETS, lambda _: None, confidence_min=0.5), Book(SETS)
    for window, one in zip(windowed(some), some, strict=True):
        features, prediction, _ = steps.score(window.items[0].closed)
        assert features.sets == feature_values(SETS, book.take(one.start_ns, one.candle))
        assert prediction.abstention == "no model"
    assert steps.score(window.items[0].closed) is None  # the same window again


def test_names_of_files_become_pairs(tmp_path):
    some = [seen("BTCUSDT", 0), seen("ETH/USDT", 0)]
    assert [one.symbol for one in with_pairs(some, settings(tmp_path))] == ["BTC/USDT", "ETH/USDT"]
    with pytest.raises(ConfigError, match="BTC/USDT under two names"):
        with_pairs([*some, seen("BTC/USDT", 0)], settings(tmp_path))
    with pytest.raises(ConfigError, match="expected bars of pairs"):
        with_pairs([seen("coinbase", 0)], settings(tmp_path))


class Everything(Written):
    """Also keeps every record as it was said."""

    def __init__(self):
        super().__init__()
        self.said = []

    def add(self, said):
        kept = [*said]
        self.said += kept
        super().add(kept)


def test_what_is_kept_tells_the_same_as_everything(tmp_path):
    draw, count = random.Random(4), 4_000
    trial = Trial(paper_rules(settings(tmp_path)), {})
    trial.written = Everything()
    trial.signals = lambda window, said: [
        Signal("spot", one.closed.symbol, NS_PER_MINUTE, one.closed.start_ns, draw.choices(
            ("hold", "buy", "sell"), (990, 5, 5))[0], "", one.close, 0.9)
        for one in window.items
    ]  # fmt: skip
    with exact():
        for window in windowed(bars().seen)[:count]:
            trial.window(window, [])
        trial.finish(window.end_ns)
    kept, said = trial.written, trial.written.said
    accounts = [one for one in said if isinstance(one, Account)]
    orders = [one for one in said if isinstance(one, Order)]
    assert len(kept.accounts()) < len(accounts) / 1.5 and len(kept.orders()) < len(orders)
    ours = tell(kept.accounts(), kept.fills, kept.orders(), draws=0).statistics
    theirs = tell(accounts, kept.fills, orders, draws=0).statistics
    assert ours.trips.count > 10
    assert (ours.drawdown, ours.months, ours.orders, ours.trips) == (
        theirs.drawdown, theirs.months, theirs.orders, theirs.trips,
    )  # fmt: skip
    assert ours.costs == theirs.costs
    assert ours.exposure.gross_mean == pytest.approx(theirs.exposure.gross_mean, rel=1e-12)
    assert (ours.from_ns, ours.until_ns, ours.end_quote, ours.drawdown_daily) == (
        theirs.from_ns, theirs.until_ns, theirs.end_quote, theirs.drawdown_daily,
    )  # fmt: skip

"""Policies: the registry, the example, sizes by formula; what docs/paper_trading.md says of writing one runs."""

import doctest
import math
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oms_played import Played, money, rules
from oms_world import signal

from sofia_streams.core.oms.market.volatility import Volatility
from sofia_streams.core.oms.money import exact
from sofia_streams.core.oms.policies import POLICIES
from sofia_streams.core.oms.policies.base import View, size_share
from sofia_streams.core.oms.policies.fade import fade
from sofia_streams.core.oms.policies.follow import follow
from sofia_streams.core.oms.rules import Strategy
from sofia_streams.errors import ConfigError

DOCS = Path(__file__).parents[3] / "docs" / "paper_trading.md"
FLAT = View(Decimal(0), 0, 0.03, False)
SHORT = FLAT._replace(short_enabled=True)


def test_the_registry_is_what_the_settings_choose_from():
    assert (POLICIES["follow"], POLICIES["fade"], len(POLICIES)) == (follow, fade, 2)
    for name in POLICIES:
        Played(rules(strategy={"policy": name}))
    with pytest.raises(ConfigError, match="PAPER_POLICY: expected one of fade, follow, found 'none such'"):
        Played(rules(strategy={"policy": "none such"}))


@pytest.mark.parametrize(
    ("action", "view", "followed", "faded"),
    [
        ("buy", FLAT, "0.05", "0"),
        ("sell", FLAT, "0", "0.05"),
        ("buy", SHORT, "0.05", "-0.05"),
        ("sell", SHORT, "-0.05", "0.05"),
        ("hold", FLAT, None, None),
        ("abstain", SHORT, None, None),
    ],
)
def test_one_goes_with_the_model_and_the_example_against_it(action, view, followed, faded):
    for policy, share in ((follow, followed), (fade, faded)):
        assert policy(signal(0, action), view, Strategy()) == (None if share is None else Decimal(share))


def test_the_example_is_out_after_ten_bars_whatever_is_said():
    held = FLAT._replace(held_share=Decimal("0.05"), held_bars=10)
    for action in ("buy", "sell", "hold", "abstain"):
        assert fade(signal(0, action), held, Strategy()) == 0
    assert fade(signal(0, "hold"), held._replace(held_bars=9), Strategy()) is None


def test_the_example_in_the_engine():
    played = Played(rules(strategy={"policy": "fade"}))
    for minute in range(12):
        played.quote(60 * minute, "99.98", "100.02")
        order = played.signal(60 * minute, "sell" if minute == 0 else "hold")
        played.quote(60 * minute + 2, "99.98", "100.02")
        asked = None if order is None else (order.purpose, order.side, order.quantity)
        assert asked == {0: ("entry", "buy", 5), 10: ("exit", "sell", 5)}.get(minute)
    assert played.held.quantity == 0


@pytest.mark.parametrize(
    ("sizing", "confidence", "volatility", "share"),
    [
        ("fixed", 0.6, 0.03, "0.3"),
        # 0.005 / 0.04 and 0.005 / 0.01, the latter capped
        ("volatility", 0.6, 0.04, "0.125"),
        ("volatility", 0.6, 0.01, "0.3"),
        ("volatility", 0.6, 0.0, "0"),
        # 0.25 * (2 * 0.6 - 1) = 0.05; 0.25 * (2 * 0.9 - 1) = 0.2
        ("kelly", 0.6, 0.03, "0.05"),
        ("kelly", 0.9, 0.03, "0.2"),
        ("kelly", 0.5, 0.03, "0"),
        ("kelly", 0.4, 0.03, "0"),
        ("kelly", None, 0.03, "0"),
    ],
)
def test_sizes_by_formula(sizing, confidence, volatility, share):
    strategy = Strategy(sizing=sizing, size_share=Decimal("0.3"))
    with exact():
        found = size_share(signal(0, "buy", confidence=confidence), FLAT._replace(volatility=volatility), strategy)
    assert found == Decimal(share)


@given(st.sampled_from(["fixed", "volatility", "kelly"]), st.floats(0, 1), st.floats(0, 10))
def test_no_size_is_above_the_cap_or_below_nothing(sizing, confidence, volatility):
    strategy = Strategy(sizing=sizing)
    found = size_share(signal(0, "buy", confidence=confidence), FLAT._replace(volatility=volatility), strategy)
    assert 0 <= found <= strategy.size_share


def test_kelly_and_volatility_in_the_engine():
    for sizing, quantity in (("kelly", "5"), ("volatility", "16.666667")):
        # kelly: 0.25 * (2 * 0.6 - 1) = 5 % of 10,000 at 100; volatility: 0.005 / 0.03 = 16.666667 %
        strategy = {"sizing": sizing, "size_share": money("0.3")}
        played = Played(rules(strategy=strategy))
        played.quote(0, "99.98", "100.02")
        assert played.signal(0, "buy", confidence=0.6).quantity == money(quantity)


def test_daily_volatility_is_measured_from_thirty_returns_on():
    volatility, costs = Volatility(), rules().costs
    closes = [Decimal(100) if place % 2 else Decimal(101) for place in range(31)]
    for place, close in enumerate(closes):
        assert volatility.daily(costs) == 0.03, place
        volatility.add(close, 60 * 10**9)
    # every return is log(1.01) or its opposite: a variance of log(1.01)^2 a minute, and 1,440 minutes a day
    assert math.isclose(volatility.daily(costs), math.log(1.01) * math.sqrt(1440), rel_tol=1e-12)


def test_how_to_write_another_runs_as_the_docs_have_it():
    tests = doctest.DocTestParser().get_doctest(DOCS.read_text(), {}, DOCS.name, str(DOCS), 0)
    assert len(tests.examples) >= 3
    assert doctest.DocTestRunner().run(tests).failed == 0

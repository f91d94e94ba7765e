"""A challenger wins only where labels show it, by a stated test at stated moments; and when a model is trained anew."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watched_bars import known_of

from sofia_streams.core.monitoring.contest import Contest, over
from sofia_streams.core.monitoring.maturing import MaturedLabel
from sofia_streams.core.monitoring.retraining import (
    DRIFTED,
    InForce,
    Situation,
    due,
    fate,
    is_in_force,
    pause_s,
    windows_needed,
)
from sofia_streams.core.scoring.labels import Rule

RULE = Rule("forward", 5)
NEEDED = 7_500
HOUR_NS = 3_600 * 10**9


def contest_of(champion, challenger, *, labels=2_000, symbols=("BTC/USDT",), seed=1):
    """Labels that come true as often as `draw` says; each model says what it makes of that."""
    draw, contest, verdicts = Random(seed), Contest("a", "b", RULE, 0), []
    for number in range(labels):
        truth = draw.uniform(0.2, 0.8)
        for symbol in symbols:
            label = int(draw.random() < truth)
            scores = {"a": champion(truth, draw), "b": challenger(truth, draw)}
            contest.take(symbol, MaturedLabel(number, RULE, label, 0.0, scores))
        verdicts.append(contest.verdict())
        if verdicts[-1].outcome != "open":
            break
    return verdicts


def knows(truth, draw):
    return truth


def guesses(truth, draw):
    return 0.5


def errs(truth, draw):
    return 1.0 - truth


def test_one_that_knows_more_wins_at_the_first_look():
    verdicts = contest_of(guesses, knows)
    assert verdicts[-1].outcome == "won"
    assert len(verdicts) == verdicts[-1].labels == 500
    assert {one.outcome for one in verdicts[:-1]} == {"open"}
    assert verdicts[-1].gain > verdicts[-1].low > 0


@pytest.mark.parametrize(("champion", "challenger"), [(knows, guesses), (guesses, errs), (guesses, guesses)])
def test_one_that_knows_less_or_the_same_loses_at_the_last(champion, challenger):
    verdicts = contest_of(champion, challenger, labels=3_000)
    assert verdicts[-1].outcome == "lost"
    assert len(verdicts) == 2_000


def test_one_that_only_differs_by_noise_seldom_wins():
    def a_little_off(truth, draw):
        return min(0.99, max(0.01, truth + draw.gauss(0, 0.05)))

    won = [seed for seed in range(40) if contest_of(a_little_off, a_little_off, seed=seed)[-1].outcome == "won"]
    assert len(won) <= 4  # 2.5 % of 40 are 1


def test_labels_of_one_bar_count_once_those_of_another_rule_or_an_earlier_bar_never():
    contest = Contest("a", "b", RULE, 100)
    for start_ns in (100, 100, 99, 101):
        contest.take("BTC/USDT", MaturedLabel(start_ns, RULE, 1, 0.0, {"a": 0.4, "b": 0.6}))
    contest.take("BTC/USDT", MaturedLabel(102, Rule("forward", 6), 1, 0.0, {"a": 0.4, "b": 0.6}))
    contest.take("BTC/USDT", MaturedLabel(103, RULE, 1, 0.0, {"b": 0.6}))
    assert contest.verdict().labels == 2


def test_more_symbols_need_more_labels():
    symbols = tuple(f"S{number}/USDT" for number in range(6))
    verdicts = contest_of(guesses, knows, symbols=symbols)
    assert verdicts[-1].outcome == "won"
    assert verdicts[-1].labels == 20 * 2 * 5 * 6
    assert "at least +" in str(verdicts[-1])
    assert str(verdicts[0]) == "6 of 1200 labels"


@given(st.integers(0, 2_000))
def test_a_verdict_does_not_depend_on_how_often_it_is_asked_for(labels):
    draw, often, once = Random(3), Contest("a", "b", RULE, 0), Contest("a", "b", RULE, 0)
    for number in range(labels % 700):
        matured = MaturedLabel(number, RULE, int(draw.random() < 0.6), 0.0, {"a": 0.5, "b": 0.6})
        often.take("BTC/USDT", matured)
        once.take("BTC/USDT", matured)
        often.verdict()
    assert often.verdict() == once.verdict()


def a_situation(**changes):
    model = InForce(1_000 * HOUR_NS, 1_168 * HOUR_NS, False)
    found = Situation(1_010 * HOUR_NS, model, 10, NEEDED, None, 0, False, None, False)
    return found._replace(**changes)


SYNTHETIC = InForce(1_000 * HOUR_NS, 1_168 * HOUR_NS, True)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"now_ns": 1_024 * HOUR_NS}, "age"),
        ({"now_ns": 1_024 * HOUR_NS, "trained_ns": 1_017 * HOUR_NS}, None),
        ({"now_ns": 1_024 * HOUR_NS, "challenger": True}, None),
        ({"model": InForce(1_000 * HOUR_NS, 1_012 * HOUR_NS, False)}, "age"),  # before it expires
        ({"drift": DRIFTED}, None),
        ({"drift": DRIFTED + 0.01}, "drift"),
        ({"drift": DRIFTED + 0.01, "trained_ns": 1_005 * HOUR_NS}, None),  # trained lately
        ({"degraded": 1}, "degradation"),
        ({"degraded": 1, "drift": 1.0, "model": SYNTHETIC}, None),
        ({"model": None}, None),
        ({"model": None, "windows": NEEDED}, "no model"),
        ({"model": None, "is_demo": True, "windows": 0}, "no model"),
        ({"model": None, "windows": 0, "may_ask_venues": True}, "no model"),
        ({"now_ns": 1_169 * HOUR_NS, "windows": NEEDED}, "no model"),
        ({"now_ns": 1_169 * HOUR_NS, "windows": NEEDED, "trained_ns": 1_165 * HOUR_NS}, None),
    ],
)
def test_a_model_is_trained_for_a_reason_and_not_too_often(changes, reason):
    assert due(a_situation(**changes), after_hours=24) == reason


@pytest.mark.parametrize("is_better", [True, False])
def test_a_new_model_takes_over_only_where_none_is_in_force_and_it_is_good(is_better):
    good = "activate" if is_better else "keep"
    assert fate(a_situation(), is_better=is_better, is_same_rule=True) == "contest"
    for is_demo in (True, False):  # whoever activated one of another rule wants that one
        assert fate(a_situation(is_demo=is_demo), is_better=is_better, is_same_rule=False) == "keep"
    assert fate(a_situation(now_ns=1_169 * HOUR_NS), is_better=is_better, is_same_rule=False) == good
    assert fate(a_situation(model=None), is_better=is_better, is_same_rule=True) == good
    assert fate(a_situation(now_ns=1_169 * HOUR_NS), is_better=is_better, is_same_rule=True) == good
    assert fate(a_situation(model=None, is_demo=True), is_better=is_better, is_same_rule=True) == "activate"
    assert is_in_force(a_situation(now_ns=1_168 * HOUR_NS))


@pytest.mark.parametrize(
    ("symbols", "horizon", "needed"), [(0, 15, 4_000), (1, 5, 4_000), (3, 15, NEEDED), (3, 60, 27_000)]
)
def test_a_first_training_waits_for_as_many_bars_as_its_slices_need(symbols, horizon, needed):
    assert windows_needed(symbols, horizon) == needed


def test_failures_are_followed_by_longer_and_longer_pauses_up_to_a_bound():
    assert [pause_s(failures) for failures in (0, 1, 2, 3, 40)] == [0.0, 60.0, 120.0, 240.0, 21_600.0]


def test_a_contest_is_over_once_another_rule_is_in_force():
    """No label would ever count for both, and beside a challenger nothing is trained anew."""
    champion, challenger = known_of("forward-1-00000001"), known_of("forward-2-00000002")
    other = champion._replace(rule=champion.rule._replace(horizon_bars=60))
    expires_ns = champion.model.document.expires_ns
    assert over(champion, challenger, expires_ns) is None
    assert "forward-1-00000001, which is in force" in over(other, challenger, expires_ns)
    assert over(other, challenger, expires_ns + 1) is None, "the challenger may follow it"

"""Features and predictions are joined and labelled the same whichever comes first, and as often as it comes."""


import pytest
from hypothesis import given
from hypothesis import strategies as st
from signal_bars import SETS
from watched_bars import HORIZON, by_another_version, interleaved, records

from sofia_streams.core.monitoring.maturing import Joining, Maturing
from sofia_streams.core.scoring.labels import Rule

SIZE_NS = 60 * 10**9


def matured(record_stream, rule_of):
    joining, found = Joining(), []
    maturing = Maturing(rule_of, SETS[0])
    for record in record_stream:
        for pair in joining.take(record, is_new=True):
            said = pair.prediction
            scores = {} if said.calibrated_score is None else {said.model_id: said.calibrated_score}
            found += maturing.take(pair.features, scores)
    return found


@given(st.integers(0, 10_000))
def test_any_interleaving_gives_the_same_pairs(seed):
    pairs, joining = records(300)[:200], Joining()
    found = [pair for record in interleaved(pairs, seed) for pair in joining.take(record, is_new=True)]
    assert [(one.features, one.prediction) for one in found] == pairs


def test_a_record_without_its_other_half_is_passed_over():
    pairs, joining = records(300)[:20], Joining()
    stream = [one for pair in pairs for one in pair if one not in (pairs[3][0], pairs[7][1])]
    found = [pair.features for record in stream for pair in joining.take(record, is_new=True)]
    assert found == [one for one, _ in pairs if one not in (pairs[3][0], pairs[7][0])]


@pytest.mark.parametrize("is_first", [True, False])
def test_a_pair_is_old_only_where_both_of_it_are(is_first):
    (features, prediction), joining = records(300)[0], Joining()
    joining.take(features, is_new=is_first)
    assert [pair.is_new for pair in joining.take(prediction, is_new=not is_first)] == [True]
    joining = Joining()
    joining.take(features, is_new=False)
    assert [pair.is_new for pair in joining.take(prediction, is_new=False)] == [False]


@pytest.mark.parametrize("hole", [None, range(150, 152)])
def test_labels_are_those_of_the_bars_and_none_reaches_over_a_hole(hole):
    pairs = records(300, hole=hole)
    stream = [each for pair in pairs for each in pair]
    found = {one.start_ns: one for one in matured(stream, lambda _: Rule("forward", HORIZON))}
    candles = {features.start_ns: features.candle for features, _ in pairs}
    for features, prediction in pairs:
        ahead = [candles.get(features.start_ns + number * SIZE_NS) for number in range(1, HORIZON + 1)]
        if prediction.calibrated_score is None or None in ahead:
            assert features.start_ns not in found
        else:
            one = found[features.start_ns]
            assert one.label == (ahead[-1].close > ahead[0].open)
            assert one.scores == {prediction.model_id: prediction.calibrated_score}
    assert len(found) > 100


def test_models_of_two_rules_are_labelled_by_their_own():
    rules = {"long": Rule("forward", 10), "short": Rule("forward", 3)}
    maturing = Maturing(rules.get, SETS[0])
    found = []
    for features, _ in records(300)[100:140]:
        found += maturing.take(features, {"long": 0.6, "short": 0.4, "unknown": 0.5})
    counts = {rule: sum(one.rule == rule for one in found) for rule in rules.values()}
    assert counts == {rules["long"]: 30, rules["short"]: 37}
    assert all(set(one.scores) == {name for name, rule in rules.items() if rule == one.rule} for one in found)


@pytest.mark.parametrize("width", [None, 0])
def test_no_barrier_is_made_from_the_features_of_another_version(width):
    rule = Rule("barrier", HORIZON)
    pairs = [pair for pair in records(300)[100:200] if pair[0].candle is not None]
    ours, theirs = Maturing(lambda _: rule, SETS[0]), Maturing(lambda _: rule, SETS[0])
    found = [ours.take(features, {"m": 0.6}) for features, _ in pairs]
    assert sum(map(len, found)) > 50
    assert not any(theirs.take(by_another_version(features, width), {"m": 0.6}) for features, _ in pairs)

"""What is said of models follows from the last bars of the log alone, whoever reads them from where."""

import msgspec
import pytest
from signal_bars import BEGIN_NS, SETS
from watched_bars import HORIZON, SWAP_BAR, by_another_version, interleaved, known_of, records

from sofia_streams.core.monitoring.watching import DRIFT_BARS, Watch, Watches, drift_of, recall_bars
from sofia_streams.core.scoring.drift import Deciles, psi, psi_of_counts
from sofia_streams.scored import Prediction

MINUTES = 2_400
SIZE_NS = 60 * 10**9


def said(stream, known=known_of, challenger=lambda: None):
    """Everything that goes into the log, with the bar's end."""
    watches, found = Watches(SETS[0], known, challenger), []
    for record in stream:
        for told in watches.take(record, is_new=True):
            found += [(told.end_ns, one) for one in told.said]
    return found


def in_turn(pairs):
    return [record for pair in pairs for record in pair]


@pytest.fixture(scope="module")
def all_said():
    return said(in_turn(records(MINUTES)))


def test_each_minute_with_labels_says_one_thing_of_each_model(all_said):
    qualities = [(end_ns, one) for end_ns, one in all_said if not hasattr(one, "alert_id")]
    assert len({end_ns for end_ns, _ in qualities}) == len(qualities) > MINUTES * 0.9
    for end_ns, one in qualities:
        is_before = end_ns < BEGIN_NS + SWAP_BAR * SIZE_NS
        assert one.role == "champion"
        assert one.model_id == ("forward-1-00000001" if is_before else "forward-2-00000002")
        assert one.start_ns <= end_ns - (HORIZON + 1) * SIZE_NS
        assert one.labels <= 500


@pytest.mark.parametrize("seed", [1, 2])
def test_any_interleaving_and_repeats_say_the_same(all_said, seed):
    assert said(interleaved(records(MINUTES), seed)) == all_said


@pytest.mark.parametrize("begin", [200, 240])
def test_who_begins_a_bounded_time_back_says_the_same_from_then_on(all_said, begin):
    pairs = records(MINUTES)
    from_ns = pairs[begin][0].start_ns + recall_bars(HORIZON) * SIZE_NS
    later = [(end_ns, one) for end_ns, one in said(in_turn(pairs[begin:])) if end_ns > from_ns]
    assert later == [(end_ns, one) for end_ns, one in all_said if end_ns > from_ns]
    assert len(later) > 100


def test_a_challenger_is_measured_beside_the_champion():
    other = known_of("forward-2-00000002")
    pairs = records(MINUTES)[:700]
    found = said(in_turn(pairs), challenger=lambda: other)
    alone = said(in_turn(pairs))
    assert {(one.role, one.model_id) for _, one in found} == {("challenger", other.model_id)}
    assert [one.labels for _, one in found] == [one.labels for _, one in alone]
    assert found[-1][1].brier != alone[-1][1].brier


def skewed(pairs, from_bar, until_bar):
    """The same bars; between the two the model says the opposite of what comes, and is sure of it."""
    closes = [features.candle and features.candle.close for features, _ in pairs]
    found = []
    for at, (features, prediction) in enumerate(pairs):
        if prediction.calibrated_score is not None and at + HORIZON < len(pairs):
            rises = (closes[at + HORIZON] or 0) > (closes[at + 1] or 0)
            is_bad = from_bar <= at < until_bar
            score = 0.1 if rises == is_bad else 0.9
            prediction = msgspec.structs.replace(prediction, calibrated_score=score)
        found.append((features, prediction))
    return found


def test_a_model_that_gets_worse_is_said_once_and_so_is_its_end():
    found = said(in_turn(skewed(records(MINUTES)[: SWAP_BAR * 2], 0, 0)[:1_250]))
    assert not [one for _, one in found if hasattr(one, "alert_id")]
    pairs = [(features, _by_first(prediction)) for features, prediction in records(MINUTES)]
    alerts = [(end_ns, one) for end_ns, one in said(in_turn(skewed(pairs, 600, 1_500))) if hasattr(one, "alert_id")]
    assert [one.severity for _, one in alerts] == ["info", "info"]  # a synthetic model
    assert "got worse" in alerts[0][1].text
    assert "no longer" in alerts[1][1].text
    assert alerts[0][1].alert_id == alerts[1][1].alert_id
    bars = [(end_ns - BEGIN_NS) // SIZE_NS for end_ns, _ in alerts]
    assert 600 < bars[0] < 1_500 < bars[1] < 2_300


def test_a_model_that_is_less_accurate_than_its_card_says_has_got_worse():
    """Its probabilities are near one half, so nothing else of it is wrong."""
    pairs = [
        (features, msgspec.structs.replace(prediction, calibrated_score=0.49 + at % 2 * 0.02))
        if prediction.calibrated_score is not None else (features, prediction)
        for at, (features, prediction) in enumerate(records(MINUTES)[: SWAP_BAR - 1])
    ]  # fmt: skip
    assert not [one for _, one in said(in_turn(pairs)) if hasattr(one, "alert_id")]

    def promising(model_id):
        known = known_of(model_id)
        return None if known is None else known._replace(accuracy_min=0.9)

    (alert,) = [one for _, one in said(in_turn(pairs), promising) if hasattr(one, "alert_id")]
    assert "got worse over its last" in alert.text
    assert "; on its card it is at least 0.900" in alert.text


def _by_first(prediction):
    return msgspec.structs.replace(prediction, model_id="forward-1-00000001") if prediction.model_id else prediction


def test_drift_is_the_largest_of_the_inputs_that_matter_and_needs_rows():
    known = known_of("forward-1-00000001")
    names = known.model.document.inputs
    even = Deciles([0.0], [0.5, 0.5])
    known = known._replace(inputs=[(names[0], 0.01, even), (names[2], 0.3, even), (names[1], 0.5, even)])
    assert drift_of(known, [[300, 200], [100, 400]]) == (pytest.approx(psi_of_counts(even, [100, 400])), names[1])
    assert psi_of_counts(even, [100, 400]) > 0.25
    assert drift_of(known, [[250, 250], [250, 250]]) == (pytest.approx(0.0), names[2])
    assert drift_of(known, [[99, 400], [100, 399]]) == (None, "")


def test_bins_counted_bar_by_bar_are_those_of_the_last_bars():
    pairs = records(MINUTES)[: SWAP_BAR - 1]
    watch = Watch(SETS[0], known_of)
    for record in in_turn(pairs):
        watch.take(record, is_new=False)
    known = known_of("forward-1-00000001")
    rows = [row for features, _ in pairs[-DRIFT_BARS:] if (row := known.model.inputs(features)) is not None]
    for (_, place, deciles), counts in zip(known.important, watch.counts, strict=True):
        assert psi_of_counts(deciles, counts) == psi(deciles, [row[place] for row in rows])
    assert len(known.important) > 5


@pytest.mark.parametrize("width", [None, 3])
def test_records_of_another_version_count_for_no_drift_and_no_challenger(width):
    pairs = [(by_another_version(features, width), prediction) for features, prediction in records(MINUTES)[:700]]
    watch, other = Watch(SETS[0], known_of), known_of("forward-2-00000002")
    told = [one for record in in_turn(pairs) for one in watch.take(record, is_new=True, challenger=other)]
    assert not any(map(sum, watch.counts))
    assert {name for one in told for matured in one.matured for name in matured.scores} == {"forward-1-00000001"}


def test_a_model_that_is_not_known_says_nothing():
    assert said(in_turn(records(MINUTES)[:400]), known=lambda _: None) == []
    assert isinstance(records(MINUTES)[0][1], Prediction)

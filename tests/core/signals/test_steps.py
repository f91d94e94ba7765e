"""Steps from bars to signals: each bar once, swaps by order, restarts and the future change nothing."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signal_bars import BEGIN_NS, MODELS, SETS, a_model, activation, bar, history, load, logs, minute
from watched_bars import by_another_version

from sofia_streams import codec
from sofia_streams.core.features.sets import base_set
from sofia_streams.core.scoring.document import CheckRow, LinearPart
from sofia_streams.core.scoring.scorer import Scorer
from sofia_streams.core.signals.predicting import Model, predict, signal_of
from sofia_streams.core.signals.steps import Steps
from sofia_streams.errors import BadModel
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Bar
from sofia_streams.scored import Features, Prediction


def steps(stored=None, confidence_min=0.6):
    return Steps(SETS, load, confidence_min=confidence_min, stored=stored if stored is not None else {})


def run(machine, records, first=0):
    """Outputs by record, as they are written; and the rows of a table that took every row through its bytes."""
    written, table = [], {}
    for number, record in enumerate(records, first):
        step = machine.apply(record, 0, f"bars/0/{number}")
        written.append([codec.encode(one) for one in step.outputs or ()])
        table |= {key: codec.decode_row(codec.encode(row)) for key, row in step.rows.items()}
    return written, table


def warm(machine, minutes=70):
    run(machine, [record for at in range(minutes) for record in minute(at, 100 + at % 7 / 8)])


@settings(max_examples=40)
@given(logs(), st.data())
def test_a_worker_that_comes_back_at_any_record_goes_on_as_if_never_stopped(records, data):
    expected, table = run(steps(), records)
    cut = data.draw(st.integers(0, len(records)))
    before, stored = run(steps(), records[:cut])
    after, changed = run(steps(stored), records[cut:], cut)
    assert before + after == expected
    assert {**stored, **changed} == table


@settings(max_examples=40)
@given(logs(), st.data())
def test_records_that_are_taken_again_after_a_crash_give_no_second_output(records, data):
    """State may be ahead of what was acknowledged: those records come once more."""
    cut = data.draw(st.integers(0, len(records)))
    back = data.draw(st.integers(0, cut))
    _, stored = run(steps(), records[:cut])
    again, changed = run(steps(stored), records[back:cut], back)
    assert not any(again)
    rest, _ = run(steps({**stored, **changed}), records[cut:], cut)
    assert rest == run(steps(), records)[0][cut:]


def test_a_crash_between_two_rows_of_a_step_changes_no_output():
    """The first rows of the last step are stored, the others are not; its record comes again."""
    records = [record for at in range(75) for record in minute(at, 100 + at % 7 / 8)]
    expected, _ = run(steps(), records)
    cut = len(records) - 6  # its last record is a consolidated bar
    for kept in (0, 1, 2):
        table = {}
        machine = steps(table)
        for number, record in enumerate(records[:cut], 1):
            rows = [*machine.apply(record, 0, f"bars/0/{number - 1}").rows.items()]
            table |= dict(rows[:kept] if number == cut else rows)
        again, _ = run(steps(table), records[cut - 1 :], cut - 1)
        assert again[0] in (expected[cut - 1], [])
        assert again[1:] == expected[cut:]


@settings(max_examples=40)
@given(logs(), st.data())
def test_cutting_the_log_off_anywhere_changes_nothing_that_was_written(records, data):
    """Nothing looks ahead."""
    cut = data.draw(st.integers(0, len(records)))
    assert run(steps(), records[:cut])[0] == run(steps(), records)[0][:cut]


@settings(max_examples=40)
@given(logs())
def test_every_consolidated_bar_has_one_of_each_output_and_nothing_else_has_any(records):
    newest, expected = 0, []
    for record in records:
        is_new = isinstance(record, Bar) and record.venue == "all" and record.start_ns > newest
        newest = record.start_ns if is_new else newest
        expected.append(3 if is_new else 0)
    assert [len(one) for one in run(steps(), records)[0]] == expected


def test_a_swap_is_at_the_bar_that_ends_at_its_time_and_one_that_comes_late_at_the_next():
    machine = steps()
    warm(machine)
    records = [activation("one", 0, 1), activation("two", 73, 2)]
    records += [record for at in (70, 71, 72, 73) for record in minute(at, 100)]
    records += [activation("three", 10, 3), *minute(74, 100)]
    found = [codec.decode_scored(one[1]) for one in run(machine, records)[0] if one]
    assert [one.model_id for one in found] == ["one", "one", "two", "two", "three"]
    assert [one.start_ns for one in found] == [BEGIN_NS + at * NS_PER_MINUTE for at in (70, 71, 72, 73, 74)]


def test_a_model_that_cannot_be_loaded_is_refused_once_and_the_one_before_goes_on():
    machine = steps()
    warm(machine)
    refused = []
    for record in [activation("one", 0, 1), activation("lost", 0, 2), *minute(70, 100), *minute(71, 100)]:
        step = machine.apply(record, 0, "bars/0/1")
        refused += step.refused
        if step.outputs:
            assert step.outputs[1].model_id == "one"
    assert [one.activation.model_id for one in refused] == ["lost"]


def test_a_model_that_makes_no_number_of_a_bar_is_refused_and_the_one_before_scores_it():
    """Two weights whose products have no sum: the rows that it was checked with are zeros."""
    linear = LinearPart([1e308, -1e308], 0.0, [0.0, 0.0], [1.0, 1.0])
    checks = [CheckRow([0.0, 0.0], 0.5, 0.5)] * 16
    document = msgspec.structs.replace(
        a_model().document, inputs=["base.rsi_14"] * 2, linear=linear, checks=checks, model_id="boundless"
    )
    boundless = Model(Scorer(document, None), SETS)
    machine = Steps(SETS, lambda one: boundless if one.model_id == "boundless" else load(one), confidence_min=0.6)
    warm(machine)
    found = [
        step
        for record in [activation("one", 0, 1), activation("boundless", 0, 2), *minute(70, 100), *minute(71, 100)]
        if (step := machine.apply(record, 0, "bars/0/1")).outputs
    ]
    assert [step.outputs[1].model_id for step in found] == ["one", "one"]
    assert [[one.activation.model_id for one in step.refused] for step in found] == [["boundless"], []]


def test_where_no_model_could_be_loaded_it_says_so():
    machine = steps()
    warm(machine)
    machine.apply(activation("lost", 0, 2), 0, "bars/0/1")
    outputs = [machine.apply(record, 0, "bars/0/1").outputs for record in minute(70, 100)][-1]
    assert outputs[1].abstention == "refused" and outputs[2].action == "abstain" and outputs[2].reason == "refused"


def features(machine, record):
    return machine.apply(record, 0, "bars/0/9").outputs[0]


def test_closes_of_a_venue_that_is_a_minute_ahead_are_those_of_their_windows():
    """So far ahead the consolidated bar waits for the slowest."""
    machine = steps()
    warm(machine)
    for at in range(70, 130):
        machine.apply(bar(at, 200 + at, venue="okx"), 0, "bars/0/1")
    for at in range(70, 130):
        machine.apply(bar(at, 100, venue="binance"), 0, "bars/0/1")
        assert features(machine, bar(at, 100)).candle.venues == {"okx": 200 + at, "binance": 100}


def test_each_reason_to_abstain():
    machine = steps()
    warm(machine)
    model = a_model()
    ready = features(machine, bar(70, 100))
    assert predict(ready, model, "").abstention is None
    assert predict(ready, None, "").abstention == "no model"
    assert predict(features(machine, bar(71, 100, quality="gap")), model, "").abstention == "gap"
    assert predict(features(machine, bar(72, 100, quality="stale")), model, "").abstention == "stale"
    assert predict(features(machine, bar(73, None)), model, "").abstention == "no trades"
    assert predict(features(machine, bar(90, 100)), model, "").abstention == "not ready"
    old = a_model(expires_ns=ready.end_ns)
    assert predict(ready, old, "").abstention is None
    assert predict(features(machine, bar(91, 100)), old, "").abstention == "expired"


@pytest.mark.parametrize("label", ["forward", "barrier"])
@pytest.mark.parametrize(
    ("tilt", "cost", "confidence_min", "said", "action"),
    [
        (3, 0.0, 0.6, "up", "buy"),
        (-3, 0.0, 0.6, "down", "sell"),
        (-3, 0.001, 0.6, "not up", "hold"),
        (3, 0.0, 0.999, "up", "hold"),
    ],
)
def test_a_signal_goes_with_a_prediction_that_is_confident_enough(label, tilt, cost, confidence_min, said, action):
    machine = steps()
    warm(machine)
    prediction = predict(features(machine, bar(70, 100)), a_model(tilt=tilt, cost=cost, label=label), "bars/0/9")
    signal = signal_of(prediction, bar(70, 100).close, confidence_min=confidence_min)
    assert (prediction.prediction_class, signal.action) == (said, action)
    assert prediction.confidence == signal.confidence >= 0.5
    score = prediction.calibrated_score
    assert prediction.confidence == (score if score > 0.5 else 1 - score)


def test_a_model_of_other_bars_or_other_features_is_refused():
    with pytest.raises(BadModel, match="SIGNALS_BAR_SIZE"):
        a_model(sets=[base_set(NS_PER_SECOND)])
    with pytest.raises(BadModel, match="expected features base of schema"):
        a_model(schemas={"base": "0" * 16})
    with pytest.raises(BadModel, match="no such set"):
        a_model(schemas={"base": SETS[0].schema, "whales": "0" * 16})
    with pytest.raises(BadModel, match=r"among the features, found base\.price"):
        a_model(inputs=["base.price", *[f"base.{SETS[0].features[at].name}" for at in SETS[0].inputs][1:]])


@pytest.mark.parametrize("width", [None, 3, 0])
def test_a_record_of_other_features_under_the_same_names_is_not_scored(width):
    """The trainer reads records that an earlier version wrote; their values stand in other places, or are fewer."""
    machine = steps()
    warm(machine)
    features = [machine.apply(one, 0, "").outputs for one in minute(70, 100)][-1][0]
    assert predict(features, MODELS["one"], "").calibrated_score is not None
    for strange in (by_another_version(features, width), msgspec.structs.replace(features, sets={})):
        assert MODELS["one"].inputs(strange) is None
        said = predict(strange, MODELS["one"], "")
        assert (said.abstention, said.calibrated_score, said.model_id) == ("not ready", None, "one")


def test_history_makes_the_features_of_the_next_bar_ready_and_gives_no_output_itself():
    machine = steps()
    run(machine, [*minute(200, 100, quality="gap"), *minute(201, 100)])
    step = machine.apply(history(range(80, 201)), 0, "bars/0/2")
    assert step.outputs is None and list(step.rows) == ["spot|BTC/USDT"]
    found = [machine.apply(record, 0, "bars/0/3").outputs for record in minute(202, 100)][-1][0]
    assert found.sets["base"].is_ready and not found.sets["flow"].is_ready


def test_symbols_and_partitions_are_apart():
    machine = steps()
    machine.apply(activation("one", 0, 1), 0, "bars/0/0")
    for at in range(70):
        for record in minute(at, 100 + at % 7 / 8):
            machine.apply(record, 0, "bars/0/1")
            machine.apply(msgspec.structs.replace(record, symbol="ETH/USDT"), 1, "bars/1/1")
    one, other = (
        machine.apply(bar(70, 100, symbol=symbol), place, "bars/0/2").outputs[1]
        for symbol, place in (("BTC/USDT", 0), ("ETH/USDT", 1))
    )
    assert (one.abstention, other.abstention) == (None, "no model")


def test_memory_that_is_damaged_begins_anew():
    machine = steps()
    warm(machine)
    _, table = run(machine, minute(70, 100))
    row = table["spot|BTC/USDT"]
    broken = msgspec.structs.replace(row, memory=msgspec.structs.replace(row.memory, indicators=[[1.0]]))
    found = features(steps({**table, "spot|BTC/USDT": broken}), bar(71, 100))
    assert isinstance(found, Features) and not found.sets["base"].is_ready


def test_outputs_read_back_are_the_same():
    machine = steps()
    warm(machine)
    machine.apply(activation("one", 0, 1), 0, "bars/0/0")
    for one in machine.apply(bar(70, 100), 0, "bars/0/1").outputs:
        assert codec.decode_scored(codec.encode(one)) == one
        if isinstance(one, Prediction):
            assert one.raw_score is not None


def test_history_that_was_of_no_use_is_of_none_when_it_is_read_again_after_the_book_began_anew():
    quiet = [record for at in range(5) for record in minute(at, None)]
    records = [history(range(-90, 0)), *quiet, history(range(5)), *minute(6, None)]
    _, stored = run(steps(), records)
    again, changed = run(steps(stored), records)
    assert not any(again) and not changed
    rest = minute(7, 100)
    assert run(steps({**stored, **changed}), rest, len(records)) == run(steps(dict(stored)), rest, len(records))
    assert not features(steps(stored), bar(7, 100)).sets["base"].is_ready

"""Silence goes from `bars` into `signals` in its place among the signals, and changes nothing of what is known."""

from signal_bars import SETS, bar, load, minute

from sofia_streams import codec
from sofia_streams.core.signals.steps import Steps
from sofia_streams.scored import Silence


def test_it_is_handed_on_in_order_behind_the_signals_of_the_bars_before_it():
    steps, written = Steps(SETS, load, confidence_min=0.6), []
    quiet = Silence("spot", "BTC/USDT", bar(2, 100).start_ns)
    for record in [*minute(0, 100), *minute(1, 100), quiet, quiet, *minute(3, 100)]:
        step = steps.apply(record, 0, "bars/0/1")
        found = step.silence if step.outputs is None else step.outputs[2]
        if found is not None:
            written.append(codec.decode_signals(codec.encode(found)))
    assert [one if isinstance(one, Silence) else one.start_ns for one in written] == [
        bar(0, 100).start_ns, bar(1, 100).start_ns, quiet, quiet, bar(3, 100).start_ns,
    ]  # fmt: skip


def test_it_changes_no_row_and_wants_no_model():
    steps, plain = (Steps(SETS, load, confidence_min=0.6) for _ in range(2))
    quiet = Silence("spot", "BTC/USDT", bar(2, 100).start_ns)
    for number in range(70):
        for record in minute(number, 100 + number % 7):
            step = steps.apply(quiet, 0, "bars/0/1")
            assert (step.outputs, step.rows, step.refused, step.silence) == (None, {}, [], quiet)
            assert steps.needed(quiet, 0) is None
            assert steps.apply(record, 0, "bars/0/1") == plain.apply(record, 0, "bars/0/1")

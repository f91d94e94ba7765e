"""Rows to train on: what a model would be given behind a bar, and nothing that was not known then."""

from array import array
from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trained_models import ORDER, SETS, bars

from sofia_streams.core.features.book import Book, feature_values, flat
from sofia_streams.core.scoring.labels import Rule
from sofia_streams.errors import ConfigError
from sofia_streams.model import NS_PER_SECOND
from sofia_streams.training.dataset import Seen, Written, build, input_names

SEEN = bars().seen[:400]


def at(number, **changes):
    """Those windows with one of them changed."""
    one = SEEN[number]
    changed = one._replace(candle=type(one.candle)(**{
        **{name: getattr(one.candle, name) for name in one.candle.__struct_fields__}, **changes
    }))  # fmt: skip
    return [*SEEN[:number], changed, *SEEN[number + 1 :]]


def starts(data):
    return {*data.start_ns.tolist()}


def test_inputs_are_what_the_live_book_gives():
    """Bit for bit; each row once, in order of time."""
    data, book = build(SEEN, SETS, ORDER.rule), Book(SETS)
    live = {}
    for one in SEEN:
        values = feature_values(SETS, book.take(one.start_ns, one.candle))["base"]
        if values.is_ready:
            live[one.start_ns] = [values.values[place] for place in SETS[0].inputs]
    assert len(data) == len(live) - ORDER.rule.horizon_bars
    assert data.start_ns.tolist() == sorted(data.start_ns.tolist())
    for start_ns, row in zip(data.start_ns.tolist(), data.inputs.tolist(), strict=True):
        assert row == live[start_ns]
    assert data.names == input_names(SETS)


@settings(max_examples=20)
@given(st.integers(80, 399))
def test_what_comes_later_changes_no_row_that_was_known(cut):
    """Truncated anywhere: what is left is a beginning of what there was."""
    whole, part = build(SEEN, SETS, ORDER.rule), build(SEEN[:cut], SETS, ORDER.rule)
    assert (part.known_ns <= SEEN[cut - 1].start_ns + NS_PER_SECOND).all()
    for name in ("inputs", "labels", "returns", "start_ns", "known_ns"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[: len(part)])


def test_labels_are_of_the_bars_that_follow():
    data = build(SEEN, SETS, Rule("forward", 5))
    places = {one.start_ns: number for number, one in enumerate(SEEN)}
    for row in range(len(data)):
        number = places[int(data.start_ns[row])]
        change = SEEN[number + 5].candle.close / SEEN[number + 1].candle.open - 1.0
        assert data.returns[row] == change
        assert data.labels[row] == int(change > 0.0)
        assert data.known_ns[row] == SEEN[number + 5].start_ns + NS_PER_SECOND


def test_a_bar_that_lacks_trades_gives_no_row():
    data = build(at(200, is_complete=False), SETS, ORDER.rule)
    assert SEEN[200].start_ns not in starts(data)
    assert SEEN[199].start_ns in starts(data)
    assert data.left_out["trades of it are missing"] == 1


def test_a_quiet_bar_gives_no_row_and_ends_no_label():
    quiet = SEEN[200]._replace(candle=flat(SEEN[199].candle.close, is_complete=True, quantity=0.0))
    data = build([*SEEN[:200], quiet, *SEEN[201:]], SETS, ORDER.rule)
    assert SEEN[200].start_ns not in starts(data)
    assert {SEEN[number].start_ns for number in range(195, 200)} <= starts(data)
    assert data.left_out["no trades"] == 1


def test_no_label_reaches_over_a_hole():
    data = build([*SEEN[:200], *SEEN[202:]], SETS, ORDER.rule)
    assert not {SEEN[number].start_ns for number in range(195, 200)} & starts(data)
    assert SEEN[194].start_ns in starts(data)
    assert SEEN[202].start_ns in starts(data)
    assert data.left_out["no label: a hole behind it"] == 5


def test_symbols_do_not_mix():
    """Two symbols, bar by bar in turn, give what each gives alone."""
    both = [one for pair in zip(SEEN, (Seen("ETH/USDT", *one[1:]) for one in SEEN), strict=True) for one in pair]
    data, alone = build(both, SETS, ORDER.rule), build(SEEN, SETS, ORDER.rule)
    assert len(data) == 2 * len(alone)
    chosen = np.array([symbol == "ETH/USDT" for symbol in data.symbols])
    np.testing.assert_array_equal(data.inputs[chosen], alone.inputs)


def test_too_few_bars_are_refused_with_what_is_missing():
    with pytest.raises(ConfigError, match="need 61 bars in a row, a label 5 more"):
        build(SEEN[:40], SETS, ORDER.rule)


def test_no_bars_are_refused():
    with pytest.raises(ConfigError, match="no bar at all"):
        build([], SETS, ORDER.rule)


def test_what_was_known_live_is_taken_as_it_was_written_where_it_is_of_these_features():
    """The worker may have remembered more than the windows tell."""
    plain, place = build(SEEN, SETS, ORDER.rule), 200
    ours = Written(SETS[0].schema, array("d", range(len(SETS[0].features))))
    row = plain.start_ns.tolist().index(SEEN[place].start_ns)
    for one, is_taken in ((ours, True), (ours._replace(schema="0" * 16), False)):
        changed = [*SEEN[:place], SEEN[place]._replace(written=[one]), *SEEN[place + 1 :]]
        data = build(changed, SETS, ORDER.rule)
        expected = [float(at) for at in SETS[0].inputs] if is_taken else plain.inputs[row].tolist()
        assert data.inputs[row].tolist() == expected
        assert data.inputs[row + 1].tolist() == plain.inputs[row + 1].tolist()


def test_a_bar_that_was_not_ready_live_gives_no_row():
    place = 200
    nothing = Written(SETS[0].schema, array("d", [nan] * len(SETS[0].features)))
    changed = [*SEEN[:place], SEEN[place]._replace(written=[nothing]), *SEEN[place + 1 :]]
    assert SEEN[place].start_ns not in starts(build(changed, SETS, ORDER.rule))

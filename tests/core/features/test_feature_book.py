"""Bars in, vectors out: each window once, what is missing said, and a restart anywhere changes nothing."""

import math

import msgspec
import pytest
from feature_bars import BEGIN_NS, bar, taken
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core.features.book import FILLED_MAX, Book, Memory, candle_of
from sofia_streams.core.features.sets import base_set, sets_of
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND

SETS = sets_of(NS_PER_MINUTE)
VENUES = {"binance": 100.0, "okx": 100.01}


def value(vectors, name):
    for one, vector in zip(SETS, vectors, strict=True):
        for feature, found in zip(one.features, vector.values, strict=True):
            if feature.name == name:
                return found
    raise AssertionError(name)


def fed(numbers, close=lambda at: 100 + math.sin(at), **changes):
    book = Book(SETS)
    return book, [taken(book, bar(at, close(at), **changes), venues_at(at)) for at in numbers]


def venues_at(at):
    return {"binance": 100 + math.sin(at), "okx": 100 + math.sin(at) + math.cos(at * at) / 100}


def test_a_set_is_ready_when_every_input_of_a_model_is_known():
    _, found = fed(range(70))
    base_ready = [vectors[0].is_ready for vectors in found]
    assert base_ready.index(True) == max(part.indicator().warm_up for part in SETS[0].parts) - 1 == 60
    assert [vectors[1].is_ready for vectors in found].index(True) == 60
    assert all(base_ready[60:])
    assert None not in [found[60][0].values[at] for at in SETS[0].inputs]


def test_a_window_counts_once():
    book, found = fed(range(30))
    assert taken(book, bar(29, 500), VENUES) is None
    assert taken(book, bar(3, 500), VENUES) is None
    assert value(taken(book, bar(30, 100 + math.sin(30)), VENUES), "sma_20") == pytest.approx(100, abs=0.2)
    assert None not in found


def test_a_missing_window_repeats_the_close_and_its_quantities_are_unknown():
    book, _ = fed(range(100))
    vectors = taken(book, bar(102, 101), VENUES)
    assert value(vectors, "r_1m") == pytest.approx(101 / (100 + math.sin(99)) - 1)
    assert value(vectors, "r_5m") == pytest.approx(101 / (100 + math.sin(97)) - 1)
    assert value(vectors, "imbalance_20") is None and value(vectors, "vwap_60_bps") is None
    assert value(vectors, "data_quality") == pytest.approx(58 / 60)


@pytest.mark.parametrize(("missing", "is_known"), [(FILLED_MAX, True), (FILLED_MAX + 1, False)])
def test_behind_too_many_missing_windows_everything_begins_anew(missing, is_known):
    book, _ = fed(range(100))
    vectors = taken(book, bar(100 + missing, 101), VENUES)
    assert (value(vectors, "sma_20") is not None) is is_known
    assert book.seen == (100 + missing + 1 if is_known else 1)


def test_while_too_many_windows_are_quiet_nothing_is_known_and_then_it_goes_on():
    book, _ = fed(range(100))
    quiet = [taken(book, bar(100 + at, None), {}) for at in range(FILLED_MAX + 2)]
    assert [value(vectors, "sma_20") is not None for vectors in quiet] == [True] * FILLED_MAX + [False] * 2
    assert value(taken(book, bar(107, 100), VENUES), "sma_20") is not None


def test_a_quiet_beginning_has_no_price_and_is_not_made_up():
    book = Book(SETS)
    first = taken(book, bar(0, None), {})
    assert {found for vector in first for found in vector.values} == {None}
    assert book.seen == 0
    assert value(taken(book, bar(1, 100), VENUES), "imbalance_1") == pytest.approx(0.2)


def test_a_bar_whose_source_knows_no_taker_side_leaves_flow_unknown():
    book, _ = fed(range(100))
    kline = msgspec.structs.replace(candle_of(bar(100, 100), VENUES, None), buy_volume=None)
    assert book.take(BEGIN_NS + 100 * NS_PER_MINUTE, kline)[1][0] is None
    assert value(taken(book, bar(101, 100), VENUES), "imbalance_1") == pytest.approx(0.2)
    assert value(taken(book, bar(102, 100), VENUES), "imbalance_20") is None


bars = st.lists(
    st.tuples(
        st.integers(1, 8).map(lambda gap: max(1, gap - 6)),  # windows on: mostly the next one
        st.one_of(st.none(), st.decimals(min_value="0.5", max_value="2", places=3)),
        st.sampled_from(["complete", "gap", "stale", "revised"]),
    ),
    min_size=1,
    max_size=120,
)


@given(bars, st.data())
def test_a_book_read_back_at_any_bar_goes_on_as_if_never_stopped(steps, data):
    number, rows = 0, []
    for gap, close, quality in steps:
        number += gap
        rows.append(bar(number, close, quality=quality))
    whole = Book(SETS)
    expected = [taken(whole, one, VENUES) for one in rows]
    cut = data.draw(st.integers(0, len(rows)))
    first = Book(SETS)
    for one in rows[:cut]:
        taken(first, one, VENUES)
    stored = msgspec.json.encode(first.memory())
    second = Book(SETS)
    second.resume(msgspec.json.decode(stored, type=Memory))
    assert msgspec.json.encode(second.memory()) == stored
    assert [taken(second, one, VENUES) for one in rows[cut:]] == expected[cut:]
    assert second.memory() == whole.memory()


@given(bars)
def test_no_value_is_ever_nan_or_infinite(steps):
    book, number = Book(SETS), 0
    for gap, close, quality in steps:
        number += gap
        for vector in taken(book, bar(number, close, quality=quality), VENUES):
            assert all(found is None or math.isfinite(found) for found in vector.values)


@given(bars, st.integers(0, 119))
def test_what_comes_later_changes_no_value(steps, cut):
    number, rows = 0, []
    for gap, close, quality in steps:
        number += gap
        rows.append(bar(number, close, quality=quality))
    whole, cut_off = Book(SETS), Book(SETS)
    everything = [taken(whole, one, VENUES) for one in rows]
    assert [taken(cut_off, one, VENUES) for one in rows[:cut]] == everything[:cut]


def test_memory_of_other_sets_is_of_no_use():
    book, _ = fed(range(80))
    other = Book([base_set(NS_PER_SECOND)])
    other.resume(book.memory())
    assert other.seen == 0


def test_names_and_schema_follow_the_bar_size():
    second, minute = base_set(NS_PER_SECOND), base_set(NS_PER_MINUTE)
    assert [one.name for one in second.features][:3] == ["r_1s", "r_5s", "r_1m"]
    assert [one.name for one in minute.features][:3] == ["r_1m", "r_5m", "r_1h"]
    assert len({second.schema, minute.schema, *(one.schema for one in SETS)}) == 3
    assert all(len(one.schema) == 16 for one in SETS)


def test_the_schemas_of_this_version_stay():
    """A changed formula needs a new VERSION: models trained before must be refused."""
    assert {one.name: one.schema for one in SETS} == {"base": "f5dbfa0de710d60a", "flow": "0b3b23b9e84c4703"}


def seen(numbers, **changes):
    bars = [bar(at, 100 + math.sin(at), **changes) for at in numbers]
    return [(one.start_ns, candle_of(one, {}, None)) for one in bars]


@pytest.mark.parametrize("live", [0, 1, 30, 59])
def test_history_goes_before_what_was_seen_since_and_makes_features_ready_at_once(live):
    """As if all of it had come in order; so a second copy of the history changes nothing."""
    whole, _ = fed(range(200 + live + 1))
    book, _ = fed(range(200, 200 + live))
    assert book.learn(seen(range(200)))
    assert not book.learn(seen(range(100)))
    found = taken(book, bar(200 + live, 100 + math.sin(200 + live)), venues_at(200 + live))
    assert found[0].is_ready
    assert book.memory().indicators[:10] == whole.memory().indicators[:10]


def test_history_replaces_a_bar_that_lacks_trades_and_no_other():
    book, _ = fed([100], quality="gap")
    taken(book, bar(101, 500), VENUES)
    book.learn(seen(range(103)))
    found = taken(book, bar(102, 500), VENUES)
    assert value(found, "r_1m") == 0.0
    assert value(found, "mom_14") == pytest.approx(500 / (100 + math.sin(88)) - 1)
    assert value(found, "data_quality") == 1.0


def test_history_is_of_no_use_once_enough_was_seen():
    book, _ = fed(range(100))
    before = book.memory()
    assert not book.learn(seen(range(-100, 100)))
    assert book.memory() == before


@pytest.mark.parametrize(("until", "is_known"), [(0, False), (90, False), (96, True), (100, True)])
def test_a_window_that_was_passed_over_does_not_come_again_behind_history(until, is_known):
    """Quiet ones before the first price have no candle, but their number counts, as that of any that is missing."""
    book, _ = fed([])
    book.pass_over(bar(100, 1).start_ns)
    book.learn(seen(range(until)))
    assert taken(book, bar(100, 500), VENUES) is None
    found = taken(book, bar(101, 500), VENUES)
    assert (value(found, "r_1h") is not None) is is_known
    assert book.seen == (102 if is_known else 1)

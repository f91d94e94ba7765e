"""Which bars the pieces of several stretches hold: each once, and never more at a time than was asked for."""

from candle_tables import SYMBOL, S
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_streams.core.bars.ohlcv import bar_of
from sofia_streams.core.bars.stretches import minutes_before, pieces
from sofia_streams.core.bars.windows import Stretch, joins_consolidated
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE

VENUES = (("binance", "spot"), ("okx", "spot"), ("okx", "linear"))


@st.composite
def stretches(draw):
    venue, market = draw(st.sampled_from(VENUES))
    from_s, own_s, joint_s = (draw(st.integers(0, 90)) for _ in range(3))
    return Stretch(venue, market, SYMBOL, from_s * S, own_s * S, joint_s * S)


def bar(venue, market, at):
    return bar_of(None, venue=venue, market=market, symbol=SYMBOL, size_ns=S, start_ns=at * S)


def is_in(one, venue, market, at):
    end_ns = one.joint_until_ns if venue == CONSOLIDATED else one.until_ns
    is_of = venue == one.venue or (venue == CONSOLIDATED and joins_consolidated(one.venue, one.market))
    return is_of and market == one.market and one.from_ns <= at * S < end_ns


@given(st.lists(stretches(), max_size=8), st.sampled_from((4, 8, 20, 60)))
@settings(deadline=None, max_examples=50)
def test_each_bar_of_any_stretch_is_in_one_piece_and_a_piece_holds_no_more_than_its_size(wanted, size_s):
    found = list(pieces(wanted, size_s * S))
    held = [0] * len(found)
    for venue, market in (*VENUES, (CONSOLIDATED, "spot"), (CONSOLIDATED, "linear")):
        for at in range(100):
            holders = [place for place, piece in enumerate(found) if piece.holds(bar(venue, market, at))]
            assert len(holders) == any(is_in(one, venue, market, at) for one in wanted)
            for place in holders:
                held[place] += 1
                assert found[place].from_ns <= at * S
    assert all(0 < count <= size_s for count in held)
    assert [piece.from_ns for piece in found] == sorted(piece.from_ns for piece in found)


@given(st.lists(stretches(), max_size=8), st.integers(0, 100))
@settings(deadline=None, max_examples=50)
def test_each_minute_of_several_stretches_is_counted_once_a_venue_as_far_as_it_was_asked_for(wanted, until_s):
    minutes = {
        (venue, market, at // 60)
        for venue, market in (*VENUES, (CONSOLIDATED, "spot"), (CONSOLIDATED, "linear"))
        for at in range(until_s)
        if any(is_in(one, venue, market, at) for one in wanted)
    }
    assert minutes_before(until_s * S, wanted) == len(minutes)


def test_of_a_stretch_that_touches_the_next_minute_that_is_counted_too():
    one = Stretch("okx", "linear", SYMBOL, 59 * S, NS_PER_MINUTE + 1, 0)
    assert [minutes_before(until_ns, [one]) for until_ns in (59 * S, NS_PER_MINUTE, 2 * NS_PER_MINUTE)] == [0, 1, 2]

"""Rows of fetched pages: what cannot be true is told from the rest, wherever in the page it stands."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core.feeds.gaps import Missing
from sofia_streams.core.feeds.pages import Answer, doubts
from sofia_streams.core.feeds.plausible import AGREEING, AHEAD_NS_MAX, FACTOR_MAX
from sofia_streams.model import NS_PER_SECOND, Trade

NOW_NS = 1_800_000_000 * NS_PER_SECOND
YEAR_NS = 365 * 86_400 * NS_PER_SECOND


def trade(number, price="100", at_ns=NOW_NS):
    return Trade(str(number), Decimal(price), Decimal(1), "buy", at_ns, number, backfilled=True)


@pytest.mark.parametrize(
    ("at_ns", "is_believed"),
    [(NOW_NS + AHEAD_NS_MAX, True), (NOW_NS + AHEAD_NS_MAX + 1, False), (NOW_NS - 9 * YEAR_NS, True), (0, False)],
)
def test_a_row_of_the_future_or_of_another_age_is_doubted(at_ns, is_believed):
    found = doubts([trade(1), trade(2, at_ns=at_ns), trade(3)], None, NOW_NS)
    assert list(found) == ([] if is_believed else ["2"])


@given(
    st.lists(st.decimals("10", "9000", places=2), min_size=3, max_size=40),
    st.integers(0, 40),
    st.sampled_from(["0.001", "100000000"]),
)
def test_one_price_far_off_is_doubted_wherever_it_stands_and_no_other_is(prices, place, odd):
    prices.insert(place, Decimal(odd))
    page = [trade(number, price) for number, price in enumerate(prices)]
    assert list(doubts(page, None, NOW_NS)) == [str(min(place, len(prices) - 1))]


def test_of_two_prices_that_contradict_each_other_the_known_one_tells_and_else_both_are_doubted():
    page = [trade(1, "100"), trade(2, "0.001")]
    assert list(doubts(page, None, NOW_NS)) == ["1", "2"]
    assert list(doubts(page, Decimal(90), NOW_NS)) == ["2"]
    assert doubts(page[:1], None, NOW_NS) == {}


@pytest.mark.parametrize("known", [None, Decimal(100)])
def test_a_market_that_really_moved_is_believed_where_more_than_ten_rows_agree(known):
    """A redenomination within a page: none of it stays missing."""
    old = [trade(number) for number in range(30)]
    for count in (AGREEING, AGREEING + 1):
        new = [trade(100 + number, 100 * FACTOR_MAX + 100) for number in range(count)]
        assert len(doubts([*old, *new], known, NOW_NS)) == (count if count == AGREEING else 0)


def test_a_doubted_row_neither_came_nor_is_absent():
    answer = Answer(Missing(5, 9, 0, 0))
    taken = answer.take([trade(number) for number in (4, 5, 7, 8, 10)], {"7"})
    assert [one.order for one in taken] == [5, 8]
    assert [(one.first_id, one.last_id) for one in answer.absent()] == [(6, 6), (9, 9)]


@given(
    has=st.sets(st.integers(0, 60)),
    wanted=st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted),
    shown=st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted),
    rows_max=st.integers(1, 20),
)
def test_no_id_that_the_venue_has_is_ever_taken_for_absent(has, wanted, shown, rows_max):
    """Whatever stretch of its trades it shows, over however many pages."""
    answer = Answer(Missing(*wanted, 0, 0))
    rows = [trade(number) for number in sorted(has) if shown[0] <= number <= shown[1]]
    taken = [one for place in range(0, len(rows), rows_max) for one in answer.take(rows[place : place + rows_max])]
    absent = {number for one in answer.absent() for number in range(one.first_id, one.last_id + 1)}
    assert not absent & has
    assert taken == [one for one in rows if wanted[0] <= one.order <= wanted[1]]
    if rows and rows[0].order < wanted[0] and rows[-1].order > wanted[1]:
        assert absent == set(range(wanted[0], wanted[1] + 1)) - has
        assert answer.is_enclosed()

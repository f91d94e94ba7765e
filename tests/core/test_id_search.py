"""The search for the first trade from a time on, over pages as venues give them: right, and done soon."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core.feeds.id_search import IdSearch
from sofia_streams.model import Trade


def history(steps):
    """Trades from steps of (id, time)."""
    found, number, at_ns = [], 0, 10**6
    for more_ids, more_ns in steps:
        number, at_ns = number + more_ids, at_ns + more_ns
        found.append(Trade(str(number), Decimal(1), Decimal(1), "buy", at_ns, number))
    return found


def page(trades, start, rows_max, *, ascends):
    if start is None:
        return trades[-rows_max:]
    if ascends:
        return [trade for trade in trades if trade.order >= start][:rows_max]
    return [trade for trade in trades if trade.order < start + rows_max][-rows_max:]


def search(trades, at_ns, rows_max, *, ascends):
    """(the id found, how many pages it took)."""
    newest = page(trades, None, rows_max, ascends=ascends)
    one = IdSearch(at_ns, ascends, rows_max, bound=newest[-1].order, answer=newest[-1].order)
    found, start, pages = newest, None, 1
    while not one.learn(found, start):
        start = one.next_start()
        found, pages = page(trades, start, rows_max, ascends=ascends), pages + 1
        assert pages < 200
    return one.answer, pages


steps = st.tuples(
    st.one_of(st.just(1), st.integers(1, 60), st.integers(1, 10**6)),
    st.one_of(st.integers(0, 3), st.integers(0, 10**4)),
)


@given(st.lists(steps, min_size=1, max_size=80), st.integers(1, 12), st.booleans(), st.data())
def test_the_first_trade_from_a_time_on_is_found_whatever_ids_are_left_out(given_, rows_max, ascends, data):
    trades = history(given_)
    at_ns = data.draw(st.integers(trades[0].exchange_ns - 5, trades[-1].exchange_ns))
    expected = next(trade.order for trade in trades if trade.exchange_ns >= at_ns)
    assert search(trades, at_ns, rows_max, ascends=ascends)[0] == expected


@pytest.mark.parametrize("ascends", [True, False])
def test_an_even_rate_takes_few_pages(ascends):
    trades = history([(5_000_000, 0), *[(1, 100)] * 100_000])
    for number, pages_max in ((99_500, 1), (90_000, 6), (50_000, 8), (1_000, 25), (5, 25)):
        found, pages = search(trades, 10**6 + number * 100, 1_000, ascends=ascends)
        assert (found, pages <= pages_max) == (5_000_000 + number, True)

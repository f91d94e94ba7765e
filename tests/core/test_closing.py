"""Up to where windows must be closed, by the log alone: as the step closes them."""

from candle_tables import RULES, S, Table, batch, punctuation, trade
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_streams.core.bars.closing import Closing
from sofia_streams.core.bars.windows import Feed, Joint
from sofia_streams.model import NS_PER_MINUTE, Gap

VENUES = ("binance", "bybit", "okx")
MOMENTS = st.integers(0, 400 * 10).map(lambda tenths: tenths * S // 10)


@st.composite
def records(draw):
    """Anything that stands in `trades`: in order or not, some fetched later, some history, ends and gaps."""
    found = []
    for number in range(draw(st.integers(1, 30))):
        venue, at_ns = draw(st.sampled_from(VENUES)), draw(MOMENTS)
        kind = draw(st.integers(0, 9))
        if kind < 6:
            found.append(batch(trade(number, at_ns, snapshot=kind == 0), trade(number + 99, at_ns + 7), venue=venue))
        elif kind < 9:
            found.append(punctuation(at_ns, venue, alive=kind < 8))
        else:
            found.append(Gap(venue, "spot", "BTC/USDT", 0, "1", f"g{number}", "ids", "open", at_ns, at_ns + S))
    return found


@given(records(), st.sampled_from([0, S, 5 * S, 60 * S]))
@settings(deadline=None, max_examples=300)
def test_what_must_be_closed_by_the_log_is_what_the_step_has_closed(log, lateness_ns):
    rules = RULES._replace(lateness_ns=lateness_ns)
    table, closing = Table(rules), Closing(rules)
    for record in log:
        table.feed(record)
        closing.add(record)
        for key, row in table.rows.items():
            if isinstance(row, Feed | Joint):
                assert closing.closed_ns(key) == row.closed_ns, key


@given(records(), st.integers(0, 30))
@settings(deadline=None, max_examples=300)
def test_a_log_that_is_seen_from_its_middle_on_says_less_and_nothing_false(log, first):
    table, closing = Table().feed(*log), Closing(RULES)
    for record in log[first:]:
        closing.add(record)
    for key, row in table.rows.items():
        if isinstance(row, Feed | Joint):
            assert closing.closed_ns(key, saw_all=first == 0) <= row.closed_ns, key


def test_of_an_instrument_that_the_log_does_not_know_nothing_must_be_closed():
    assert Closing(RULES).closed_ns("okx|spot|BTC/USDT") == 0
    closing = Closing(RULES)
    closing.add(batch(trade(1, 2 * NS_PER_MINUTE)))
    assert closing.closed_ns("binance|spot|BTC/USDT") == 119 * S
    assert closing.closed_ns("all|spot|BTC/USDT") == 119 * S
    assert closing.closed_ns("all|spot|BTC/USDT", saw_all=False) == 59 * S
    assert closing.closed_ns("okx|spot|BTC/USDT") == 0


def test_a_venue_that_spoke_before_what_was_read_may_still_be_waited_for():
    log = [batch(trade(1, 10 * S)), batch(trade(1, 101 * S), venue="okx"), punctuation(0, "okx", alive=False)]
    table, closing = Table().feed(*log), Closing(RULES)
    for record in log[1:]:
        closing.add(record)
    assert closing.closed_ns("all|spot|BTC/USDT", saw_all=False) == 40 * S == table.rows["all|spot|BTC/USDT"].closed_ns

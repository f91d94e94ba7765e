"""A trade that comes within the lateness of its time is never late, whatever closed windows before it."""

from candle_tables import S, Table, batch, punctuation, trade
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core.bars.watermark import Watermark
from sofia_streams.core.bars.windows import Rules
from sofia_streams.model import PUNCTUATION_LAG_NS

KEY = "binance|spot|BTC/USDT"
LATENESS = st.integers(0, 60_000).map(lambda ms: ms * 1_000_000)
ARRIVALS = st.lists(st.tuples(st.integers(0, 5 * S), st.booleans(), st.floats(0, 1)), min_size=1, max_size=30)


@given(LATENESS, ARRIVALS)
def test_no_trade_within_the_lateness_is_late_in_candles_or_at_ingest(lateness_ns, arrivals):
    """Each arrival is a trade that was on its way for a part of the lateness, or punctuation as ingest makes it."""
    table, watermark, clock_ns = Table(Rules(lateness_ns=lateness_ns)), Watermark(lateness_ns), 1_000 * S
    for number, (pause_ns, is_trade, part) in enumerate(arrivals):
        clock_ns += pause_ns
        if is_trade:
            at_ns = clock_ns - int(lateness_ns * part)
            assert not watermark.is_late(at_ns)
            watermark.saw(at_ns)
            table.feed(batch(trade(number, at_ns)))
        else:
            watermark.heard(clock_ns - PUNCTUATION_LAG_NS)
            table.feed(punctuation(clock_ns - PUNCTUATION_LAG_NS))
        assert table.rows[KEY].late == 0


def test_a_quiet_second_closes_as_soon_as_punctuation_reaches_its_end_unless_the_lateness_is_longer():
    closed = {}
    for lateness_s in (0, 1, 2, 3, 60):
        table = Table(Rules(lateness_ns=lateness_s * S)).feed(batch(trade(1, 100 * S)), punctuation(101 * S))
        closed[lateness_s] = table.rows[KEY].closed_ns // S
    assert closed == {0: 101, 1: 101, 2: 101, 3: 100, 60: 43}


def test_a_long_lateness_makes_no_quiet_second_unsure():
    table = Table(Rules(lateness_ns=30 * S)).feed(batch(trade(1, 100 * S)))
    table.feed(*(punctuation(at_s * S) for at_s in range(101, 160)), batch(trade(2, 160 * S)), punctuation(200 * S))
    quiet = {bar.start_ns // S for bar in table.published if bar.venue == "binance" and not bar.trade_count}
    assert quiet >= set(range(101, 158))

"""Which bars go above those that the log has: also where the last one stands behind a higher revision."""

import pytest
from candle_tables import SYMBOL, S, batch, trade

from sofia_streams.core.bars.ohlcv import bar_of
from sofia_streams.core.bars.rebuild import Marks, MinuteTrades, Published, changed_bars, place_of, remarked_bars
from sofia_streams.core.bars.windows import Minute


def quiet_bar(revision, mark="complete"):
    return bar_of(
        None, venue="okx", market="spot", symbol=SYMBOL, size_ns=S, start_ns=60 * S, revision=revision, mark=mark
    )


@pytest.mark.parametrize(("revisions", "expected"), [((0,), []), ((0, 1), []), ((0, 2, 0, 1), [3]), ((0, 2, 0, 2), [])])
def test_a_bar_that_is_right_is_sent_again_only_where_a_higher_revision_stands_before_it(revisions, expected):
    published = Published(quiet_bar(revision) for revision in revisions)
    assert [bar.revision for bar in remarked_bars(Marks(), published)] == expected
    minutes = MinuteTrades([Minute("okx", "spot", SYMBOL, 60 * S)])
    windows = minutes.windows(published.last)
    second = {place: one for place, one in windows.items() if place.size_ns == S}
    assert [bar.revision for bar in changed_bars(second, published)] == expected


def test_a_bar_that_changed_goes_above_the_highest_revision():
    published = Published([quiet_bar(0), quiet_bar(4, "gap"), quiet_bar(0)])
    minutes = MinuteTrades([Minute("okx", "spot", SYMBOL, 60 * S)])
    minutes.add(batch(trade(1, 60 * S), venue="okx"))
    revisions = {
        place_of(bar).size_ns: bar.revision for bar in changed_bars(minutes.windows(published.last), published)
    }
    assert revisions == {S: 5, 60 * S: 0}

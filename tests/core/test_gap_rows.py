"""The open gaps of an instrument have a row of their own, which changes with them and with nothing else."""

import pytest
from candle_tables import S, Table, batch, trade
from test_candle_gaps import gap

from sofia_streams import codec
from sofia_streams.core.bars.candles import apply
from sofia_streams.core.bars.windows import Hole, Rules

GAPS = "binance|spot|BTC/USDT|gaps"


def written(table, record):
    """How many bytes of each row a record causes."""
    step = apply(table.rows, record, offset=table.offset + 1, rules=Rules())
    return {key: len(codec.encode(row)) for key, row in step.rows.items()}


def test_rows_of_a_gap_survive_the_changelog_and_go_when_it_closes():
    table = Table().feed(batch(trade(1, 60 * S)), gap("a", 60 * S), gap("b", 61 * S, 62 * S, cause="stale"))
    assert table.rows[GAPS].open == {"a": Hole(60 * S, None, False), "b": Hole(61 * S, 62 * S, True)}
    table.feed(gap("a", 60 * S, 61 * S), gap("b", 61 * S, 62 * S, state="closed"))
    assert table.rows[GAPS].open == {"a": Hole(60 * S, 61 * S, False)}
    assert apply(table.rows, gap("a", 0), offset=table.offset, rules=Rules()).rows == {}
    table.feed(gap("a", 60 * S, 61 * S, state="closed"))
    assert table.rows[GAPS].open == {}


def test_however_many_gaps_are_open_a_record_that_is_none_writes_none_of_them():
    table = Table().feed(batch(trade(1, 60 * S)))
    few = written(table, batch(trade(2, 61 * S)))
    table.feed(*(gap(f"klines:{number}", number * S, number * S + S) for number in range(500)))
    many = written(table, batch(trade(2, 61 * S)))
    assert many.keys() == few.keys()
    assert max(many.values()) < 1_000
    assert len(codec.encode(table.rows[GAPS])) > 10_000


@pytest.mark.parametrize("kept_ns", [0, 10**15])
@pytest.mark.parametrize("state", ["open", "closed"])
def test_a_crash_between_any_two_rows_of_news_of_a_gap_leaves_what_no_crash_leaves(state, kept_ns):
    """A closed one may move the moment up to which the feed is known, too."""
    before = [batch(trade(number, (60 + number) * S)) for number in range(5)]
    before += [gap("a", 61 * S, 90 * S)] if state == "closed" else []
    before += [batch(trade(9, 60 * S), venue="okx"), batch(trade(10, 64 * S), venue="okx")]
    news = gap("a", 61 * S, 90 * S, state=state)
    whole = Table(Rules(kept_ns=kept_ns)).feed(*before, news)
    for rows in range(len(whole.rows) + 1):
        crashed = Table(whole.rules).feed(*before)
        crashed.offset += 1
        crashed._write(news, rows)
        crashed._write(news, None)
        assert crashed.rows == whole.rows, rows
        assert crashed.last() == whole.last()
    assert whole.rows[GAPS].open.keys() == ({"a"} if state == "open" else set())

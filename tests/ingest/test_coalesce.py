"""Coalescing: nothing lost, order kept, quiet instruments at once, busy ones within the wait, a bounded record rate."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.ingest.coalesce import RECORDS_PER_S, TRADES_A_RECORD_MAX, Coalescer
from sofia_streams.model import NS_PER_MS, NS_PER_SECOND, Trade, TradeBatch

WAIT_S, LATENESS_NS = 0.05, 300_000_000


def batch(number: int, symbol: str = "BTC/USDT", line: str = "1", count: int = 1, exchange_ns: int = 0) -> TradeBatch:
    trades = [Trade(str(number), Decimal(1), Decimal(1), "buy", exchange_ns, number)] * count
    return TradeBatch("okx", "spot", symbol, number, line, trades)


def run(arrivals: list[tuple[float, TradeBatch]], every_s: float = 0.005) -> list[tuple[float, TradeBatch]]:
    """(when, record) as a producer sends them that asks `due` every 5 ms."""
    coalescer, sent, asked_s = Coalescer(WAIT_S, LATENESS_NS), [], 0.0
    for at_s, one in arrivals:
        while asked_s + every_s <= at_s:
            asked_s += every_s
            sent += [(asked_s, record) for record in coalescer.due(asked_s)]
        sent += [(at_s, record) for record in coalescer.add(one, at_s)]
    last_s = arrivals[-1][0] if arrivals else 0.0
    return sent + [(last_s, record) for record in coalescer.take_all(last_s)]


@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from("abc"), st.sampled_from("12")), max_size=80))
def test_every_trade_is_sent_once_in_order_and_never_joined_across_connections(rows):
    rows = sorted(rows, key=lambda row: row[0])
    arrivals = [(at_ms / 1e3, batch(number, name, line)) for number, (at_ms, name, line) in enumerate(rows)]
    sent = [record for _, record in run(arrivals)]
    for name in "abc":
        ids = [int(trade.trade_id) for record in sent if record.symbol == name for trade in record.trades]
        assert ids == [number for number, row in enumerate(rows) if row[1] == name]
    lines = {str(number): row[2] for number, row in enumerate(rows)}
    assert all({lines[trade.trade_id] for trade in record.trades} == {record.line} for record in sent)


def test_a_quiet_instrument_goes_out_at_once():
    sent = run([(second * 1.5, batch(second)) for second in range(20)])
    assert [at_s for at_s, _ in sent] == [second * 1.5 for second in range(20)]


def test_twelve_busy_instruments_make_about_the_same_records_as_the_budget():
    arrivals = [(step / 4_000, batch(step, f"S{step % 12}")) for step in range(5 * 4_000)]
    sent = [(at_s, record) for at_s, record in run(arrivals) if at_s >= 2.0]
    assert 0.7 * RECORDS_PER_S <= len(sent) / 3.0 <= 1.1 * RECORDS_PER_S
    waits_s = [at_s - int(record.trades[0].trade_id) / 4_000 for at_s, record in sent]
    assert max(waits_s) <= WAIT_S + 0.006


def test_trades_by_which_a_second_passes_wait_for_nothing():
    """Twelve busy instruments, all trades a millisecond old: what closes a bar goes out as it comes, once a second."""
    arrivals = [
        (step / 4_000, batch(step, f"S{step % 12}", exchange_ns=step * NS_PER_SECOND // 4_000 - NS_PER_MS))
        for step in range(5 * 4_000)
    ]
    closed: dict[tuple[str, int], float] = {}
    for at_s, record in run(arrivals):
        second = (record.trades[-1].exchange_ns - LATENESS_NS) // NS_PER_SECOND
        closed.setdefault((record.symbol, second), at_s)
    for (symbol, second), at_s in closed.items():
        if second > 0:
            first_s = min(due_s for due_s, one in arrivals if one.symbol == symbol and due_s >= second + 0.301)
            assert at_s == first_s, (symbol, second)
    assert len(closed) >= 12 * 5


def test_a_recording_that_is_read_at_speed_holds_nothing_beyond_its_second():
    """Two hundred seconds of it in one of the clock, two venues' symbols in turn."""
    arrivals = [
        (step / 4_000, batch(step, "AB"[step % 2], exchange_ns=step * NS_PER_SECOND // 20)) for step in range(4_000)
    ]
    newest_ns: dict[str, int] = {}
    for _, record in run(arrivals):
        newest_ns[record.symbol] = record.trades[-1].exchange_ns
        assert record.trades[-1].exchange_ns - record.trades[0].exchange_ns < NS_PER_SECOND
        assert max(newest_ns.values()) - min(newest_ns.values()) < 1.5 * NS_PER_SECOND


def test_a_burst_from_nothing_is_joined_within_a_tenth_of_a_second():
    arrivals = [(step / 60_000, batch(step, f"S{step % 12}")) for step in range(60_000)]
    assert len(run(arrivals)) <= 0.05 * 60_000 + 1.1 * RECORDS_PER_S


def test_a_record_does_not_grow_without_bound():
    sent = run([(0.0, batch(0))] + [(0.001 * step, batch(step, count=300)) for step in range(1, 40)])
    assert max(len(record.trades) for _, record in sent) < TRADES_A_RECORD_MAX + 300


def test_what_arrives_together_is_one_record_and_nothing_is_lost_on_the_way():
    coalescer, given, out = Coalescer(WAIT_S, LATENESS_NS), [], []
    for number in range(1, 101):
        trade = Trade(str(number), Decimal(1), Decimal(1), "buy", 10**18, number)
        given.append(trade)
        batch = TradeBatch("binance", "spot", "BTC/USDT", 10**18, "binance-0.1", [trade])
        out += coalescer.add(batch, number * 0.001)
    out += coalescer.take_all(1.0)
    assert [trade for record in out for trade in record.trades] == given
    assert len(out) < 50

"""Parity on made-up runs: equal from any snapshot on, decisions followed, the first difference with its cause."""

from decimal import Decimal

import msgspec
from parity_runs import BEGIN_NS, Live, again, settings_of

from sofia_streams.core.oms.rules import Lot
from sofia_streams.model import NS_PER_DAY, NS_PER_SECOND
from sofia_streams.ops.paper.parity import day
from sofia_streams.ops.paper.parity_compare import Said, compare, key_of, profit
from sofia_streams.ops.paper.parity_log import Course
from sofia_streams.ops.paper.parity_rules import changes
from sofia_streams.paper import Account, Fill, Order

NEVER_NS = 2**63 - 1


def said_of(records):
    found = Said()
    for one in records:
        found.add(one)
    return found


def differences(live, begin, run):
    return compare(run.said, live.logged(begin), run.steps.books.now_ns)


def run_of(tmp_path, seconds=60):
    """A live run of both venues, and a snapshot from before its first record."""
    live = Live(settings_of(tmp_path))
    begin = live.snapshot()
    live.seconds(0, seconds)
    return live, begin


def test_what_is_computed_again_is_equal_from_the_begin_and_from_the_middle(tmp_path):
    live = Live(settings_of(tmp_path))
    begin = live.snapshot()
    live.seconds(0, 30)
    middle = live.snapshot()
    assert middle.snapshot.row.books.working, "open orders must go on"
    live.seconds(30, 60)
    for snapshot in (begin, middle):
        run = again(live, snapshot)
        counts = run.said.counts(NEVER_NS)
        assert min(counts.values()) > 10
        assert differences(live, snapshot, run) == []
        both = [profit(one, snapshot.snapshot.row, 0, NEVER_NS) for one in (run.said, live.logged(snapshot))]
        assert both[0] == both[1]
        assert both[0]["pnl_quote"] != "0"
    assert again(live, middle).said.counts(NEVER_NS)["fills"] < again(live, begin).said.counts(NEVER_NS)["fills"]


def test_a_field_that_was_changed_in_the_log_is_named_with_both_values_and_the_trade(tmp_path):
    live, begin = run_of(tmp_path)
    fill = next(one for one in live.said if isinstance(one, Fill) and one.evidence.startswith("trade"))
    live.said.append(msgspec.structs.replace(fill, price=fill.price + 1))
    found = differences(live, begin, again(live, begin))
    assert [(one.what, one.key, one.fields) for one in found] == [
        ("different", key_of(fill), [("price", str(fill.price + 1), str(fill.price))])
    ]
    assert found[0].follows_from == f"{fill.evidence} at {fill.place}"
    assert fill.place.count("/") == 2


def test_a_fill_that_the_log_lacks_and_an_order_that_nothing_asks_for_are_named_in_order(tmp_path):
    live, begin = run_of(tmp_path)
    fills = [one for one in live.said if isinstance(one, Fill)]
    order = next(one for one in live.said if isinstance(one, Order) and one.signal_start_ns)
    odd = msgspec.structs.replace(order, order_id="f" * 24, created_ns=order.at_ns + 1, at_ns=order.at_ns + 1)
    live.said.remove(fills[-1])
    live.said.append(odd)
    found = differences(live, begin, again(live, begin))
    assert [(one.what, one.key) for one in found] == [("surplus", key_of(odd)), ("missing", key_of(fills[-1]))]
    assert str(odd.signal_start_ns) in found[0].follows_from
    assert odd.signal_place in found[0].follows_from


def test_what_stands_in_the_log_twice_as_after_a_crash_is_no_difference(tmp_path):
    live, begin = run_of(tmp_path, 20)
    live.said += live.said[-30:]
    assert differences(live, begin, again(live, begin)) == []


def test_an_account_follows_from_the_fill_before_it():
    fill = Fill("o-1", "o", "okx", "spot", "BTC/USDT", "buy", *[1] * 4, "s", "taker", "filled", 5, evidence="trade 7",
                place="t/0/1")  # fmt: skip
    one = Account(3, 5, *[1] * 9, 0, "ACTIVE", "fill")
    other = msgspec.structs.replace(one, equity_quote=2)
    found = compare(said_of([fill, one]), said_of([fill, other]), 9)
    assert [(one.fields, one.follows_from) for one in found] == [([("equity_quote", 2, 1)], "trade 7 at t/0/1")]
    assert compare(said_of([fill, one]), said_of([fill, other]), 4) == []  # behind what is compared


def test_inputs_that_were_given_up_are_given_up_again(tmp_path):
    live = Live(settings_of(tmp_path))
    begin = live.snapshot()
    live.seconds(0, 5)
    live.seconds(5, 10, ("binance",))
    for name in ("tickers|okx|spot|BTC/USDT", "trades|okx|spot|BTC/USDT"):
        live.steps.merge.give_up(name)
    live.seconds(10, 20, ("binance",))
    silent = live.snapshot()
    assert again(live, begin).steps.books.now_ns < BEGIN_NS + 6 * NS_PER_SECOND, "nobody told it"
    run = again(live, begin, [silent])
    assert run.steps.books.now_ns > BEGIN_NS + 19 * NS_PER_SECOND
    assert differences(live, begin, run) == []
    live.seconds(20, 40)  # they speak again, and that was decided
    assert {one.what for one in live.taken} == {"gave_up"}
    run = again(live, begin, [silent, live.snapshot()])
    assert run.steps.books.now_ns > BEGIN_NS + 39 * NS_PER_SECOND
    assert differences(live, begin, run) == []


def test_a_command_is_taken_when_the_worker_took_it(tmp_path):
    live = Live(settings_of(tmp_path))
    begin = live.snapshot()
    live.seconds(0, 20)
    live.halt(20)
    live.seconds(20, 40)
    assert [one.what for one in live.taken] == ["applied"]
    assert differences(live, begin, again(live, begin)) == []
    first = differences(live, begin, again(live, begin, taken=[]))[0]  # the log says a halt that nobody decided
    assert first.what in ("surplus", "different")
    assert "looked odd" in str(first)


def test_a_run_is_computed_by_the_settings_it_went_by_and_what_was_changed_is_named(tmp_path):
    live, begin = run_of(tmp_path)
    course = Course(begin, [], live.taken)
    assert changes(live.settings, course) == []
    assert changes(settings_of(tmp_path, PAPER_TAKE_PROFIT_BPS="2.0"), course) == []
    other = settings_of(tmp_path, PAPER_TAKE_PROFIT_BPS="3", CRYPTO_SYMBOLS="BTC/USDT,ETH/USDT")
    assert changes(other, course) == [
        "input binance|spot|ETH/USDT: not there, now with quotes",
        "input okx|spot|ETH/USDT: not there, now with quotes",
        "strategy.take_profit_bps: 2, now 3",
    ]
    assert differences(live, begin, again(live, begin, settings=other)) == []
    changed = settings_of(tmp_path, PAPER_TAKE_PROFIT_BPS="3")
    first = differences(live, begin, again(live, begin, settings=changed, is_by_now=True))[0]
    assert first.fields[0][0] == "limit_price"
    meanwhile = Live(changed).snapshot()
    assert changes(live.settings, Course(begin, [meanwhile], [])) == [
        "changed at 0 ns: strategy.take_profit_bps: 2, now 3",
        "strategy.take_profit_bps: 3, now 2",
    ]


def test_a_worker_that_was_started_with_other_settings_is_computed_by_both(tmp_path):
    live = Live(settings_of(tmp_path))
    begin = live.snapshot()
    live.seconds(0, 30)
    same = live.restart(live.settings)
    live.seconds(30, 45)
    assert live.snapshot().snapshot.row.books.working, "open orders must go on"
    other = live.restart(settings_of(tmp_path, PAPER_TAKE_PROFIT_BPS="3", CRYPTO_EXCHANGES="okx,binance"))
    live.seconds(45, 60)
    third = live.restart(settings_of(tmp_path, PAPER_STOP_LOSS_BPS="9"))
    live.seconds(60, 80)
    later = [same, other, third]
    run = again(live, begin, later)
    assert min(run.said.counts(NEVER_NS).values()) > 10
    assert differences(live, begin, run) == []
    told = changes(live.settings, Course(begin, later, []))
    assert len([line for line in told if line.startswith(f"changed at {other.snapshot.at_ns} ns")]) == 2
    assert len(told) == 2 + 3
    run = again(live, begin, [same])  # who does not know of them computes something else
    assert differences(live, begin, run)[0].at_ns > other.snapshot.at_ns


def test_a_run_is_computed_by_the_lots_it_knew(tmp_path):
    lots = {("binance", "BTC/USDT"): Lot(Decimal("0.5"), Decimal("0.001"), Decimal("0.001"), Decimal(5))}
    live = Live(settings_of(tmp_path), lots)
    begin = live.snapshot()
    live.seconds(0, 40)
    fills = [one for one in live.said if isinstance(one, Fill)]
    assert fills
    assert all(one.price % Decimal("0.5") == 0 for one in fills if one.liquidity == "taker")
    assert differences(live, begin, again(live, begin)) == []
    assert differences(live, begin, again(live, begin, is_by_now=True)) != []  # none is kept now: others are rounded to
    found = changes(live.settings, Course(begin, [], []))
    assert found == ["lot binance BTC/USDT: 0.5 0.001 0.001 5, now not there"]


def test_a_day_is_utc_and_yesterday_by_default():
    assert day("2026-01-31", 0)[:2] == (1_769_817_600 * NS_PER_SECOND, 1_769_904_000 * NS_PER_SECOND)
    assert day(None, 5 * NS_PER_DAY + 7)[:2] == (4 * NS_PER_DAY, 5 * NS_PER_DAY)

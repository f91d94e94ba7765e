"""The judge of chaos runs: everything that is planted is found and counted, and what is whole is held."""

from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core.feeds.gaps import newest
from sofia_streams.model import NS_PER_SECOND, Bar, Gap
from sofia_streams.ops.chaos.checks import longest_s
from sofia_streams.ops.chaos.truth import Print, candles
from sofia_streams.ops.chaos.verdict import (
    Held,
    Tally,
    Watched,
    judge_bars,
    judge_claims,
    judge_copies,
    judge_log,
    judge_store,
    quantile,
)

NAME = "okx|spot|BTC/USDT"
PRINTED = {
    str(number): Print(str(number), number * 10**8, Decimal(100 + number), Decimal("0.5"), "buy", number * 10)
    for number in range(100)
}
WATCHED = Watched(100, 900, 0)
"""Trades 10 to 89."""


def logged(*, without=()) -> dict[str, Held]:
    return {
        one.trade_id: Held(one.price, one.quantity, one.side, one.exchange_ns)
        for one in PRINTED.values()
        if int(one.trade_id) not in without
    }


def a_gap(state="open", ids=None, times=None) -> Gap:
    gap = Gap("okx", "spot", "BTC/USDT", 0, "line", f"{ids}{times}", "ids", state, from_ns=0, until_ns=0)
    if ids:
        return msgspec.structs.replace(gap, first_id=str(ids[0]), last_id=str(ids[1]))
    from_ns, until_ns = times
    return msgspec.structs.replace(
        gap, from_ns=from_ns * 10**8, until_ns=None if until_ns is None else until_ns * 10**8
    )


def judged(held, gaps=()) -> Tally:
    tally = Tally()
    judge_log(tally, NAME, PRINTED, WATCHED, held, list(gaps))
    return tally


def test_what_is_whole_holds():
    tally = judged(logged())
    judge_store(tally, "Redis", NAME, logged(), list(PRINTED))
    assert (tally.trades, tally.failures()) == (80, [])


@given(st.sets(st.integers(0, 99)))
def test_every_missing_trade_that_was_watched_is_lost(without):
    tally = judged(logged(without=without))
    assert tally.lost == len(without & set(range(10, 90)))
    assert bool(tally.failures()) == bool(tally.lost)


@given(st.sets(st.integers(10, 89), min_size=1), st.integers(0, 99), st.integers(0, 99), st.booleans())
def test_what_an_open_gap_names_is_declared_and_the_rest_is_lost(without, one, other, by_ids):
    first, last = min(one, other), max(one, other)
    gap = a_gap(ids=(first, last)) if by_ids else a_gap(times=(first, last))
    tally = judged(logged(without=without), [gap])
    assert tally.declared == len(without & set(range(first, last + 1)))
    assert tally.lost == len(without) - tally.declared
    assert tally.unkept == 0


def test_a_gap_that_lasts_declares_everything_after_its_start():
    tally = judged(logged(without=range(40, 90)), [a_gap(times=(50, None))])
    assert (tally.lost, tally.declared) == (10, 40)


def test_a_closed_gap_covers_nothing():
    tally = judged(logged(without=range(20, 25)), [a_gap("closed", ids=(20, 24))])
    assert (tally.lost, tally.unkept, tally.declared) == (5, 5, 0)
    assert "5 of them in gaps said to be closed" in tally.failures()


def test_only_the_last_record_of_a_gap_counts():
    assert newest([a_gap("open", ids=(1, 2)), a_gap("open", ids=(5, 6)), a_gap("closed", ids=(1, 2))]) == [
        a_gap("closed", ids=(1, 2)),
        a_gap("open", ids=(5, 6)),
    ]


@pytest.mark.parametrize(
    "change", [{"price": Decimal("100.1")}, {"quantity": Decimal(2)}, {"side": "sell"}, {"exchange_ns": 1}]
)
def test_a_trade_that_is_not_as_printed_is_altered(change):
    held = logged()
    held["50"] = held["50"]._replace(**change)
    assert judged(held).altered == 1


def test_a_trade_that_was_never_printed_is_invented():
    assert judged(logged() | {"7777": logged()["7"]}).invented == 1


@given(st.sets(st.integers(0, 99)), st.lists(st.integers(0, 99), max_size=20), st.sets(st.integers(100, 120)))
def test_a_store_must_hold_each_trade_once_and_nothing_else(missing, again, surplus):
    kept = [number for number in range(100) if number not in missing]
    again = [number for number in again if number not in missing]
    tally = Tally()
    judge_store(tally, "Redis", NAME, list(PRINTED), [str(number) for number in (*kept, *again, *surplus)])
    found = tally.missing["Redis"], tally.doubled["Redis"], tally.surplus["Redis"]
    assert found == (len(missing), len(again), len(surplus))
    assert bool(tally.failures()) == bool(missing or again or surplus)


def bars() -> dict[int, Bar]:
    found = candles((("okx", one) for one in PRINTED.values()), NS_PER_SECOND)
    return {
        start_ns: Bar("okx", "spot", "BTC/USDT", NS_PER_SECOND, start_ns, **candle._asdict())
        for start_ns, candle in found.items()
    }


def judged_bars(held: dict[int, Bar]) -> Tally:
    tally = Tally()
    judge_bars(tally, NAME, candles((("okx", one) for one in PRINTED.values()), NS_PER_SECOND), held)
    return tally


def test_bars_that_are_right_hold_and_so_does_a_quiet_one():
    quiet = Bar("okx", "spot", "BTC/USDT", NS_PER_SECOND, 99 * NS_PER_SECOND, None, None, None, None, Decimal(0), Decimal(0), Decimal(0), 0, None, "", "")  # fmt: skip  # noqa: E501
    tally = judged_bars(bars() | {quiet.start_ns: quiet})
    assert (tally.bars, tally.failures()) == (11, [])


@pytest.mark.parametrize("part", ["open", "high", "low", "close", "volume", "quote_volume", "buy_volume", "vwap"])
def test_a_bar_that_is_wrong_in_its_last_digit_is_unequal(part):
    held = bars()
    held[0] = msgspec.structs.replace(held[0], **{part: getattr(held[0], part) + Decimal("1e-18")})
    assert judged_bars(held).bars_unequal == 1


def test_a_bar_that_is_missing_too_many_or_counts_a_trade_twice_is_found():
    held = bars()
    lacking = {start_ns: bar for start_ns, bar in held.items() if start_ns}
    assert (judged_bars(lacking).bars_unequal, judged_bars(lacking).sums["bars of okx"]) == (1, 10)
    more = held | {77 * NS_PER_SECOND: held[0]}
    assert (judged_bars(more).bars_unequal, judged_bars(more).sums["bars of okx"]) == (1, 10)
    twice = held | {0: msgspec.structs.replace(held[0], trade_count=11)}
    assert (judged_bars(twice).bars_unequal, judged_bars(twice).sums["bars of okx"]) == (1, 1)


def test_a_copy_must_be_the_last_revision():
    tally = Tally()
    judge_copies(tally, "bars of Redis", {("a",): 1, ("b",): 2, ("c",): 3}, {("a",): 1, ("b",): 1, ("d",): 4})
    assert (tally.bars_unequal, tally.missing["bars of Redis"], tally.surplus["bars of Redis"]) == (1, 1, 1)


@given(st.lists(st.integers(), min_size=1), st.floats(0, 1))
def test_a_quantile_is_one_of_the_values_and_never_falls(values, share):
    assert quantile(values, share) in values
    assert quantile(values, 0.0) == min(values)
    assert quantile(values, share) <= quantile(values, 1.0) == max(values)


def test_there_is_no_quantile_of_nothing():
    assert quantile([], 0.5) is None


@given(
    st.lists(st.integers(0, 100), min_size=2), st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=3)
)
def test_the_longest_pause_leaves_out_what_was_hurt(seconds, spans):
    times = [second * NS_PER_SECOND for second in sorted(seconds)]
    hurt = [(min(span) * NS_PER_SECOND, max(span) * NS_PER_SECOND) for span in spans]
    assert longest_s(times, []) == max(after - before for before, after in pairwise(sorted(seconds)))
    assert longest_s(times, hurt) <= longest_s(times, [])
    assert longest_s(times, [(0, 200 * NS_PER_SECOND)]) == 0


@pytest.mark.parametrize("quality", ["complete", "revised", "backfilled", "gap", "stale"])
def test_a_bar_that_lacks_a_printed_trade_must_say_so(quality):
    overstated = int(quality not in ("gap", "stale"))
    held = bars() | {0: msgspec.structs.replace(bars()[0], quality=quality)}
    tally = Tally()
    judge_claims(tally, NAME, [PRINTED["3"], PRINTED["4"]], NS_PER_SECOND, held)
    assert (tally.overstated, len(tally.failures())) == (overstated, overstated)
    judge_claims(tally, NAME, [Print("1", 10**15, Decimal(1), Decimal(1), "buy", 0)], NS_PER_SECOND, held)
    assert tally.overstated == overstated, "where there is no bar nothing is claimed"

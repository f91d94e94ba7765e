"""The value of an account over time: flows, days, weekends, months, exposure. Each figure is worked out by hand."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from account_records import BEGIN_NS, account, days
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core.performance import equity
from sofia_streams.model import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND


def ns(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND


def test_the_start_counts_so_a_loss_in_the_first_minute_is_a_return():
    values = equity.curve([account(0, BEGIN_NS + NS_PER_MINUTE, 9_900)])
    assert [(one.equity, one.growth) for one in values] == [(10_000.0, 1.0), (9_900.0, 0.99)]


def test_a_stretch_cut_from_a_longer_run_begins_with_its_first_record():
    values = equity.curve([account(70, BEGIN_NS, 9_000, flows="500"), account(71, BEGIN_NS + 1, 9_900, flows="500")])
    assert [one.growth for one in values] == pytest.approx([1.0, 1.0, 1.1])


def test_money_paid_in_or_taken_out_is_no_return():
    # 10,000 -> 10,100 earned (1 %); 5,000 paid in -> 15,100 (0 %); 1,510 earned -> 16,610 (10 %); 610 taken out (0 %)
    steps = ((10_100, "0"), (15_100, "5000"), (16_610, "5000"), (16_000, "4390"))
    values = equity.curve([account(n, BEGIN_NS + n, e, flows=f) for n, (e, f) in enumerate(steps)])
    assert equity.returns(values) == pytest.approx([0.01, 0.0, 0.1, 0.0], abs=1e-15)
    assert values[-1].growth == pytest.approx(1.01 * 1.1)


def test_a_ruined_account_has_lost_all_once_and_nothing_after():
    values = equity.curve(days(5_000, -20, 70))
    assert equity.returns(values)[1:] == [-0.5, -1.0, 0.0]


def test_a_day_without_a_record_carries_the_last_value():
    accounts = [account(0, BEGIN_NS, 10_000), account(1, BEGIN_NS + NS_PER_HOUR, 10_500)]
    accounts.append(account(2, BEGIN_NS + 3 * NS_PER_DAY, 10_500))
    assert equity.returns(equity.daily(equity.curve(accounts))) == pytest.approx([0.05, 0.0, 0.0])


@pytest.mark.parametrize(("short_ns", "whole"), [(NS_PER_MINUTE, 2), (NS_PER_MINUTE + 1, 1), (0, 2), (-1, 2)])
def test_the_last_day_counts_once_it_is_whole_to_the_minute(short_ns, whole):
    accounts = [account(0, BEGIN_NS, 10_000), account(1, BEGIN_NS + 2 * NS_PER_DAY - short_ns, 11_000)]
    assert len(equity.returns(equity.daily(equity.curve(accounts)))) == whole


def test_a_value_belongs_to_the_day_that_ends_with_it_and_no_later_one():
    accounts = [account(0, BEGIN_NS, 10_000), account(1, BEGIN_NS + NS_PER_DAY, 11_000)]
    accounts += [account(2, BEGIN_NS + NS_PER_DAY + 1, 22_000), account(3, BEGIN_NS + 2 * NS_PER_DAY, 22_000)]
    assert equity.returns(equity.daily(equity.curve(accounts))) == pytest.approx([0.1, 1.0])


def test_equities_have_no_weekends_and_monday_takes_what_moved():
    # 2024-01-01 is a Monday; Friday ends at 10,500, Saturday at 10,600, Sunday at 10,700, Monday at 11,550
    values = equity.curve(days(10_100, 10_200, 10_300, 10_400, 10_500, 10_600, 10_700, 11_550))
    found = equity.daily(values, "equities")
    assert [one.equity for one in found] == [10_000, 10_100, 10_200, 10_300, 10_400, 10_500, 11_550]
    assert equity.returns(found)[-1] == pytest.approx(0.1)


def test_months_are_those_of_utc_and_one_without_a_record_is_there():
    times = ("2023-12-30T12:00:00", "2023-12-31T23:59:00", "2024-01-01T00:00:00", "2024-01-15T00:00:00")
    steps = [*zip(times, (10_000, 10_500, 11_000, 12_100), strict=True), ("2024-03-02T00:00:00", 6_050)]
    found = equity.months(equity.curve([account(n, ns(t), e) for n, (t, e) in enumerate(steps)]))
    assert [(one.year, one.month) for one in found] == [(2023, 12), (2024, 1), (2024, 2), (2024, 3)]
    assert [one.value for one in found] == pytest.approx([0.1, 0.1, 0.0, -0.5])
    assert [one.days for one in found] == [1.5, 31.0, 29.0, 1.0]


def test_exposure_is_weighted_by_time():
    # 1 hour flat, 2 hours at 2,500 of 10,000, 1 hour at 5,000 of 12,500, then the last record, of no length
    steps = ((0, 10_000, "0"), (1, 10_000, "2500"), (3, 12_500, "5000"), (4, 12_500, "12500"))
    accounts = [account(n, BEGIN_NS + h * NS_PER_HOUR, e, gross=g) for n, (h, e, g) in enumerate(steps)]
    found = equity.exposure(accounts)
    assert (found.time_in_market, found.gross_max) == (0.75, 1.0)
    assert found.gross_mean == pytest.approx((2 * 0.25 + 0.4) / 4)
    assert equity.mean_equity(accounts) == pytest.approx((3 * 10_000 + 12_500) / 4)


@given(st.lists(st.tuples(st.integers(1, 50 * 24 * 60), st.integers(1, 10**7)), min_size=1, max_size=40))
def test_months_and_days_compound_to_the_whole(steps):
    at_ns, accounts = BEGIN_NS, [account(0, BEGIN_NS, 10_000)]
    for serial, (minutes, value) in enumerate(steps, 1):
        at_ns += minutes * NS_PER_MINUTE
        accounts.append(account(serial, at_ns, value))
    values = equity.curve(accounts)
    grown = 1.0
    for month in equity.months(values):
        grown *= 1.0 + month.value
    assert grown == pytest.approx(values[-1].growth, rel=1e-9)
    daily = equity.daily(values)
    assert all(after.at_ns - before.at_ns <= NS_PER_DAY for before, after in pairwise(daily))
    assert (
        daily[-1].growth == max((one for one in values if one.at_ns <= daily[-1].at_ns), key=lambda v: v.at_ns).growth
    )

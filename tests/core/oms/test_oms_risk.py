"""When trading is reduced, halted and taken up again, worked out by hand: losses, drawdown, cool-down, commands."""

import msgspec
import pytest
from oms_played import WIDE, Played, money, rules

from sofia_streams.core.oms.desk import Books


def bought(**limits):
    """20 at 100: cash 10,000 - 2,000 - 2 of fees = 7,998; at a bid of 99 the equity is 7,998 + 1,980 = 9,978."""
    loose = {"daily_loss": money(1), "drawdown": money(1), **limits}
    played = Played(rules(limits=WIDE._replace(**loose)))
    played.buy(0, 20, 99, 100)
    assert (played.cash, played.equity) == (7998, 9978)
    return played


def test_a_days_loss_reduces_at_the_limit_and_halts_at_one_and_a_half_of_it():
    played = bought(daily_loss=money("0.02"))  # of 10,000 at 00:00 UTC: 200, and 300 for the halt
    played.quote(3, "90.2", "90.3")
    # 7,998 + 20 * 90.2 = 9,802: 198 lost
    assert (played.equity, played.state) == (9802, "ACTIVE")
    resting = played.place(4, "buy", 1, 90, "limit")
    played.quote(5, "90.1", "90.3")
    # 7,998 + 20 * 90.1 = 9,800: 200 lost
    account = played.accounts[-1]
    assert (account.state, account.cause, account.equity_quote) == ("REDUCING", "state", 9800)
    assert account.reason == "DAILY_LOSS: lost 200 of 200 today"
    assert played.place(6, "buy", 1).reason == "TRADING_REDUCING: DAILY_LOSS: lost 200 of 200 today"
    assert played.place(6, "sell", 1).status == "new"  # reduces
    played.quote(8, "90.1", "90.3")
    # 1 sold at 90.1, a fee of 0.0901: cash 7,998 + 90.1 - 0.0901 = 8,088.0099 and 19 are left
    assert played.cash == money("8088.0099")
    played.quote(9, "84.86", "85")
    # 8,088.0099 + 19 * 84.86 = 9,700.3499: 299.6501 lost
    assert (played.state, played.now(resting).status) == ("REDUCING", "new")
    played.quote(10, "84.84", "85")
    # 8,088.0099 + 19 * 84.84 = 9,699.9699: 300.0301 lost
    assert played.state == "HALTED"
    assert (played.now(resting).status, played.now(resting).reason) == (
        "cancelled",
        "DAILY_LOSS: lost 300.0301 of 300 today",
    )
    assert played.place(11, "sell", 1).reason == "TRADING_HALTED: DAILY_LOSS: lost 300.0301 of 300 today"


def test_reducing_ends_with_the_utc_day_and_losses_count_from_there():
    played = bought(daily_loss=money("0.02"))
    played.quote(5, "90.1", "90.3")
    assert played.state == "REDUCING"
    played.quote(119, "90.1", "90.3")  # 23:59:59
    assert played.state == "REDUCING"
    played.quote(120, "90.1", "90.3")  # 00:00
    account = played.accounts[-1]
    assert (account.state, account.reason, account.day_start_quote) == ("ACTIVE", "", 9800)
    played.quote(121, "80.4", "80.5")
    # 2 % of 9,800 is 196: 9,604 and below; 7,998 + 20 * 80.4 = 9,606
    assert played.state == "ACTIVE"
    played.quote(122, "80.3", "80.5")  # 9,604
    assert played.state == "REDUCING"


def test_a_halt_lasts_over_midnight_until_somebody_resumes():
    played = bought(daily_loss=money("0.02"))
    played.quote(5, "85.1", "85.3")  # 7,998 + 1,702 = 9,700: 300 lost at once
    assert played.state == "HALTED"
    played.quote(130, "95", "96")
    assert played.state == "HALTED"
    played.command(131, "resume")
    account = played.accounts[-1]
    # 7,998 + 20 * 95 = 9,898, from which losses and drawdown count now
    assert (account.state, account.cause, account.reason) == ("ACTIVE", "control", "ann: looked odd")
    assert (account.day_start_quote, account.peak_quote) == (9898, 9898)
    played.quote(132, "95", "96")
    assert played.place(132, "buy", 1).status == "new"


def test_drawdown_counts_from_the_highest_equity_and_halts():
    played = bought(drawdown=money("0.1"))
    played.quote(5, 110, 111)
    played.quote(6, "59.02", "59.1")
    # highest: 7,998 + 20 * 110 = 10,198; a tenth less is 9,178.20; 7,998 + 20 * 59.02 = 9,178.40
    assert (played.engine.books.risk.peak_quote, played.state) == (10198, "ACTIVE")
    resting = played.place(6, "buy", 1, 59, "limit")
    played.quote(7, "59.01", "59.1")  # 9,178.20
    assert played.state == "HALTED"
    assert played.now(resting).reason == "DRAWDOWN: 1019.8 below the highest equity, of 1019.8"


def lose(played, at_s):
    """Bought at 100 and sold at 99."""
    played.buy(at_s, 1, 99, 100)
    played.sell(at_s + 3, 1, 99, 100)


def test_after_losses_in_a_row_nothing_is_bought_for_a_while():
    played = Played(rules(limits=WIDE._replace(losses_max=2, cool_down_ns=600 * 10**9)))
    lose(played, 0)
    played.buy(10, 1, 99, 100)
    played.sell(13, 1, 101, 102)  # 101 - 100 - 0.1 - 0.101 is a gain: the row begins again
    lose(played, 20)
    assert played.place(25, "buy", 1).status == "new"
    played.quote(27, 99, 100)
    played.sell(30, 1, "100.1", "100.2")  # 0.10 gained, 0.2001 of fees: a loss
    played.quote(32, 99, 100)
    refused = played.place(32, "buy", 1)
    # sold at 31.25 s, and ten minutes on
    until_ns = played.fills[-1].at_ns + 600 * 10**9
    assert refused.reason == f"COOL_DOWN: until {until_ns} ns, after losses in a row"
    played.quote(631.24, 99, 100)
    assert played.place(631.24, "buy", 1).reason == refused.reason
    assert played.place(631.25, "buy", 1).status == "new"


def test_a_halt_by_command_cancels_everything_and_takes_nothing():
    played = Played(rules(strategy={"stop_loss_bps": money(500)}))
    played.buy(0, 2, 99, 100)
    resting = played.place(3, "buy", 1, 98, "limit")
    played.quote(4, 99, 100)
    (stop,) = played.purposes("stop_loss")
    assert stop.status == "new"
    played.command(5, "halt")
    assert {played.now(one).reason for one in (stop, resting)} == {"HALTED_BY_COMMAND"}
    account = played.accounts[-1]
    assert (account.state, account.open_orders, account.reason) == ("HALTED", 0, "ann: looked odd")
    played.quote(6, 99, 100)
    for side in ("buy", "sell"):
        assert played.place(6, side, 1).reason == "TRADING_HALTED: HALTED_BY_COMMAND: ann: looked odd"
    heard = len(played.accounts)
    played.command(7, "halt")  # said again: heard, and nothing changes
    assert [one.cause for one in played.accounts[heard:]] == ["control"] and played.state == "HALTED"
    played.command(8, "resume")
    # the position is guarded again, at 5 % below 100
    (_, again) = played.purposes("stop_loss")
    assert (again.status, again.stop_price, again.quantity) == ("new", 95, 2)


@pytest.mark.parametrize("state", ["REDUCING", "HALTED"])
def test_a_restart_changes_no_state(state):
    played = bought(daily_loss=money("0.02"))
    played.quote(5, *(("90.1", "90.3") if state == "REDUCING" else ("80", "81")))
    books = msgspec.json.decode(msgspec.json.encode(played.engine.books), type=Books)
    assert (books.risk.state, books.risk) == (state, played.engine.books.risk)

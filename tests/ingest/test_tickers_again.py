"""Tickers that are said again each second: how far an instrument's tickers have come follows from the log alone."""

from decimal import Decimal

import msgspec
import pytest

from sofia_streams.codec import encode
from sofia_streams.core.bars.windows import instrument_key
from sofia_streams.ingest.line import Connections, Line
from sofia_streams.ingest.tickers import AGAIN_AFTER_NS, Tickers
from sofia_streams.model import NS_PER_MS, NS_PER_SECOND, ParsedTicker, Ticker
from sofia_streams.ops.verify.logged import logged_rows
from sofia_streams.stores.redis_entries import entry_of

S = NS_PER_SECOND
BEGIN_NS = 1_786_310_819 * S
LINE = Line("okx", "spot", "okx-0.1", "okx-0")
OTHER = Line("okx", "spot", "okx-1.1", "okx-1")


class Desk:
    """Tickers of instruments as ingest keeps them, and what is written of each."""

    def __init__(self) -> None:
        self.connections = Connections(35 * S)
        self.tickers = Tickers(self.connections)
        self.log: list[Ticker] = []

    def comes(self, at_ns: int, price: int, symbol: str = "BTC/USDT", line: Line = LINE) -> None:
        self.connections.heard(line, at_ns)
        new, found = Ticker("okx", "spot", symbol, at_ns), ParsedTicker("", {"last": Decimal(price)}, at_ns - 5)
        self.log += self.tickers.merge(instrument_key("okx", "spot", symbol), line, new, found)

    def ticks(self, at_ns: int) -> list[Ticker]:
        found = [*self.tickers.due(at_ns)]
        self.log += found
        return found

    def states(self, symbol: str = "BTC/USDT") -> list[tuple[int, str]]:
        """Seconds and states of what was written."""
        return [((one.received_ns - BEGIN_NS) // S, one.state) for one in self.log if one.symbol == symbol]


def test_a_quiet_instrument_is_said_again_each_second_as_it_was():
    desk = Desk()
    desk.comes(BEGIN_NS, 5)
    for second in range(1, 4):
        desk.connections.heard(LINE, BEGIN_NS + second * S)
        (again,) = desk.ticks(BEGIN_NS + second * S)
        assert again == msgspec.structs.replace(desk.log[0], received_ns=BEGIN_NS + second * S, state="quiet")
    assert desk.states() == [(0, "said"), (1, "quiet"), (2, "quiet"), (3, "quiet")]


def test_one_that_was_written_within_the_second_is_not_said_again():
    desk = Desk()
    for number in range(1, 21):
        desk.comes(BEGIN_NS + number * 500 * NS_PER_MS, number)
        assert not desk.ticks(BEGIN_NS + number * 500 * NS_PER_MS + AGAIN_AFTER_NS // 2)


def test_what_was_held_back_is_written_before_it_is_said_again():
    """Everything received before is in the log then."""
    desk = Desk()
    desk.comes(BEGIN_NS, 5)
    desk.comes(BEGIN_NS + 50 * NS_PER_MS, 6)
    desk.ticks(BEGIN_NS + 2 * S)
    assert [(one.last, one.state) for one in desk.log] == [(5, "said"), (6, "said"), (6, "quiet")]
    assert [one.received_ns for one in desk.log] == sorted(one.received_ns for one in desk.log)


def test_saying_it_again_holds_no_later_ticker_back():
    desk = Desk()
    desk.comes(BEGIN_NS, 5)
    desk.ticks(BEGIN_NS + 2 * S)
    desk.comes(BEGIN_NS + 2 * S + NS_PER_MS, 6)
    assert [(one.last, one.state) for one in desk.log] == [(5, "said"), (5, "quiet"), (6, "said")]


def test_it_is_dead_once_its_connection_is_silent_for_longer_than_may_be_and_goes_on():
    desk = Desk()
    desk.comes(BEGIN_NS, 5)
    for second in range(1, 100):
        desk.ticks(BEGIN_NS + second * S)
    assert desk.states()[1:] == [(second, "quiet" if second < 35 else "dead") for second in range(1, 100)]


def test_it_is_dead_from_the_end_of_its_connection_until_a_ticker_comes_again():
    desk = Desk()
    desk.comes(BEGIN_NS, 5)
    desk.comes(BEGIN_NS, 7, "ETH/USDT", OTHER)
    desk.log += desk.tickers.ended(BEGIN_NS + S, LINE._replace(connection=""))
    desk.connections.heard(LINE._replace(connection="okx-0.2"), BEGIN_NS + 2 * S)  # another, without a ticker so far
    desk.ticks(BEGIN_NS + 2 * S)
    desk.comes(BEGIN_NS + 3 * S, 6)
    desk.ticks(BEGIN_NS + 4 * S)
    assert desk.states() == [(0, "said"), (1, "dead"), (2, "dead"), (3, "said"), (4, "quiet")]
    assert {state for _, state in desk.states("ETH/USDT")} == {"said", "quiet"}


def test_it_is_dead_once_its_own_recording_is_over_though_its_venue_speaks_on_another():
    desk = Desk()
    recorded = Line("okx", "spot", "first"), Line("okx", "spot", "second")
    desk.comes(BEGIN_NS, 5, line=recorded[0])
    desk.connections.recorded(recorded[0], BEGIN_NS)
    for second in range(1, 12):
        at_ns = BEGIN_NS + second * S
        desk.connections.heard(recorded[1], at_ns)
        desk.connections.recorded(recorded[1], at_ns)
        desk.ticks(at_ns)
    assert desk.states()[1:] == [(second, "quiet" if second <= 5 else "dead") for second in range(1, 12)]


@pytest.mark.parametrize("by_s", [-3_600, 3_600])
def test_tickers_go_on_when_the_wall_clock_was_set(by_s):
    desk = Desk()
    desk.comes(BEGIN_NS, 5)
    desk.ticks(BEGIN_NS + S)
    desk.tickers.moved(by_s * S)
    desk.connections.moved(by_s * S)
    now_ns = BEGIN_NS + (by_s + 1) * S
    assert desk.ticks(now_ns + S // 2) == []
    desk.comes(now_ns + S, 6)
    desk.ticks(now_ns + 2 * S)
    assert desk.states() == [(0, "said"), (1, "quiet"), (by_s + 2, "said"), (by_s + 3, "quiet")]


@pytest.mark.parametrize("state", ["quiet", "dead"])
def test_sinks_and_verify_leave_it_out_and_what_was_said_is_as_it_was(state):
    said = Ticker("okx", "spot", "BTC/USDT", BEGIN_NS, last=Decimal("2.5"))
    again = msgspec.structs.replace(said, state=state)
    assert entry_of(again, 3, "") is None
    assert [*logged_rows(again, 3)] == []
    assert len([*logged_rows(said, 3)]) == 1
    entry = entry_of(said, 3, "")
    assert entry is not None
    assert "state" not in entry.fields
    assert b"state" not in encode(said)

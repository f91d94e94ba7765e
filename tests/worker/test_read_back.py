"""How far a table is read back, as it is said in the log."""

import pytest
import structlog
from structlog.testing import capture_logs

from sofia_streams.worker import deferred
from sofia_streams.worker.deferred import ReadBack


@pytest.fixture(autouse=True)
def own_log(monkeypatch):
    """A logger that no other test has used: one that has been used keeps its processors, and cannot be captured."""
    monkeypatch.setattr(deferred, "_log", structlog.get_logger("table"))


def test_a_long_read_says_every_few_seconds_how_far_it_is_and_then_what_it_took():
    seen = ReadBack("ohlcv")
    with capture_logs() as said:
        for number in range(13):
            seen.add(b"x" * 1_000_000, 100.0 + number, lambda: 7)
        seen.end(112.5)
    assert [(one["rows"], one["mb"], one["s"], one.get("rows_left")) for one in said] == [
        (6, 6.0, 5.0, 7), (11, 11.0, 10.0, 7), (13, 13.0, 12.5, None),
    ]  # fmt: skip
    assert said[0]["mb_per_s"] == 1.2


def test_a_short_read_says_nothing_and_each_is_counted_anew():
    seen = ReadBack("ohlcv")
    with capture_logs() as said:
        seen.end(1.0)
        for at_s in (2.0, 2.5):
            seen.add(b"row", at_s, lambda: 0)
        seen.end(2.5)
        seen.add(None, 100.0, lambda: 0)
        seen.add(b"row", 106.0, lambda: 0)
    assert [(one["table"], one["rows"], one["s"]) for one in said] == [("ohlcv", 2, 6.0)]

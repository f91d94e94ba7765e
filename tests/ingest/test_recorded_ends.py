"""Feeds that end in the middle of a recording: each second says so, and no bar changes by it."""

import json

import msgspec

from sofia_streams.capture import CapturedFrame
from sofia_streams.core.bars import candles
from sofia_streams.core.bars.windows import Rules
from sofia_streams.ingest.intake import Intake, Record
from sofia_streams.ingest.line import Line
from sofia_streams.ingest.punctuation import OVER_NS
from sofia_streams.model import NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND, Bar, Gap, Punctuation, Ticker, TradeBatch
from sofia_streams.scored import Silence

S = NS_PER_SECOND
BEGIN_NS = 1_786_310_820 * S // NS_PER_MINUTE * NS_PER_MINUTE
SECONDS, ENDS = 150, 40
BTC = "BTC/USDT"


def frames(venue: str, until_s: int) -> list[CapturedFrame]:
    """A trade and a ticker a second."""
    found = []
    for second in range(until_s):
        at_ms = (BEGIN_NS + second * S) // NS_PER_MS
        if venue == "binance":
            data = [
                {"e": "trade", "E": at_ms, "s": "BTCUSDT", "t": second + 1, "p": "5", "q": "7", "T": at_ms, "m": True,
                 "M": True},
                {"e": "24hrMiniTicker", "E": at_ms, "s": "BTCUSDT", "c": "5", "o": "5", "h": "5", "l": "5", "v": "1",
                 "q": "1"},
            ]  # fmt: skip
        else:
            row = {"instId": "BTC-USDT", "tradeId": str(second + 1), "px": "5", "sz": "7", "side": "buy"}
            data = [{"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": [row | {"ts": str(at_ms)}]}]
        came_ns = BEGIN_NS + second * S + 20 * NS_PER_MS
        found += [CapturedFrame(came_ns, venue, "spot", venue, "in", json.dumps(one)) for one in data]
    return found


def recorded(ended_s: int | None = None) -> list[Record]:
    """Binance ends after `ENDS` seconds, OKX goes on; at `ended_s` somebody says that Binance has ended."""
    intake, log = Intake(), []
    for frame in sorted([*frames("binance", ENDS), *frames("okx", SECONDS)], key=lambda one: one.received_ns):
        log += intake.captured(frame)
        if ended_s is not None and frame.received_ns >= BEGIN_NS + ended_s * S:
            log += intake.ended(frame.received_ns, Line("binance", "spot", "binance"))
            ended_s = None
    return log + intake.ended(BEGIN_NS + SECONDS * S)


def folded(log: list[Record]) -> list[Bar | Silence]:
    rows: dict = {}
    said: list[Bar | Silence] = []
    for offset, record in enumerate(one for one in log if isinstance(one, TradeBatch | Punctuation | Gap)):
        step = candles.apply(rows, record, offset=offset, rules=Rules())
        candles.store(rows, step.rows)
        said += step.said
    return said


def spoken(log: list[Record]) -> list[Punctuation]:
    return [one for one in log if isinstance(one, Punctuation) and one.venue == "binance"]


def once(log: list[Record]) -> list[Record]:
    """Without what only repeats."""
    found, last = [], None
    for record in log:
        if isinstance(record, Punctuation) and record.venue == "binance":
            if last is not None and msgspec.structs.replace(record, received_ns=last.received_ns) == last:
                continue
            last = record
        found.append(record)
    return found


def test_a_feed_that_was_said_to_have_ended_is_spoken_of_each_second_until_the_end():
    log = recorded(ended_s=60)
    dead = [one for one in spoken(log) if not one.alive]
    assert {(one.received_ns - BEGIN_NS) // S for one in dead} >= {60, *range(62, SECONDS - 1)}
    assert {one.exchange_ns for one in dead} == {dead[0].exchange_ns}
    assert len(once(log)) < len(log) - 80
    assert folded(once(log)) == folded(log)


def test_a_feed_that_only_falls_silent_is_spoken_of_too_and_no_bar_changes():
    log = recorded()
    silent = [one for one in spoken(log) if one.received_ns > BEGIN_NS + (ENDS + 5) * S]
    assert {(one.received_ns - BEGIN_NS) // S for one in silent} >= set(range(ENDS + 6, SECONDS - 1))
    assert {one.exchange_ns for one in silent} == {BEGIN_NS + (ENDS - 1) * S}
    assert len(once(log)) < len(log) - 80
    assert folded(once(log)) == folded(log)


def test_silence_is_said_when_the_whole_recording_ends_and_not_before():
    said = folded(recorded(ended_s=60))
    at = [place for place, one in enumerate(said) if isinstance(one, Silence)]
    assert at == [len(said) - 1]
    assert said[-1] == Silence("spot", BTC, BEGIN_NS + (SECONDS - 2) * S + OVER_NS)


def test_tickers_of_the_recording_that_is_over_are_dead_each_second_until_the_end():
    again = [one for one in recorded() if isinstance(one, Ticker) and one.state == "dead"]
    assert {(one.received_ns - BEGIN_NS) // S for one in again} >= set(range(ENDS + 6, SECONDS - 1))
    assert {(one.venue, one.symbol) for one in again} == {("binance", BTC)}


def test_said_again_no_ticker_counts():
    intake = Intake()
    for frame in [*frames("binance", ENDS), *frames("okx", SECONDS)[ENDS:]]:
        intake.captured(frame)
    assert intake.summary()["binance|spot|BTC/USDT"]["tickers"] == ENDS

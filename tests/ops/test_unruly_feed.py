"""A feed that repeats itself, is out of order, late, or begins with history after a reconnect: the same bars."""

from decimal import Decimal
from itertools import takewhile
from random import Random

import pytest

from sofia_streams.capture import CapturedFrame
from sofia_streams.model import NS_PER_MS, NS_PER_SECOND, ParsedTrade, Trade
from sofia_streams.ops.replay.in_process import Replay
from sofia_streams.simulator.market import Market, Plan
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
START_NS = 1_760_000_040_000_000_000
SECONDS, REPEATED = 130, 1_000
SEEDS = range(4)


def feed(venue):
    """Frames of one trade each, on one connection that asked first; times as they were received."""
    market = Market(Plan((venue,), ("BTC/USDT", "ETH/USDT"), 12.0, 3), START_NS)
    until_ns = START_NS + SECONDS * NS_PER_SECOND
    events = takewhile(lambda one: one.at_ns < until_ns, market.events())
    said = [one for one in events if isinstance(one.said, ParsedTrade)]
    return [CapturedFrame(one.at_ns, venue, "spot", "1", "in", VENUES[venue].encode_trade(one.said)) for one in said]


def at(frame, received_ns, connection="1"):
    return CapturedFrame(received_ns, frame.venue, frame.market, connection, frame.direction, frame.frame)


def asked(venue, received_ns, connection):
    return CapturedFrame(received_ns, venue, "spot", connection, "out", "{}")


def run(frames, venue):
    replay = Replay()
    for frame in [asked(venue, START_NS - NS_PER_SECOND, "1"), *frames]:
        replay.apply(frame)
    replay.finish()
    return replay.book.sha256(), replay.summary()


@pytest.fixture(scope="module", params=list(VENUES))
def clean(request):
    """The venue, its frames, and what they give."""
    frames = feed(request.param)
    assert len(frames) > REPEATED
    digest, summary = run(frames, request.param)
    assert summary["duplicates"] == summary["quarantined"] == 0
    return request.param, frames, digest, summary


@pytest.mark.parametrize("seed", SEEDS)
def test_as_many_duplicates_are_dropped_as_there_were_and_no_bar_changes(clean, seed):
    venue, frames, digest, summary = clean
    draw, unruly, injected = Random(seed), [], 0
    for place, frame in enumerate(frames):
        again = [draw.choice(frames[: place + 1]) for _ in range(draw.choice((0, 0, 1, 3)))]
        injected += len(again)
        unruly += [frame, *(at(one, frame.received_ns) for one in again)]
    found = run(unruly, venue)
    assert injected > 500
    assert found[0] == digest
    assert found[1]["duplicates"] == injected
    assert found[1]["trades"] == summary["trades"]


@pytest.mark.parametrize("seed", SEEDS)
def test_frames_that_come_out_of_order_and_late_give_the_same_bars(clean, seed):
    """Up to ten seconds late: ten times the lateness after which a second is closed."""
    venue, frames, digest, summary = clean
    draw = Random(seed)
    delays_ns = {id(frame): draw.choice((0, 0, 0, 10)) * int(draw.random() * NS_PER_SECOND) for frame in frames}
    late = sorted(frames, key=lambda frame: frame.received_ns + delays_ns[id(frame)])
    received_ns, unruly = 0, []
    for frame in late:
        received_ns = max(received_ns, frame.received_ns)
        unruly.append(at(frame, received_ns))
    found = run(unruly, venue)
    assert found[1]["late"] > 50
    assert found[1]["trades"] == summary["trades"]
    assert found[0] == digest


def test_history_that_a_reconnect_repeats_is_dropped_and_kept_out_of_bars(clean):
    venue, frames, digest, summary = clean
    middle = len(frames) - 50
    again_ns = frames[middle].received_ns - 1
    repeated = [at(one, again_ns, "2") for one in frames[middle - REPEATED : middle]]
    rest = [at(one, one.received_ns, "2") for one in frames[middle:]]
    found = run([*frames[:middle], asked(venue, again_ns, "2"), *repeated, *rest], venue)
    assert found[0] == digest
    assert found[1]["duplicates"] == REPEATED
    assert found[1]["trades"] == summary["trades"]


def test_ids_that_are_equal_across_symbols_are_different_trades(clean):
    venue, *_ = clean
    frames = []
    for number in range(1, 40):
        for listing in ("BTC/USDT", "ETH/USDT"):
            at_ns = START_NS + number * 100 * NS_PER_MS
            order = number * (VENUES[venue].places_a_sequence or 1)
            trade = Trade(str(number), Decimal(100), Decimal(1), "buy", at_ns, order)
            parsed = ParsedTrade(VENUES[venue].to_listing(listing, "spot"), trade)
            text = VENUES[venue].encode_trade(parsed)
            frames.append(CapturedFrame(at_ns, venue, "spot", "1", "in", text))
    _, summary = run(frames, venue)
    assert (summary["trades"], summary["duplicates"]) == (78, 0)

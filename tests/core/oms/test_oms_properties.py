"""The paper OMS over ten thousand random sequences: quotes also crossed, missing and stale, prints, bars, holes,
signals, orders of every type and time in force, commands, a clock that goes backwards, two symbols at two venues.

Orders are placed through signals and by hand. What is checked after each event stands in `oms_invariants`.
"""

import hashlib
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oms_invariants import Watched
from oms_world import events_of, play, rules_of

from sofia_streams.core.oms.desk import Books
from sofia_streams.core.oms.engine import Engine
from sofia_streams.core.oms.money import exact
from sofia_streams.paper import Fill, Order

pytestmark = pytest.mark.slow

SEQUENCES, RESTARTED = 9_000, 2_000
sequences = st.binary(min_size=5 + 4 * 8, max_size=5 + 4 * 40)
books_decoder = msgspec.json.Decoder(Books)


def watched(data: bytes) -> list:
    """Play a sequence, checking after each event; what was said."""
    rules, lots = rules_of(data[:5])
    engine, found = Engine(rules, lots), []
    watch = Watched(engine, rules)
    with exact():
        for event in events_of(data):
            watch.before(event)
            play(engine, event)
            said = engine.take_said()
            watch.after(event, said)
            found += said
    return found


@settings(max_examples=SEQUENCES, suppress_health_check=list(HealthCheck))
@given(sequences)
def test_the_account_is_right_after_every_event(data):
    watched(data)


def bytes_of(data: bytes, restarts: bool) -> list[bytes]:
    """What is said behind each event, as bytes; with `restarts`, by an engine made anew from its books before each."""
    rules, lots = rules_of(data[:5])
    engine, found = Engine(rules, lots), []
    with exact():
        for event in events_of(data):
            if restarts:
                engine = Engine(rules, lots, books_decoder.decode(msgspec.json.encode(engine.books)))
            play(engine, event)
            found.append(msgspec.json.encode(engine.take_said()))
    return [*found, msgspec.json.encode(engine.books)]


@settings(max_examples=RESTARTED, suppress_health_check=list(HealthCheck))
@given(sequences)
def test_an_engine_made_anew_from_its_books_before_every_event_says_the_same(data):
    assert bytes_of(data, restarts=True) == bytes_of(data, restarts=False)


def made_up(count: int, seed: int = 7) -> list[bytes]:
    """Long sequences, the same every time."""
    source = random.Random(seed)
    return [source.randbytes(5 + 4 * 60) for _ in range(count)]


def test_random_sequences_reach_what_they_are_about():
    """Or the properties would hold of nothing."""
    seen: Counter[str] = Counter()
    for data in made_up(2_000):
        for one in watched(data):
            if isinstance(one, Order):
                seen[one.status] += 1
                seen[one.reason_code] += 1
                seen[f"{one.type} {one.status}"] += 1
            elif isinstance(one, Fill):
                seen[one.liquidity] += 1
            else:
                seen[one.state] += 1
                seen["short"] += any(held.quantity < 0 for held in one.positions)
    wanted = {
        "filled", "partially_filled", "cancelled", "expired", "rejected", "maker", "taker", "HALTED", "REDUCING",
        "short", "stop filled", "limit filled", "market filled", "limit expired", "TRADING_HALTED", "COOL_DOWN",
        "POSITION_EXCEEDS_MAXIMUM", "CASH_INSUFFICIENT", "SHORT_NOT_ENABLED", "DAILY_LOSS", "DRAWDOWN", "DATA_GAP",
        "STALE_QUOTE", "CROSSED_QUOTE", "NO_QUOTE", "NOT_FILLED_AT_ONCE", "TIME_IN_FORCE_ENDED", "POSITION_CLOSED",
    }  # fmt: skip
    assert {name for name in wanted if seen[name] < 3} == set(), seen


def digest() -> str:
    """Of what an engine says to a hundred sequences."""
    found = hashlib.sha256()
    for data in made_up(100, seed=11):
        found.update(b"".join(bytes_of(data, restarts=False)))
    return found.hexdigest()


def test_same_inputs_same_bytes_in_another_process_with_other_hashes():
    here = Path(__file__)
    places = os.pathsep.join([str(here.parents[3]), str(here.parent)])
    code = "import test_oms_properties as it; print(it.digest())"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": places},
            check=True, capture_output=True, text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip
    assert told == {digest()}

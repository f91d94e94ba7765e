"""Any bytes give records or a refusal: good input mutated by its grammar and by force, and bytes from nowhere.

`FUZZ_SECONDS=60 pytest tests/fuzz` goes on with new seeds for so long; what it finds is printed with its seed.
"""

import os
import time
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutation import mutated
from seeds import SEEDS
from targets import TARGETS

pytestmark = pytest.mark.slow
TRIES = 2_000
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
SLOW_S = 5.0
"""No input of these sizes may take so long; it is generous, since what it is for takes for ever."""


def try_one(name: str, seed: int) -> bool:
    draw = Random(seed)
    good = SEEDS[name]
    data = mutated(draw.choice(good), good, draw)
    began_s = time.process_time()
    try:
        taken = TARGETS[name](data)
    except BaseException as error:
        error.add_note(f"target {name!r}, seed {seed}, input {data[:500]!r}")
        raise
    assert time.process_time() - began_s < SLOW_S, f"target {name!r}, seed {seed}: a hang, input {data[:500]!r}"
    return taken


@pytest.mark.parametrize("name", TARGETS)
def test_good_input_is_taken(name):
    taken = [TARGETS[name](data) for data in SEEDS[name]]
    assert any(taken)
    assert all(taken) or name.startswith(("client", "env file", "intake"))  # controls, secrets, other pairs of a frame


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_input_gives_records_or_a_refusal(name):
    taken = [try_one(name, seed) for seed in range(TRIES)]
    assert any(taken), "every variant was refused: they say nothing of what stands behind the first check"
    assert not all(taken), "no variant was refused: they are not hostile"
    deadline_s, seed = time.monotonic() + SECONDS / len(TARGETS), time.time_ns()
    while time.monotonic() < deadline_s:
        try_one(name, seed)
        seed += 1


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=50)
def test_any_bytes_give_records_or_a_refusal(name, data):
    TARGETS[name](data)

"""The points at which tests end a worker: nothing without the variable, the end at the n-th passage, typos refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from sofia_streams.crash_points import CRASH_AT, EXIT_CODE, POINTS, CrashPoints

ROOT = Path(__file__).parents[1]
PASS_THREE_TIMES = (
    "from sofia_streams.crash_points import passing\n"
    "for number in range(3):\n    passing('recovery'); passing('read'); print(number, flush=True)"
)


def run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PASS_THREE_TIMES], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_without_the_variable_nothing_ends():
    done = run({})
    assert (done.returncode, done.stdout.split()) == (0, ["0", "1", "2"])


@pytest.mark.parametrize("passages", [1, 3])
def test_the_chosen_passage_is_the_last_thing_that_happens(passages: int):
    done = run({CRASH_AT: f"read:{passages}"})
    assert (done.returncode, len(done.stdout.split())) == (EXIT_CODE, passages - 1)


def test_another_point_does_not_end():
    assert run({CRASH_AT: "sent:1"}).returncode == 0


@pytest.mark.parametrize("text", ["reed:1", "read", "read:", "read:-1", ":1"])
def test_a_point_that_does_not_exist_is_refused(text: str):
    with pytest.raises(ValueError, match="expected point:n"):
        CrashPoints(text)


def test_every_point_has_a_place_in_the_code():
    code = "\n".join(path.read_text() for path in (ROOT / "sofia_streams").rglob("*.py"))
    assert not [point for point in POINTS if f'passing("{point}")' not in code]

"""`./sofia test`: every test is in one of its stages, a stage that fails hides no other, arguments reach pytest."""

import runpy
import subprocess
from itertools import product
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / "sofia"))
MARKERS = ("slow", "broker", "alone")


def selections(fast):
    """What each stage of tests chooses by: an expression of markers."""
    commands = [stage.command for stage in SCRIPT["stages"]([], fast=fast)]
    return [command[command.index("-m", 2) + 1] for command in commands if command[:2] == SCRIPT["PYTEST"]]


@pytest.mark.parametrize("marked", list(product((False, True), repeat=len(MARKERS))))
def test_a_test_is_in_one_stage_whatever_its_markers_are(marked):
    markers = dict(zip(MARKERS, marked, strict=True))
    if markers["alone"] and not markers["broker"]:
        markers["broker"] = True  # what needs the machine for itself starts servers
    chosen = [text for text in selections(fast=False) if eval(text, {}, markers)]
    assert len(chosen) == 1
    assert bool([text for text in selections(fast=True) if eval(text, {}, markers)]) is not markers["broker"]


class Started:
    """Instead of processes: what was started; a step fails when its command holds one of `failing`."""

    def __init__(self, monkeypatch, failing=()):
        self.commands, self._failing = [], failing
        monkeypatch.setattr(subprocess, "run", self.run)

    def run(self, command, **others):
        self.commands.append(command[1:])
        code = next((place for place, word in enumerate(self._failing, 1) if word in command), 0)
        return subprocess.CompletedProcess(command, code)


def test_a_stage_that_fails_hides_no_other_and_the_first_failure_is_the_exit_code(monkeypatch, capsys):
    started = Started(monkeypatch, failing=(SCRIPT["SERVERS"], "mypy"))
    assert SCRIPT["run_checks"]([]) == 2
    assert len(started.commands) == len(SCRIPT["stages"]([], fast=False)) == 6
    told = capsys.readouterr().out
    summary = told[told.rindex("\n\n") :]
    assert [line.partition(" after ")[0] for line in summary.split("\n") if "FAILED" in line] == [
        "sofia test: types: FAILED with exit code 2",
        "sofia test: servers: FAILED with exit code 1",
    ]
    assert summary.count("passed after") == 4


def test_all_passed_is_0(monkeypatch):
    Started(monkeypatch)
    assert SCRIPT["run_checks"]([]) == SCRIPT["run_checks"](["--fast"]) == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["tests/core", "-k", "bars"], ("tests/core", "-k", "bars")),
        (["tests/core", "--fast", "-x"], ("-m", "not broker", "tests/core", "-x")),
    ],
)
def test_arguments_reach_one_run_of_pytest_as_they_are(monkeypatch, arguments, expected):
    started = Started(monkeypatch)
    assert SCRIPT["run_checks"](arguments) == 0
    runs = [tuple(command) for command in started.commands if tuple(command[:2]) == SCRIPT["PYTEST"]]
    assert runs == [(*SCRIPT["PYTEST"], *expected)]

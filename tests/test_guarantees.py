"""docs/guarantees.md names every scenario with its rows, and only tests that there are."""

import re
from pathlib import Path

from sofia_streams.ops.chaos.scenarios import SCENARIOS

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "guarantees.md").read_text()
BATTERY = TEXT[TEXT.index("## Battery") :].splitlines()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in BATTERY if line.startswith("| ")]


def test_every_scenario_stands_in_the_battery_with_its_rows():
    named = {name: row[0] for row in ROWS for name in re.findall(r"`([a-z-]+)`", row[2])}
    assert {name: named.get(name) for name in SCENARIOS} == {name: one.rows for name, one in SCENARIOS.items()}
    assert set(named) == set(SCENARIOS)


def test_every_test_that_is_named_exists():
    named = re.findall(r"tests/[\w/]+\.py", TEXT)
    assert named
    for path in named:
        assert (ROOT / path).exists(), path


def test_a_row_without_a_scenario_or_test_says_that_it_is_not_run():
    for row in ROWS:
        assert len(row) == 5, row
        if row[2] == "–":
            assert row[3].startswith("not run"), row

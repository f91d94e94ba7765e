"""The battery goes on where it stopped, whatever stopped it."""

import pytest

from sofia_streams.ops.chaos.battery import Battery
from sofia_streams.ops.chaos.disk import can_mount
from sofia_streams.ops.chaos.scenarios import SCENARIOS

RUN = [name for name, one in SCENARIOS.items() if can_mount() or not one.disk_mib]


class Killed(Exception):
    """Stands for the end of the process."""


def run(battery, *, killed_at=None):
    """The scenarios that ran, in order."""
    ran = []

    def one(name, seed):
        if name == killed_at:
            raise Killed
        ran.append(name)
        return {"scenario": name, "seed": seed, "held": True}

    if killed_at is None:
        battery.run(one, lambda result: None)
    else:
        with pytest.raises(Killed):
            battery.run(one, lambda result: None)
    return ran


def test_it_runs_every_scenario_once_over_two_starts(tmp_path):
    names = RUN
    assert run(Battery(tmp_path, 3), killed_at=names[4]) == names[:4]
    assert run(Battery(tmp_path, 3)) == names[4:]
    assert run(Battery(tmp_path, 3)) == []
    assert [one["scenario"] for one in Battery(tmp_path, 3).results()] == names
    assert all(one["rows"] and one["date"] for one in Battery(tmp_path, 3).results())


def test_another_seed_is_another_battery(tmp_path):
    run(Battery(tmp_path, 3))
    assert Battery(tmp_path, 4).left() == RUN


def test_a_result_that_was_cut_off_is_run_again(tmp_path):
    names, battery = RUN, Battery(tmp_path, 3)
    run(battery, killed_at=names[2])
    battery.path.write_text(battery.path.read_text()[:-10])
    assert run(battery) == names[1:]
    assert {one["scenario"] for one in battery.results()} == set(names)


def test_it_can_begin_anew(tmp_path):
    battery = Battery(tmp_path, 3)
    run(battery)
    battery.forget()
    assert run(battery) == RUN

"""The data directory of a stack, before any server is started."""

from pathlib import Path

import pytest

from sofia_streams.embedded.lock import AlreadyRunning
from sofia_streams.embedded.stack import Stack
from sofia_streams.errors import ConfigError


def no_servers(data_dir: Path) -> Stack:
    return Stack(data_dir, kafka=False, questdb=False, redis=False)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("/dev/null", "File exists"),
        ("/dev/null/data", "Not a directory"),
        ("/proc/nothing", "No such file or directory"),
        ("taken", "File exists"),
    ],
)
def test_a_data_directory_that_is_none_is_named_with_the_cure(place: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "run").write_text("a file")
    stack = no_servers(tmp_path / place)
    with pytest.raises(ConfigError) as caught:
        stack.start()
    said = str(caught.value)
    assert said.startswith(f"DATA_DIR: expected a folder of our own that is there or can be made, {tmp_path / place}, ")
    assert f": {why}. Name another folder in DATA_DIR" in said


def test_what_a_killed_questdb_left_unpacked_goes_at_the_next_start_and_nothing_else_does(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "tmp"
    folder.mkdir(parents=True)
    for name in ("libquestdb123.so", "libquestdbr9.so", "other.so", "libquestdb.txt"):
        (folder / name).write_text("")
    with no_servers(tmp_path / "data"):
        assert {path.name for path in folder.iterdir()} == {"other.so", "libquestdb.txt"}
        (folder / "libquestdb1.so").write_text("of one that runs")
        with pytest.raises(AlreadyRunning):
            no_servers(tmp_path / "data").start()
        assert (folder / "libquestdb1.so").exists()

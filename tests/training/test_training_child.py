"""A training in a process of its own: its model, its failure in words, its bounds; none outlives its caller."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from trained_models import SETS, model

from sofia_streams.core.scoring.labels import Rule, fraction_of
from sofia_streams.settings import Settings, load_settings
from sofia_streams.training.registry import Registry
from sofia_streams.training.retraining import bounded
from sofia_streams.training.retraining.child import options_of, source_of, train
from sofia_streams.training.retraining.library import Library
from sofia_streams.training.retraining.notes import NAME, Notes, read_notes, with_notes, write_notes

OPTIONS = ["--data", "generated", "--size", "1s", "--bars", "6000", "--folds", "0"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(None, {"DATA_DIR": str(tmp_path), "SIGNALS_BAR_SIZE": "1s", "TRAIN_HORIZON_BARS": "5"})


def trainings() -> list[psutil.Process]:
    return [one for one in psutil.Process().children(recursive=True) if "train" in one.cmdline()]


async def started() -> psutil.Process:
    for _ in range(2_000):  # the scripts that bound it become it
        if found := [one for one in trainings() if one.cmdline()[1:3] == ["-m", "sofia_streams.cli"]]:
            return found[0]
        await asyncio.sleep(0.01)
    raise AssertionError("no training was started in 20 s")


async def test_it_gives_a_model_and_runs_with_low_priority_and_bounded_memory(settings):
    under_way = asyncio.create_task(train(settings, OPTIONS))
    child = await started()
    assert child.nice() == 10
    if sys.platform == "linux":
        assert child.rlimit(psutil.RLIMIT_AS) == (4 * 1024**3, 4 * 1024**3)
    ended = await under_way
    assert ended.model_id is not None, ended.text
    known = Library(Registry(settings.models_folder()), SETS)(ended.model_id)
    assert known is not None
    assert known.rule == Rule("forward", 5)
    assert known.model.document.is_synthetic
    assert len(known.inputs) == len(known.model.document.inputs)
    assert not trainings()


@pytest.mark.parametrize("error", ["OSError", "ValueError"])
def test_where_the_system_refuses_a_bound_the_program_runs_without(error):
    """As macOS does."""
    refusing = f"""
import resource, runpy, sys
def refuse(*_):
    raise {error}
resource.setrlimit, sys.argv = refuse, sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    command = [sys.executable, "-c", refusing, bounded.__file__, "4096", sys.executable, "-c", "print('it runs')"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "it runs\n"), done.stderr


async def test_a_failure_is_told_in_its_own_words(settings):
    ended = await train(settings, ["--data", "questdb"])
    assert ended.model_id is None
    assert "exit code" in ended.text
    assert "QUESTDB_HOST" in ended.text


async def test_one_that_takes_too_long_is_ended(settings):
    ended = await train(settings, OPTIONS, within_s=0.5)
    assert ended.model_id is None
    assert "within" in ended.text
    assert not trainings()
    assert not Registry(settings.models_folder()).names()


async def test_cancelling_ends_it(settings):
    under_way = asyncio.create_task(train(settings, OPTIONS))
    await started()
    under_way.cancel()
    await asyncio.gather(under_way, return_exceptions=True)
    assert not trainings()


def test_options_are_those_of_the_model_before(settings):
    document = model()[2].document
    assert options_of(settings, None, "questdb") == ["--data", "questdb", "--size", "1s"]
    assert [source_of(settings, has_bars=found) for found in (True, False)] == ["questdb", "venues"]
    demo = settings.model_copy(update={"simulator_url": "ws://127.0.0.1:1"})
    assert {source_of(demo, has_bars=found) for found in (True, False)} == {"generated"}
    found = options_of(demo, document, "generated")
    assert found[:4] == ["--data", "generated", "--size", "1s"]
    assert " ".join(found[4:]) == "--horizon 5 --label forward --cost-bps 0.0 --sets base"
    assert document.rule == Rule("forward", 5, document.cost)


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.floats(0.0, 1_000.0), st.integers(0, 10_000_000).map(lambda number: number / 10_000)))
@example(10 / 3)
@example(7.0000001)
@example(5e-324)
def test_the_cost_of_the_model_before_is_handed_on_exactly(settings, cost_bps):
    """With another one it would be a model of another rule, and could not compete with the one in force."""
    document = msgspec.structs.replace(model()[2].document, cost=fraction_of(cost_bps))
    options = options_of(settings, document, "questdb")
    assert fraction_of(float(options[options.index("--cost-bps") + 1])) == document.cost


def test_notes_are_read_as_written_and_damaged_ones_begin_anew(tmp_path):
    assert read_notes(tmp_path) == Notes()
    notes = with_notes(Notes("forward-1-00000001", 5), failures=2)
    write_notes(tmp_path / "models", notes)
    assert read_notes(tmp_path / "models") == notes == Notes("forward-1-00000001", 5, None, 2)
    for damaged in (b"", b"{", b"\xff\xfe", json.dumps({"since_ns": "soon"}).encode()):
        (tmp_path / "models" / NAME).write_bytes(damaged)
        assert read_notes(tmp_path / "models") == Notes()

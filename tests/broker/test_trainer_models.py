"""The trainer on a real log: a first model, challengers that win or lose, trainings that fail beside scoring."""

import time

import msgspec
import pytest
from signals_scene import BEGIN_NS, SYMBOLS, bars_of, outputs, write_bars
from trainer_scene import HORIZON, PULL, a_model, activated, alerts, market
from waiting import eventually

from sofia_streams import codec, topics
from sofia_streams.embedded import process
from sofia_streams.logread import whole_topic
from sofia_streams.model import NS_PER_MINUTE, Bar
from sofia_streams.ops.workers import Lag, start_worker, wait_drained
from sofia_streams.settings import Settings
from sofia_streams.training.activation import activate
from sofia_streams.training.registry import Registry, Stored
from sofia_streams.training.retraining.notes import Notes, read_notes, write_notes

pytestmark = pytest.mark.broker


@pytest.fixture
async def settings(make_namespace) -> Settings:
    return await make_namespace(topic_partitions=2)


async def compete(settings: Settings, champion: Stored, challenger: Stored) -> None:
    """Both on the same 2,600 minutes, until it is decided."""
    await activate(settings, champion, reason="test", from_ns=0)
    write_notes(settings.models_folder(), Notes(challenger.document.model_id, BEGIN_NS, BEGIN_NS))
    await write_bars(settings, market(2_600))
    workers = [start_worker(name, settings, settings.data_dir) for name in ("signals", "trainer")]
    try:
        await eventually(lambda: _is_decided(settings), within_s=300)
    finally:
        process.stop(workers, grace_s=10)


async def _is_decided(settings: Settings) -> bool:
    return read_notes(settings.models_folder()).challenger is None


async def test_a_better_challenger_takes_over(settings):
    champion, challenger = a_model(settings, pull=0.0, seed=1), a_model(settings, pull=PULL, seed=2)
    await compete(settings, champion, challenger)
    assert await activated(settings) == [champion.document.model_id, challenger.document.model_id]
    said = [one.text for one in await alerts(settings) if challenger.document.model_id in one.text]
    assert len(said) == 1
    assert "better than" in said[0]
    measured = [codec.decode_scored(value) async for value in whole_topic(settings, topics.MODEL_QUALITY)]
    assert {one.role for one in measured} <= {"champion", "challenger"}


async def test_a_worse_challenger_is_dropped(settings):
    champion, challenger = a_model(settings, pull=PULL, seed=2), a_model(settings, pull=0.0, seed=1)
    await compete(settings, champion, challenger)
    assert await activated(settings) == [champion.document.model_id]
    assert [one for one in await alerts(settings) if f"{challenger.document.model_id} is dropped" in one.text]


async def test_the_demo_trains_a_first_model_and_scores_with_it(settings):
    """With nothing in the log and no model: two copies of the worker train one model between them."""
    demo = settings.model_copy(update={"simulator_url": "ws://127.0.0.1:9", "train_horizon_bars": HORIZON})
    workers = [start_worker("trainer", demo, demo.data_dir, copy=number) for number in (1, 2)]
    workers.append(start_worker("signals", demo, demo.data_dir))
    try:
        await eventually(lambda: _has_activated(demo), within_s=300)
        shift_ns = time.time_ns() // NS_PER_MINUTE * NS_PER_MINUTE - 90 * NS_PER_MINUTE - BEGIN_NS
        moved = (bar for symbol in SYMBOLS for bar in bars_of(symbol, range(120)))
        await write_bars(demo, (_later(bar, shift_ns) for bar in moved))
        await wait_drained(demo, [workers[-1], workers[0]], stalled_after_s=120)
    finally:
        process.stop(workers, grace_s=10)
    (model_id,) = await activated(demo)
    stored = Registry(demo.models_folder()).load(model_id)
    assert stored.document.is_synthetic
    assert stored.document.horizon_bars == HORIZON
    assert stored.folder.joinpath("card.json").exists()
    scored = [one for one in (await outputs(demo))["predictions"] if one.abstention is None]
    assert scored
    assert all(one.is_synthetic and one.model_id == model_id for one in scored)


def _later(bar: Bar, shift_ns: int) -> Bar:
    return msgspec.structs.replace(bar, start_ns=bar.start_ns + shift_ns)


async def _has_activated(settings: Settings) -> bool:
    return bool(await activated(settings))


async def test_a_training_that_fails_is_said_and_leaves_scoring_alone(settings):
    """Enough bars, no model, and no database to train from."""
    bars = [*market(4_200)]
    await write_bars(settings, bars[:4_050])
    workers = [start_worker(name, settings, settings.data_dir) for name in ("signals", "trainer")]
    try:
        await eventually(lambda: _has_failed(settings), within_s=300)
        await activate(settings, a_model(settings, pull=PULL, seed=2), reason="test", from_ns=0)
        await write_bars(settings, bars[4_050:])
        await wait_drained(settings, workers, stalled_after_s=120)
        async with Lag(settings) as lag:
            assert [await lag.of(name) for name in ("signals", "trainer")] == [0, 0]
    finally:
        process.stop(workers, grace_s=10)
    said = [one for one in await alerts(settings) if one.alert_id == "trainer: training"]
    assert said[0].severity == "warning"
    assert "QUESTDB_HOST" in said[0].text
    assert read_notes(settings.models_folder()).failures == len(said)
    scored = [one for one in (await outputs(settings))["predictions"] if one.abstention is None]
    assert len(scored) > 100


async def _has_failed(settings: Settings) -> bool:
    return any(one.alert_id == "trainer: training" for one in await alerts(settings))

"""A first model without a demo: from bars that the system itself collected in a real database, if there is anything."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from signals_scene import outputs, write_bars
from stored_records import ANY_PORTS
from trainer_scene import HORIZON, PULL, activated, alerts, market
from waiting import eventually

from sofia_streams.embedded import process
from sofia_streams.embedded.stack import Stack
from sofia_streams.model import NS_PER_MINUTE
from sofia_streams.ops.stack import addressed
from sofia_streams.ops.topics import apply_topics
from sofia_streams.ops.workers import start_worker, wait_drained
from sofia_streams.settings import Settings, load_settings
from sofia_streams.training.registry import Registry

pytestmark = pytest.mark.broker
MINUTES = 4_200
WORKERS = ("signals", "timeseries_writer", "trainer")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("stored") / "data"
    with Stack(data_dir, redis=False, preferred_ports=ANY_PORTS) as stack:
        chosen = load_settings(None, {"TRAIN_HORIZON_BARS": str(HORIZON), "TOPIC_PARTITIONS": "2"})
        yield addressed(chosen, stack.addresses, data_dir)


async def settled(settings: Settings) -> bool:
    """A model was trained, and something was said of it."""
    names = Registry(settings.models_folder()).names()
    return bool(names) and any(names[0] in one.text for one in await alerts(settings))


@pytest.mark.parametrize("pull", [PULL, 0.0])
async def test_a_first_model_is_activated_if_it_is_better_than_the_baselines_and_else_said(servers, pull):
    name = f"p{int(pull * 100)}"
    settings = servers.model_copy(update={"namespace": name, "models_dir": Path(servers.data_dir) / name})
    await apply_topics(settings)
    begin_ns = (time.time_ns() // NS_PER_MINUTE - MINUTES) * NS_PER_MINUTE
    bars = [*market(MINUTES + 50, pull=pull, begin_ns=begin_ns)]
    await write_bars(settings, bars[:MINUTES])
    workers = [start_worker(one, settings, settings.data_dir) for one in WORKERS]
    try:
        await eventually(lambda: settled(settings), within_s=300)
        await write_bars(settings, bars[MINUTES:])
        await wait_drained(settings, workers, stalled_after_s=120)
    finally:
        process.stop(workers, grace_s=10)
    stored = Registry(settings.models_folder())
    (model_id,) = stored.names()
    assert stored.card(model_id).is_better == (pull > 0)
    assert not stored.load(model_id).document.is_synthetic
    said = {one.abstention for one in (await outputs(settings))["predictions"][-40:]}
    if pull:
        assert await activated(settings) == [model_id]
        assert None in said
    else:
        assert await activated(settings) == []
        assert said == {"no model"}
        (alert,) = [one for one in await alerts(settings) if model_id in one.text]
        assert alert.severity == "warning"
        assert "NO BETTER" in alert.text

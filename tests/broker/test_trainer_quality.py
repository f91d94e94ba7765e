"""The trainer on a real log: what it says of models equals a computation from the same records, whatever happens."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pytest
import signals_scene
from signals_scene import BEGIN_NS, bars_of, outputs, stored_model, write_bars
from waiting import eventually

from sofia_streams import codec, topics
from sofia_streams.crash_points import EXIT_CODE
from sofia_streams.embedded import process
from sofia_streams.logread import whole_topic
from sofia_streams.model import NS_PER_MINUTE, Bar
from sofia_streams.ops.workers import start_worker, wait_drained
from sofia_streams.scored import Features, ModelQuality, Prediction
from sofia_streams.settings import Settings
from sofia_streams.training.activation import activate
from sofia_streams.training.metrics import MEASURES

pytestmark = pytest.mark.broker
SYMBOLS = signals_scene.SYMBOLS[:4]
HORIZON, WINDOW, MINUTES = 15, 500, 700


@pytest.fixture
async def settings(make_namespace) -> Settings:
    return await make_namespace(topic_partitions=3, train_after_hours=8_760)


def bars_of_all(minutes: range) -> Iterator[Bar]:
    """Of four symbols, minute by minute."""
    by_symbol = [[*bars_of(symbol, minutes)] for symbol in SYMBOLS]
    yield from sorted((bar for bars in by_symbol for bar in bars), key=lambda bar: bar.start_ns)


async def score(settings: Settings, minutes: int) -> None:
    """A log with predictions of two models, one after the other."""
    await activate(settings, stored_model(settings, 1), reason="first", from_ns=0)
    await write_bars(settings, bars_of_all(range(minutes // 2)))
    swap_ns = BEGIN_NS + minutes // 2 * NS_PER_MINUTE
    await activate(settings, stored_model(settings, 2), reason="second", from_ns=swap_ns)
    await write_bars(settings, bars_of_all(range(minutes // 2, minutes)))
    await run(settings, "signals")


async def run(settings: Settings, name: str, *, copies: int = 1) -> None:
    """Workers until they have taken everything."""
    workers = [start_worker(name, settings, settings.data_dir, copy=number + 1) for number in range(copies)]
    try:
        await wait_drained(settings, workers, stalled_after_s=120)
    finally:
        process.stop(workers, grace_s=10)


async def said(settings: Settings) -> dict[tuple[str, int], list[ModelQuality]]:
    """By symbol and bar; those of one bar in the order of the log."""
    found = defaultdict(list)
    async for value in whole_topic(settings, topics.MODEL_QUALITY):
        record = codec.decode_scored(value)
        assert isinstance(record, ModelQuality)
        found[record.symbol, record.start_ns].append(record)
    return dict(found)


async def expected(settings: Settings) -> dict[tuple[str, int, str], dict[str, float]]:
    """Measures of the model in force by symbol and newest labelled bar, computed from the records with numpy."""
    records = await outputs(settings)
    found = {}
    for symbol in SYMBOLS:
        features = {one.start_ns: one for one in records["features"] if one.symbol == symbol}
        predictions = {one.start_ns: one for one in records["predictions"] if one.symbol == symbol}
        found |= of_symbol(symbol, features, predictions)
    return found


def of_symbol(symbol: str, features: dict[int, Features], predictions: dict[int, Prediction]):
    labels = {}
    for start_ns, one in predictions.items():
        ahead = [features.get(start_ns + number * NS_PER_MINUTE) for number in range(1, HORIZON + 1)]
        if one.calibrated_score is None or any(each is None or each.candle is None for each in ahead):
            continue
        labels[start_ns] = (one.model_id, one.calibrated_score, int(ahead[-1].candle.close > ahead[0].candle.open))
    found, champion = {}, ""
    for now_ns in sorted(features)[1:]:
        champion = predictions[now_ns].model_id or champion
        until_ns = now_ns - HORIZON * NS_PER_MINUTE
        window = [at for at in sorted(labels) if until_ns - WINDOW * NS_PER_MINUTE < at <= until_ns]
        mine = [at for at in window if labels[at][0] == champion]
        if mine:
            scores = np.array([labels[at][1] for at in mine])
            outcomes = np.array([labels[at][2] for at in mine])
            measures = {name: measure(scores, outcomes) for name, measure in MEASURES.items()}
            found[symbol, mine[-1], champion, len(mine)] = measures | {"base_rate": outcomes.mean()}
    return found


async def test_what_is_said_equals_a_computation_from_the_records(settings):
    await score(settings, MINUTES)
    await run(settings, "trainer", copies=2)
    computed, compared = await expected(settings), 0
    found = await said(settings)
    for (symbol, start_ns), records in found.items():
        for one in records:
            measures = computed[symbol, start_ns, one.model_id, one.labels]
            for name in ("accuracy", "brier", "ece", "log_loss", "base_rate"):
                assert getattr(one, name) == pytest.approx(measures[name], abs=1e-12), (one, name)
            compared += 1
    assert {key[:3] for key in computed} == {(*key, one.model_id) for key, records in found.items() for one in records}
    print("compared", compared)
    assert compared > 2_000


async def test_killed_and_started_again_it_says_the_same(settings, make_namespace):
    """The run without kills stands in another namespace, with another number of partitions."""
    calm = await make_namespace(topic_partitions=1, train_after_hours=8_760)
    for one in (settings, calm):
        await score(one, MINUTES)
    await run(calm, "trainer")
    for point in ("read:2500", "published:600", "rows_stored:300", "acknowledged:1"):
        worker = start_worker("trainer", settings, settings.data_dir, crash_at=point)
        await eventually(lambda child=worker: _ended(child), within_s=90)
        assert worker.exit_code() == EXIT_CODE, worker.log_tail()
    await run(settings, "trainer", copies=2)
    disturbed, undisturbed = await said(settings), await said(calm)
    assert set(disturbed) == set(undisturbed)
    for key, records in disturbed.items():
        assert {*map(codec.encode, records)} == {*map(codec.encode, undisturbed[key])}, key


async def _ended(child: process.Child) -> bool:
    return child.exit_code() is not None

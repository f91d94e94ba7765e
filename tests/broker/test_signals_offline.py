"""What the live worker computed and what training computes of the same stored bars: the same bits."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest
from signals_scene import SYMBOLS, bars_of, outputs, stored_model, write_bars

from sofia_streams.core.bars.windows import SIZES_NS
from sofia_streams.core.features.sets import sets_of
from sofia_streams.core.scoring.labels import Rule
from sofia_streams.embedded import process
from sofia_streams.embedded.stack import Ports, Stack
from sofia_streams.ops.stack import addressed
from sofia_streams.ops.topics import apply_topics, delete_namespace
from sofia_streams.ops.workers import start_worker, wait_drained
from sofia_streams.scored import Features
from sofia_streams.settings import Settings, load_settings
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.training.activation import activate
from sofia_streams.training.dataset import build
from sofia_streams.training.sources.bars import windows
from sofia_streams.training.sources.stored import read_stored

pytestmark = pytest.mark.broker
RULE = Rule("forward", 5)
BARS = {"1m": 1_440, "1s": 600}
"""A day, and ten minutes."""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("offline") / "data"
    with Stack(data_dir, redis=False, preferred_ports=Ports(0, 0, 0, 0)) as stack:
        yield addressed(load_settings(None, {}), stack.addresses, data_dir)


@pytest.fixture(params=BARS)
async def settings(servers: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Settings]:
    own = {"namespace": f"off{request.param}", "topic_partitions": 2, "signals_bar_size": request.param}
    found = servers.model_copy(update=own)
    await apply_topics(found)
    yield found
    await delete_namespace(found)


async def live(settings: Settings, symbols: tuple[str, ...], *, revised: bool) -> None:
    """Bars through the signals worker and the writer, a model in force from the first."""
    size_ns = SIZES_NS[settings.signals_bar_size]
    await activate(settings, stored_model(settings, 1, size_ns), reason="test", from_ns=0)
    for symbol in symbols:
        made = bars_of(symbol, range(BARS[settings.signals_bar_size]), size_ns=size_ns)
        await write_bars(settings, (bar for bar in made if revised or bar.revision == 0))
    workers = [start_worker(name, settings, settings.data_dir) for name in ("signals", "timeseries_writer")]
    try:
        await wait_drained(settings, workers, stalled_after_s=120)
    finally:
        process.stop(workers, grace_s=10)


@pytest.mark.parametrize("revised", [False, True], ids=["bars as stored", "bars that were revised since"])
async def test_training_rows_equal_what_was_scored_live_bit_for_bit(settings, revised):
    """Of bars that nobody revised, from the bars themselves; else from the candles that the features came from."""
    await live(settings, SYMBOLS[: 2 if settings.signals_bar_size == "1m" else 4], revised=revised)
    size = settings.signals_bar_size
    sets = sets_of(SIZES_NS[size])
    store = QuestDb(settings.questdb_address(), settings.table_prefix())
    if not revised:
        store.query(f"TRUNCATE TABLE '{store.table(f'features_{size}')}'")
    seen = windows(read_stored(store, size, SIZES_NS[size], None), SIZES_NS[size], data="QuestDB")
    assert revised == any(one.written for one in seen)
    data = build([one._replace(written=()) for one in seen], sets, RULE)
    if revised:  # what training takes: as it was written, which is the same
        assert build(seen, sets, RULE).inputs.tolist() == data.inputs.tolist()
    wrote = await outputs(settings)
    scored = {(one.symbol, one.start_ns): one for one in wrote["predictions"]}
    known = {(one.symbol, one.start_ns): inputs(one, sets) for one in wrote["features"]}
    model = stored_model(settings, 1, SIZES_NS[size]).scorer()
    width, compared = len(model.document.inputs), 0
    for symbol, start_ns, row in zip(data.symbols, data.start_ns.tolist(), data.inputs.tolist(), strict=True):
        assert row == known[symbol, start_ns]
        prediction = scored[symbol, start_ns]
        assert (prediction.raw_score, prediction.calibrated_score) == model.score(row[:width])
        compared += 1
    abstained = Counter(one.abstention or "scored" for one in wrote["predictions"])
    print(f"{size}: {compared} vectors and predictions equal; live {dict(abstained)}; left out {dict(data.left_out)}")
    assert compared >= 1_000


def inputs(one: Features, sets: list) -> list[float | None]:
    return [one.sets[found.name].values[place] for found in sets for place in found.inputs]

"""What a replay says behind its bars: the same in one process and through the pipeline, by one worker and by three."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from random import Random

import msgspec
import pyarrow.parquet as pq
import pytest
from signals_scene import stored_model

from sofia_streams import codec, topics
from sofia_streams.capture import CapturedFrame, CaptureWriter, merged_frames
from sofia_streams.embedded.stack import Ports
from sofia_streams.logread import whole_topic
from sofia_streams.model import NS_PER_SECOND, Bar, ParsedTrade
from sofia_streams.ops.replay.in_process import replay_in_process
from sofia_streams.ops.replay.scored_book import Folded, ScoredBook
from sofia_streams.ops.replay.streaming import Hooks, read_scored, replay_streaming
from sofia_streams.ops.stack import running_stack
from sofia_streams.ops.workers import REPLAYED
from sofia_streams.scored import Signal, Silence
from sofia_streams.settings import Settings, load_settings
from sofia_streams.simulator.market import Market, Plan
from sofia_streams.training.registry import Stored
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.broker
START_NS, SECONDS = 1_760_000_040_000_000_000, 120
SYMBOLS = tuple(f"{base}/USDT" for base in ("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "LTC", "TRX"))


def silent(message: str) -> None:
    """Progress is not looked at here."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("scored") / "data"
    chosen = load_settings(None, {"SIGNALS_BAR_SIZE": "1s", "MODELS_DIR": str(data_dir / "models")})
    with running_stack(chosen, data_dir, say=silent, ports=Ports(0, 0, 0, 0)) as addressed:
        yield addressed


@pytest.fixture(scope="module")
def model(settings: Settings) -> Stored:
    return stored_model(settings, 1, NS_PER_SECOND)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four venues that trade the same pairs, in order."""
    path = tmp_path_factory.mktemp("market") / "market.jsonl.gz"
    events = Market(Plan(tuple(VENUES), SYMBOLS, 16.0, 7), START_NS).events()
    with CaptureWriter(path) as writer:
        for event in takewhile(lambda event: event.at_ns < START_NS + SECONDS * NS_PER_SECOND, events):
            if isinstance(event.said, ParsedTrade):
                frame = VENUES[event.venue].encode_trade(event.said)
                writer.write(CapturedFrame(event.at_ns, event.venue, "spot", event.venue, "in", frame))
    return path


@pytest.fixture(scope="module")
def late_market(market: Path) -> Path:
    """The same, one frame in twenty received up to four seconds late."""
    draw, path = Random(3), market.with_name("late.jsonl.gz")
    frames = [
        msgspec.structs.replace(one, received_ns=one.received_ns + int(draw.uniform(5e8, 4e9)))
        if draw.random() < 0.05
        else one
        for one in merged_frames([market])
    ]
    with CaptureWriter(path) as writer:
        for frame in sorted(frames, key=lambda one: one.received_ns):
            writer.write(frame)
    return path


def several(name: str, copies: int) -> list[str]:
    return [one for one in REPLAYED for _ in range(copies if one in (name, "ohlcv") else 1)]


@pytest.mark.parametrize("copies", [1, 3])
async def test_the_pipeline_scores_what_one_process_does(settings, model, market, copies, tmp_path):
    folded = replay_in_process([market], settings, model=model)
    own = settings.model_copy(update={"topic_partitions": 4 * copies})
    streamed = await replay_streaming(
        [market], own, own.data_dir, silent, out=tmp_path, readers=several("signals", copies), model=model
    )
    assert streamed["hashes"] == folded.summary()["hashes"]
    said = Counter(one.abstention for one in folded.scored.predictions())
    print("bars by abstention", said)
    assert said[None] > 300
    assert {one.model_id for one in folded.scored.predictions()} == {model.document.model_id}
    rows = pq.read_table(tmp_path / "predictions.parquet").to_pylist()
    assert [row["raw_score"] for row in rows] == [one.raw_score for one in folded.scored.predictions()]
    counts = {name: streamed["questdb_rows"][name] for name in ("features_1s", "predictions", "signals")}
    assert set(counts.values()) == {said.total()}
    entries = streamed["redis_entries"]
    for topic in ("predictions", "signals"):
        assert sum(count for name, count in entries.items() if name.startswith(f"{topic}:")) == said.total()


async def test_whatever_came_late_the_log_says_again_what_was_scored(settings, model, late_market):
    """Which trades a first revision has depends on how late ones were put into records; what follows does not: signals,
    and the silence behind them, stand in the order of the bars.
    """
    books: dict[str, ScoredBook] = {}
    signals: dict[str, dict[str, list[bytes]]] = {"said": defaultdict(list), "again": defaultdict(list)}

    def note(name: str, record: codec.InSignals) -> None:
        placeless = msgspec.structs.replace(record, place="") if isinstance(record, Signal) else record
        signals[name][record.symbol].append(codec.encode(placeless))

    async def fold_again(found: Settings) -> None:
        folded = Folded(found, model)
        async for value in whole_topic(found, topics.BARS):
            record = codec.decode_bars(value)
            if isinstance(record, Bar | Silence) and (behind := folded.take(record)) is not None:
                note("again", behind)
        async for value in whole_topic(found, topics.SIGNALS):
            note("said", codec.decode_signals(value))
        books.update(said=await read_scored(found), again=folded.book)

    own = settings.model_copy(update={"topic_partitions": 12})
    hooks = Hooks(inspect=fold_again)
    streamed = await replay_streaming(
        [late_market], own, own.data_dir, silent, hooks=hooks, readers=several("signals", 3), model=model
    )
    assert sum(found["late"] for found in streamed["instruments"].values()) > 100
    assert len(books["said"].predictions()) > 300
    assert books["said"].hashes() == books["again"].hashes()
    assert signals["said"] == signals["again"]
    assert all(isinstance(codec.decode_signals(said[-1]), Silence) for said in signals["said"].values())

"""The whole pipeline on real frames and real servers: sockets, Kafka, Faust workers, QuestDB, Redis.

Its bars equal the in-process fold, and its sinks hold each distinct trade once.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sofia_streams.embedded.stack import Ports
from sofia_streams.ops.replay import replay_in_process
from sofia_streams.ops.stack import running_stack
from sofia_streams.ops.stream_replay import replay_streaming
from sofia_streams.settings import Settings, load_settings

pytestmark = pytest.mark.broker
CAPTURES = Path(__file__).parent / "captures"
BUSY = CAPTURES / "binance-spot-btcusdt-20240808.jsonl.gz"
SEVERAL = sorted(set(CAPTURES.glob("*.jsonl.gz")) - {BUSY})


def silent(message: str) -> None:
    """Progress is not looked at here."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("integration") / "data"
    with running_stack(load_settings(None, {}), data_dir, say=silent, ports=Ports(0, 0, 0, 0)) as addressed:
        yield addressed


def check_same(streamed: dict, paths: list[Path]) -> None:
    """The streamed summary is that of the same trades, and every sink has each trade once."""
    folded = replay_in_process(paths).summary()
    assert streamed["hashes"] == folded["hashes"]
    assert streamed["instruments"] == folded["instruments"]
    assert streamed["trades"] == streamed["questdb_rows"]["trades"]
    entries = streamed["redis_entries"]
    assert streamed["trades"] == sum(count for name, count in entries.items() if name.startswith("trades:"))


async def test_recordings_of_three_venues_at_once_with_every_frame_twice(settings):
    paths = SEVERAL + SEVERAL
    streamed = await replay_streaming(paths, settings, settings.data_dir, silent)
    check_same(streamed, paths)
    assert streamed["hashes"] == replay_in_process(SEVERAL).summary()["hashes"]

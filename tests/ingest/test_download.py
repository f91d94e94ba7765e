"""`sofia download`: candles through ccxt over loopback into Parquet, exact; a run that ended goes on where it was."""

import itertools
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from rest_server import serving_rest

from sofia_streams.core.bars.windows import SIZES_NS
from sofia_streams.embedded.ports import HOST, pick_ports
from sofia_streams.errors import ConfigError, DependencyDown, UnknownSymbol
from sofia_streams.model import NS_PER_SECOND
from sofia_streams.ops.replay.candles import candles_of_venues, first_venue
from sofia_streams.ops.replay.download import Order, download, path_of, stamp_of
from sofia_streams.ops.replay.export import BARS
from sofia_streams.ops.simulate import checked_plan, generated
from sofia_streams.settings import load_settings
from sofia_streams.simulator.candle import MINUTE_MS
from sofia_streams.simulator.rest.replies import Reply
from sofia_streams.training.sources.reading import Generation, read
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
DAY_NS = 86_400 * NS_PER_SECOND
ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def venue_at(tmp_path):
    """The settings of a simulator, and its REST."""
    source = generated(checked_plan(",".join(VENUES), "BTC/USDT", 100.0))
    async with serving_rest(source.rest) as port:
        env = {"SIMULATOR_URL": f"ws://{HOST}:{port}", "DATA_DIR": str(tmp_path / "data")}
        yield load_settings(None, env), source.rest


def order(tmp_path, venue="okx", days=2, size="1m", symbol="BTC/USDT"):
    return Order(venue, "spot", symbol, size, days, tmp_path / "bars")


def days_of(wanted):
    today_ns = time.time_ns() // DAY_NS * DAY_NS
    return [path_of(wanted, today_ns - back * DAY_NS) for back in range(wanted.days, 0, -1)]


def quiet(done, total):
    assert 0 <= done <= total


def times(paths):
    return [path.stat().st_mtime_ns for path in paths]


@pytest.mark.parametrize("venue", VENUES)
async def test_each_day_is_a_file_with_every_candle_exact(tmp_path, venue):
    wanted, seen = order(tmp_path, venue), []
    async with venue_at(tmp_path) as (settings, rest):
        done = await download(settings, wanted, lambda *at: seen.append(at))
        said = rest._listed[venue][VENUES[venue].to_listing("BTC/USDT", "spot")][1]
        paths = days_of(wanted)
        first = pq.read_table(paths[0])
        assert first.schema.remove_metadata() == BARS
        rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
        expected = said.candles(MINUTE_MS, rows[0]["start_ns"] // 10**6, rows[-1]["start_ns"] // 10**6, 99_999)
    assert len(rows) == 2 * 1_440 == len(expected)
    starts = [row["start_ns"] for row in rows]
    assert starts == [*range(starts[0], starts[0] + 2 * DAY_NS, SIZES_NS["1m"])]
    assert starts[0] % DAY_NS == 0
    for row, one in itertools.islice(zip(rows, expected, strict=True), 1, None):
        assert [Decimal(row[name]) for name in ("open", "high", "low", "close", "volume")] == [*one[1:6]]
        assert row["venue"] == venue and row["symbol"] == "BTC/USDT" and row["quality"] == "backfilled"
    knows = {"binance": ("quote_volume", "buy_volume", "trade_count"), "coinbase": ()}.get(venue, ("quote_volume",))
    for name in ("quote_volume", "buy_volume", "trade_count"):
        assert (rows[5][name] is not None) == (name in knows)
    assert (done.kept, done.empty, done.missing) == (0, [], 0)
    assert done.files == len([*wanted.folder.iterdir()]) and done.rows >= 2 * 1_440
    assert seen == sorted(seen) and seen[-1][0] == seen[-1][1]


async def test_training_reads_the_files_and_knows_that_they_are_made_up(tmp_path):
    async with venue_at(tmp_path) as (settings, _):
        for venue in ("okx", "bybit"):
            await download(settings, order(tmp_path, venue, days=1), quiet)
        bars = read(str(tmp_path / "bars"), settings, "1m", None, Generation(0, 0, 0))
    assert bars.is_synthetic and len(bars.seen) >= 1_440
    assert {*bars.seen[7].candle.venues} == {"okx", "bybit"}
    path = days_of(order(tmp_path, days=1))[0]
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)
    assert not read(str(path), settings, "1m", None, Generation(0, 0, 0)).is_synthetic


async def test_candles_of_all_pairs_come_from_the_first_venue_that_has_them_and_once(tmp_path):
    async with venue_at(tmp_path) as (settings, _):
        two = settings.model_copy(update={"crypto_exchanges": ("coinbase", "okx"), "crypto_symbols": ("BTC/USDT",)})
        told = []
        folder = await candles_of_venues(two, "1m", 1, lambda *step: told.append(step))
        assert (folder.name, first_venue(two, "1s")) == ("coinbase-1m", "okx")
        assert told[-1][0] == "coinbase BTC/USDT 1m" and told[-1][1] == told[-1][2]
        whole = min(folder.iterdir())
        before = times([whole])
        assert await candles_of_venues(two, "1m", 1, lambda *step: None) == folder
        assert times([whole]) == before
        assert read(str(folder), two, "1m", None, Generation(500, 1, 0)).is_synthetic
        alone = two.model_copy(update={"crypto_exchanges": ("coinbase",)})
        with pytest.raises(ConfigError, match="has candles of 1s, found none among coinbase"):
            first_venue(alone, "1s")


async def test_seconds_come_in_pages_of_an_hour_where_a_venue_has_them(tmp_path):
    wanted, seen = order(tmp_path, "binance", days=1, size="1s"), []
    async with venue_at(tmp_path) as (settings, _):
        done = await download(settings, wanted, lambda *at: seen.append(at))
        with pytest.raises(ConfigError, match="bybit spot has candles of 1m"):
            await download(settings, order(tmp_path, "bybit", size="1s"), quiet)
    assert pq.read_table(days_of(wanted)[0]).num_rows == 86_400 and done.missing == 0
    assert len(seen) >= 25


async def test_a_second_run_fetches_only_what_is_not_there_whole(tmp_path):
    wanted = order(tmp_path, days=4)
    async with venue_at(tmp_path) as (settings, rest):
        await download(settings, wanted, quiet)
        paths = days_of(wanted)
        paths[0].unlink()
        paths[1].write_bytes(paths[1].read_bytes()[:-100])  # cut
        table = pq.read_table(paths[2])
        pq.write_table(table.slice(0, table.num_rows - 1), paths[2])  # readable, and lacks a row
        (wanted.folder / f".{paths[0].name}.4711.partial").write_bytes(b"of a run that was killed")
        before, asked = times(paths[3:]), rest.asked["okx"]
        done = await download(settings, wanted, quiet)
        assert done.kept == 1 and times(paths[3:]) == before
        assert all(stamp_of(path).rows == 1_440 for path in paths)
        assert not [*wanted.folder.glob(".*")]
        assert 3 * 5 <= rest.asked["okx"] - asked <= 4 * 5  # of 300 rows; a fourth day is today


async def test_a_changed_price_is_not_taken_for_whole(tmp_path):
    wanted = order(tmp_path, days=1)
    async with venue_at(tmp_path) as (settings, _):
        await download(settings, wanted, quiet)
        (path,) = days_of(wanted)
        table = pq.read_table(path)
        closes = table.column("close").to_pylist()
        changed = table.set_column(table.schema.get_field_index("close"), "close", [["1", *closes[1:]]])
        pq.write_table(changed, path)
        assert stamp_of(path) is None
        await download(settings, wanted, quiet)
        assert pq.read_table(path).column("close").to_pylist() == closes


JSON = {"Content-Type": "application/json"}
TROUBLES = {
    "busy": Reply(429, "{}", JSON | {"Retry-After": "60"}),
    "cut": Reply(200, '{"code":"0","data":[["17', JSON),
    "html": Reply(200, "<html>Sign in</html>", {"Content-Type": "text/html"}),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_venue_that_fails_half_way_leaves_whole_days_and_the_next_run_goes_on(tmp_path, trouble, monkeypatch):
    monkeypatch.setattr("sofia_streams.ingest.rest.client._AGAIN_S", 0.01)
    wanted = order(tmp_path, days=3)
    async with venue_at(tmp_path) as (settings, rest):
        answer, asked = rest.answer, itertools.count()
        rest.answer = lambda target: answer(target) if next(asked) < 7 else TROUBLES[trouble]
        with pytest.raises(DependencyDown, match="okx: expected candles of BTC-USDT"):
            await download(settings, wanted, quiet)
        paths = days_of(wanted)
        assert [path.exists() for path in paths] == [True, False, False]
        assert [*wanted.folder.iterdir()] == paths[:1]
    async with venue_at(tmp_path) as (settings, _):
        done = await download(settings, wanted, quiet)
        assert done.kept == 1 and all(stamp_of(path).rows == 1_440 for path in paths)


async def test_what_a_venue_leaves_out_is_said_and_asked_for_again(tmp_path):
    """A good answer without its rows is no proof that there are none."""
    wanted = order(tmp_path, "bybit", days=1)
    async with venue_at(tmp_path) as (settings, rest):
        rest.instead.append(Reply(200, '{"retCode":0,"result":{"list":[]}}', JSON))
        done = await download(settings, wanted, quiet)
        assert done.missing == 1_000 and done.files >= 1
        done = await download(settings, wanted, quiet)
        assert done.missing == 0 and done.kept == 0
        assert (await download(settings, wanted, quiet)).kept == 1


async def test_days_before_a_listing_are_named_and_have_no_file(tmp_path):
    wanted = order(tmp_path, "bybit", days=402)
    today_ns = time.time_ns() // DAY_NS * DAY_NS
    async with venue_at(tmp_path) as (settings, rest):
        answer = rest.answer

        def young(target):
            start_ms = int(target.partition("start=")[2].partition("&")[0])
            listed = start_ms * 10**6 >= today_ns - DAY_NS
            return answer(target) if listed else Reply(200, '{"retCode":0,"result":{"list":[]}}', JSON)

        rest.answer, wanted = young, wanted._replace(days=3)
        done = await download(settings, wanted, quiet)
        assert len(done.empty) == 2 and [path.exists() for path in days_of(wanted)] == [False, False, True]
        rest.answer = answer
        with pytest.raises(UnknownSymbol, match="near it are BTC/USDT"):
            await download(settings, wanted._replace(symbol="BTC/USDX"), quiet)


ENV = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
SOFIA = [sys.executable, "-m", "sofia_streams.cli"]


@pytest.fixture
def simulated(tmp_path):
    port = pick_ports([0])[0]
    command = [*SOFIA, "simulate", "--port", str(port), "--symbols", "BTC/USDT", "--rate", "10"]
    with subprocess.Popen(command, cwd=tmp_path, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        assert child.stderr.readline().startswith(b"sofia: ws://")
        yield f"ws://{HOST}:{port}"
        child.kill()


def test_the_command_goes_on_behind_a_kill(tmp_path, simulated):
    """SIGKILL in the midst; the second run keeps what was whole, says so in JSON, and nothing is left over."""
    command = [*SOFIA, "download", "--venue", "okx", "--symbol", "btc/usdt",
               "--days", "8", "--out", "bars", "--json"]  # fmt: skip
    env = ENV | {"HOME": str(tmp_path), "SIMULATOR_URL": simulated}
    wanted = order(tmp_path, days=8)
    first = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline_s = time.monotonic() + 60
    while len([*wanted.folder.glob("okx-*")]) < 3:
        assert time.monotonic() < deadline_s and first.poll() is None, first.communicate()
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    whole = [path for path in days_of(wanted) if path.exists()]
    assert 3 <= len(whole) < 8 and all(stamp_of(path) for path in whole)
    before = times(whole)
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = msgspec.json.decode(done.stdout)
    assert found["schema"] == 1 and found["is_synthetic"] and found["missing"] == 0 and found["empty"] == []
    assert (found["kept"], found["folder"]) == (len(whole), "bars")
    assert times(whole) == before
    assert all(stamp_of(path).rows == 1_440 and stamp_of(path).is_synthetic for path in days_of(wanted))
    assert not [*wanted.folder.glob(".*")]

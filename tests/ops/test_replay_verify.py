"""`sofia replay --verify`: equal for every order of venues and number of workers; a difference is found and named."""

import asyncio
import json
from collections import Counter
from itertools import takewhile
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams import codec, topics
from sofia_streams.capture import CapturedFrame, CaptureWriter
from sofia_streams.cli.__main__ import main
from sofia_streams.core.bars import candles
from sofia_streams.embedded import process
from sofia_streams.embedded.stack import Ports
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, NS_PER_SECOND, Gap, ParsedTrade, Punctuation, TradeBatch
from sofia_streams.ops.replay import in_process as folding
from sofia_streams.ops.replay import verify as replay_verify
from sofia_streams.ops.replay.in_process import records_of
from sofia_streams.ops.replay.streaming import Hooks
from sofia_streams.ops.replay.verify import (
    SEEDS,
    Comparison,
    folded,
    interleaved,
    streamed,
    verify_in_process,
    verify_streaming,
)
from sofia_streams.ops.stack import running_stack
from sofia_streams.ops.workers import Lag
from sofia_streams.settings import Settings, load_settings
from sofia_streams.simulator.market import Market, Plan
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
START_NS = 1_760_000_040_000_000_000
BASES = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "LTC", "TRX", "ATOM", "ETC", "ARB")
SYMBOLS = tuple(f"{base}/USDT" for base in BASES)
"""In eleven of twelve partitions, so that each of three workers has some."""
CAPTURES = Path(__file__).parents[1] / "captures"


def silent(message):
    """Progress is not looked at here."""


def market_capture(path, seconds=130, rate=4.0):
    """A market of four venues that trade the same pairs, as a recording."""
    market = Market(Plan(tuple(VENUES), SYMBOLS, rate, 7), START_NS)
    with CaptureWriter(path) as writer:
        for event in takewhile(lambda event: event.at_ns < START_NS + seconds * NS_PER_SECOND, market.events()):
            if isinstance(event.said, ParsedTrade):
                frame = VENUES[event.venue].encode_trade(event.said)
                writer.write(CapturedFrame(event.at_ns, event.venue, "spot", event.venue, "in", frame))
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return market_capture(tmp_path_factory.mktemp("market") / "market.jsonl.gz")


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A third of it, for what is true of any recording."""
    return market_capture(tmp_path_factory.mktemp("short") / "market.jsonl.gz", seconds=45)


def test_the_bars_of_several_venues_are_the_same_for_every_order_of_venues(recording):
    found = verify_in_process([recording], Settings(), silent)
    assert found["equal"]
    assert found["venues"] == sorted(VENUES)
    assert len(found["runs"]) == 1 + len(SEEDS)
    assert len({run["sha256"] for run in found["runs"]}) == 1
    assert len({run["trades"] for run in found["runs"]}) == 1
    assert found["span"] == "minute"
    assert len(found["hashes"]) == 3
    assert "2025-10-09T08:54:00Z" in found["hashes"]


@pytest.mark.parametrize("seed", SEEDS)
def test_an_order_of_venues_keeps_that_of_each_venue_and_every_record(recording, seed):
    kept = [one for one in records_of([recording], Settings()) if isinstance(one, TradeBatch | Punctuation | Gap)]
    feeds = {venue: iter([one for one in kept if one.venue == venue]) for venue in VENUES}
    mixed = list(interleaved(feeds, seed))
    assert mixed != kept
    for venue in VENUES:
        assert [one for one in mixed if one.venue == venue] == [one for one in kept if one.venue == venue]
    assert len(mixed) == len(kept)


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 300), min_size=1), st.integers(0, 2**32))
def test_any_seed_gives_one_order_that_loses_nothing(sizes, seed):
    def order():
        feeds = {name: zip([name] * size, range(size), strict=True) for name, size in sizes.items()}
        return list(interleaved(feeds, seed))

    mixed = order()
    assert mixed == order()
    assert Counter(name for name, _ in mixed) == Counter({name: size for name, size in sizes.items() if size})
    for name in sizes:
        assert [number for one, number in mixed if one == name] == list(range(sizes[name]))


def test_venues_run_minutes_ahead_of_one_another_in_the_drawn_orders(recording):
    """Else the orders would vary less than the wait of a consolidated bar."""
    far_ns = 0
    for seed in SEEDS[1:]:
        newest = {}
        for one in interleaved(replay_verify._by_venue([recording], Settings()), seed):
            newest[one.venue] = max(newest.get(one.venue, 0), one.received_ns)
            far_ns = max(far_ns, max(newest.values()) - min(newest.values()))
    assert far_ns > NS_PER_MINUTE


def test_a_recording_of_one_venue_says_that_there_is_nothing_to_vary():
    said = []
    found = verify_in_process([CAPTURES / "okx-spot-mixed6-20210722.jsonl.gz"], Settings(), said.append)
    assert found["equal"]
    assert len(found["runs"]) == 1
    assert "no order of venues to vary" in said[-1]


def the_last_to_come_gives_the_close(monkeypatch):
    """A mistake as it is easily made: a consolidated bar takes over the price that came last."""
    right = candles.apply
    last = {}

    def wrong(stored, record, **others):
        step = right(stored, record, **others)
        if isinstance(record, TradeBatch):
            last[record.symbol] = record.trades[-1].price
        bars = []
        for bar in step.bars:
            is_hurt = bar.venue == CONSOLIDATED and bar.trade_count
            bars.append(msgspec.structs.replace(bar, close=last[bar.symbol]) if is_hurt else bar)
        return step._replace(bars=bars)

    monkeypatch.setattr(folding.candles, "apply", wrong)


def test_a_bar_that_depends_on_who_was_faster_is_found_and_named(recording, monkeypatch):
    the_last_to_come_gives_the_close(monkeypatch)
    found = verify_in_process([recording], Settings(), silent)
    assert not found["equal"]
    differing = [run for run in found["runs"] if not run["equal"]]
    assert differing
    first = differing[0]["difference"]
    assert first["instrument"].startswith("all|spot|")
    assert first["fields"] == ["close"]
    assert first["size"] in ("1s", "1m")
    names = [found["runs"][0]["run"], differing[0]["run"]]
    assert first[names[0]]["close"] != first[names[1]]["close"]
    assert {k: v for k, v in first[names[0]].items() if k != "close"} == {
        k: v for k, v in first[names[1]].items() if k != "close"
    }


def test_one_lost_record_is_found_and_it_is_the_first_bar_that_differs(recording):
    whole = folded([recording], Settings())
    dropped = next(one for one in records_of([recording], Settings()) if isinstance(one, TradeBatch))
    replay = folding.Replay(Settings())
    replay.fold([one for one in records_of([recording], Settings()) if one != dropped])
    comparison = Comparison(whole)
    comparison.add(whole._replace(name="with one record less", book=replay.book))
    found = comparison.result()
    first = found["runs"][1]["difference"]
    at_ns = dropped.trades[0].exchange_ns
    assert first["start_ns"] == at_ns // NS_PER_MINUTE * NS_PER_MINUTE
    assert first["instrument"] in (f"all|spot|{dropped.symbol}", f"{dropped.venue}|spot|{dropped.symbol}")
    assert "trade_count" in first["fields"]
    assert not found["equal"]


def test_the_command_prints_what_it_found_and_ends_with_1_where_runs_differ(short, monkeypatch, capsys):
    monkeypatch.chdir(short.parent)
    with pytest.raises(SystemExit) as ended:
        main(["replay", str(short), "--verify", "--in-process", "--json"])
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["equal"]) == (1, True)
    the_last_to_come_gives_the_close(monkeypatch)
    with pytest.raises(SystemExit) as ended:
        main(["replay", str(short), "--verify", "--in-process", "--json"])
    assert ended.value.code == 1
    assert not json.loads(capsys.readouterr().out)["equal"]


@pytest.mark.parametrize("others", [["--out", "x"], ["--speed", "10"]])
def test_what_would_be_ignored_beside_verify_is_refused(short, others, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["replay", str(short), "--verify", *others])
    assert ended.value.code == 2
    assert "--verify" in capsys.readouterr().err


# == the whole pipeline


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("verify") / "data"
    own = load_settings(None, {"QUESTDB_HOST": "127.0.0.1", "QUESTDB_HTTP_PORT": "1", "REDIS_URL": "redis://127.0.0.1:1"})
    with running_stack(own, data_dir, say=silent, ports=Ports(0, 0, 0, 0), stores=False) as addressed:
        yield addressed


@pytest.mark.broker
async def test_one_and_three_workers_give_the_bars_of_every_order(recording, settings):
    found = await verify_streaming([recording], settings, settings.data_dir, silent)
    assert found["equal"], found
    one, three = found["runs"][-2:]
    assert [*one["applied"]] == ["ohlcv"]
    assert sorted(three["applied"]) == ["ohlcv", "ohlcv-2", "ohlcv-3"]
    assert min(three["applied"].values()) > 0, "each of the three must have had partitions with trades"
    assert one["trades"] == three["trades"] == found["runs"][0]["trades"]


class Meddler:
    """Does `act` once the ohlcv workers have committed some records."""

    def __init__(self, act):
        self._act, self.done = act, False

    def start(self, settings, children):
        return asyncio.create_task(asyncio.wait_for(self._run(settings, children), timeout=120))

    async def _run(self, settings, children):
        async with Lag(settings) as lag:
            while await lag.committed("ohlcv") < 100:  # noqa: ASYNC110  the broker has no event
                await asyncio.sleep(0.05)
        await self._act(settings, children)
        self.done = True


@pytest.mark.broker
async def test_one_of_three_workers_killed_on_the_way_leaves_its_partitions_to_the_others(short, settings):
    async def kill(own, children):
        place = next(place for place, child in enumerate(children) if child.name == "ohlcv-2")
        process.stop([children.pop(place)], grace_s=0)

    meddler = Meddler(kill)
    run = await streamed([short], settings, settings.data_dir, silent, 3, Hooks(meddler.start))
    assert meddler.done
    assert sorted(run.workers) == ["ohlcv", "ohlcv-3"]
    comparison = Comparison(folded([short], Settings()))
    comparison.add(run)
    assert comparison.result()["equal"], comparison.result()


@pytest.mark.broker
async def test_a_trade_that_only_one_run_has_is_named(short, settings):
    async def slip_in(own, children):
        batch = next(one for one in records_of([short], Settings()) if isinstance(one, TradeBatch))
        one = msgspec.structs.replace(batch.trades[0], trade_id="999999999999")
        async with AIOKafkaProducer(bootstrap_servers=own.broker_address()) as producer:
            value = codec.encode(msgspec.structs.replace(batch, trades=[one]))
            await producer.send_and_wait(topics.wire_name(topics.TRADES, own.namespace), value, batch.symbol.encode())

    meddler = Meddler(slip_in)
    run = await streamed([short], settings, settings.data_dir, silent, 1, Hooks(meddler.start))
    assert meddler.done
    comparison = Comparison(folded([short], Settings()))
    comparison.add(run)
    (_, row) = comparison.result()["runs"]
    assert not row["equal"]
    assert {"volume", "trade_count"} <= set(row["difference"]["fields"])

"""What goes wrong at a simulated venue itself: by chance, on demand, in its REST; the ledger that tells the truth."""

import asyncio
import json
import time
import urllib.error
import urllib.request
from itertools import pairwise
from pathlib import Path

import pytest
import websockets
from simulated import PATIENCE_S, read, serving, trades_of

from sofia_streams.embedded import process
from sofia_streams.embedded.ports import pick_ports
from sofia_streams.errors import ConfigError
from sofia_streams.ops.simulate import checked_plan, generated, recorded
from sofia_streams.ops.supervision.up import start_simulator
from sofia_streams.settings import Settings
from sofia_streams.simulator.faults import parse_faults
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
CAPTURE = Path(__file__).parents[1] / "captures" / "okx-spot-mixed6-20210722.jsonl.gz"
PLAN = checked_plan("binance,okx,coinbase,bybit", "BTC/USDT,ETH/USDT", 400.0, even=True)
OK_REQUESTS = VENUES["okx"].requests(["BTC-USDT", "ETH-USDT"], "spot")


def asked(port, path):
    """(status, body) of a GET."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def get(port, path):
    return await asyncio.to_thread(asked, port, path)


async def control(port, query):
    status, body = await get(port, f"/control?{query}")
    assert status == 200, body
    return json.loads(body)["done"]


async def stats(port):
    return json.loads((await get(port, "/stats"))[1])


def ids_of(frames, listing, venue="okx"):
    return [int(trade.trade_id) for frame in frames for name, trade in trades_of(venue, frame) if name == listing]


def holes(ids):
    """Lengths of the runs of ids that are missing."""
    return [after - before - 1 for before, after in pairwise(ids) if after - before > 1]


def lines_of(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


async def until(condition):
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110  another process moves
            await asyncio.sleep(0.05)


async def test_a_venue_loses_trades_in_a_row_for_all_its_clients_and_its_rest_has_them(tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    async with serving(generated(PLAN), parse_faults(["gap=0.02:7"]), ledger=ledger) as (port, _):
        one, other = await asyncio.gather(
            *[read(port, "okx/spot", OK_REQUESTS, enough=lambda found: len(found) > 1_000) for _ in range(2)]
        )
        fired = (await stats(port))["fired"]["gap"]
        first, last = max(ids_of(one, "BTC-USDT")[0], ids_of(other, "BTC-USDT")[0]), ids_of(one, "BTC-USDT")[-50]
        page = f"/okx/api/v5/market/history-trades?instId=BTC-USDT&after={last + 1}&limit=100"
        served = [int(row["tradeId"]) for row in json.loads((await get(port, page))[1])["data"]]
    seen = [[number for number in ids_of(found, "BTC-USDT") if first <= number <= last] for found in (one, other)]
    assert seen[0] == seen[1]
    lost = holes(seen[0])
    assert lost and all(length % 7 == 0 for length in lost)
    assert fired >= sum(lost)
    assert served == list(range(last, last - 100, -1))
    written = {int(line["trade_id"]) for line in lines_of(ledger) if line["listing"] == "BTC-USDT"}
    assert written >= set(range(first, last + 1))


async def test_exactly_as_many_trades_are_lost_as_was_asked_for():
    async with serving(generated(PLAN), control=True) as (port, _):
        reading = await reading_well(port, 1_500)
        assert "ETH-USDT" in await control(port, "do=drop&venue=okx&listing=ETH-USDT&trades=137")
        frames = await reading
        assert (await stats(port))["fired"] == {"gap": 137}
    assert holes(ids_of(frames, "ETH-USDT")) == [137]
    assert holes(ids_of(frames, "BTC-USDT")) == []


async def reading_well(port, frames):
    """A task that reads so many frames, and has many already."""
    under_way = asyncio.Event()

    def enough(found):
        if len(found) > 200:
            under_way.set()
        return len(found) > frames

    task = asyncio.create_task(read(port, "okx/spot", OK_REQUESTS, enough=enough))
    await asyncio.wait_for(under_way.wait(), PATIENCE_S)
    return task


async def served(port, clients):
    return (await stats(port))["clients"] >= clients


async def test_a_stalled_instrument_is_silent_while_others_go_on_and_then_loses_nothing():
    async with serving(generated(PLAN), control=True) as (port, _):
        reading = await reading_well(port, 1_500)
        await control(port, "do=stall&venue=okx&listing=ETH-USDT&seconds=1")
        status, body = await get(port, "/control?do=stall&venue=okx&seconds=1")
        assert (status, "already" in body) == (400, True)
        frames = await reading
        assert (await stats(port))["fired"]["stall"] > 50
    assert holes(ids_of(frames, "ETH-USDT")) == holes(ids_of(frames, "BTC-USDT")) == []
    assert ids_of(frames, "ETH-USDT") == sorted(ids_of(frames, "ETH-USDT"))
    places = [place for place, frame in enumerate(frames) if '"instId":"ETH-USDT"' in frame]
    assert max(after - before for before, after in pairwise(places)) > 100


async def test_a_stalled_venue_says_nothing_at_all_not_even_its_heartbeat():
    requests = VENUES["coinbase"].requests(["BTC-USDT"], "spot")
    async with serving(generated(PLAN), control=True) as (port, _):
        await control(port, "do=stall&venue=coinbase&seconds=3600")
        async with websockets.connect(f"ws://127.0.0.1:{port}/coinbase/spot") as socket:
            await socket.send(requests[0])
            assert '"subscriptions"' in await socket.recv()
            before = (await stats(port))["sent"].get("coinbase|spot|BTC-USDT", 0)

            async def printed_many():
                return (await stats(port))["sent"].get("coinbase|spot|BTC-USDT", 0) > before + 600

            await until(printed_many)  # over two seconds, by the market's clock
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.01)


async def test_all_clients_of_a_venue_are_cut_off_and_no_others():
    async with serving(generated(PLAN), control=True) as (port, _):
        ended = [asyncio.create_task(read(port, "okx/spot", OK_REQUESTS)) for _ in range(2)]
        requests = VENUES["bybit"].requests(["BTCUSDT"], "spot")
        other = asyncio.create_task(read(port, "bybit/spot", requests, enough=lambda found: len(found) > 2_000))
        await until(lambda: served(port, 3))
        assert (await control(port, "do=disconnect&venue=okx")).startswith("2 clients")
        await asyncio.gather(*ended)
        assert (await stats(port))["clients"] == 1
        assert len(await other) > 2_000


async def test_a_clock_can_be_set_while_the_market_runs():
    async with serving(generated(PLAN), control=True) as (port, _):
        await control(port, "do=skew&venue=okx&seconds=-500")
        # a trade that was being printed may still come with the time of before
        await read(port, "okx/spot", OK_REQUESTS, enough=lambda found: -520 < ahead_s("okx", found[-1]) < -490)
        other = VENUES["binance"].requests(["BTCUSDT"], "spot")
        await read(port, "binance/spot", other, enough=lambda found: abs(ahead_s("binance", found[-1])) < 10)


def ahead_s(venue, frame):
    """How far the first trade of a frame is ahead of now; without end where there is none."""
    trades = trades_of(venue, frame)
    return trades[0][1].exchange_ns / 1e9 - time.time() if trades else float("inf")


TRADES = "/binance/api/v3/trades?symbol=BTCUSDT&limit=5"


async def test_rest_is_in_trouble_for_so_many_requests_and_only_at_that_venue():
    async with serving(generated(PLAN), control=True) as (port, _):
        for kind, status in (("429", 429), ("418", 418), ("403", 403), ("500", 500), ("html", 200)):
            await control(port, f"do=rest&venue=binance&trouble={kind}&requests=2&retry_after=9")
            found = [await get(port, TRADES) for _ in range(3)]
            assert [one[0] for one in found] == [status, status, 200]
            assert found[0][1].startswith("<html>") == (kind == "html")
            assert (await get(port, "/bybit/v5/market/recent-trade?category=spot&symbol=BTCUSDT"))[0] == 200
        counts = await stats(port)
        assert counts["fired"] == {f"rest_{kind}": 2 for kind in ("429", "418", "403", "500", "html")}
        assert counts["asked"] == {"binance": 15, "okx": 0, "coinbase": 0, "bybit": 5}


async def test_a_body_is_cut_below_what_was_announced():
    async with serving(generated(PLAN), control=True) as (port, _):
        await until(lambda: printed(port))
        await control(port, "do=rest&venue=binance&trouble=cut&seconds=60")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {TRADES} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head, _, body = (await asyncio.wait_for(reader.read(), PATIENCE_S)).partition(b"\r\n\r\n")
        writer.close()
    announced = next(int(line.split()[1]) for line in head.splitlines() if line.lower().startswith(b"content-length"))
    assert 0 < len(body) < announced - 100
    with pytest.raises(ValueError, match="line 1"):
        json.loads(body)


async def printed(port):
    return (await stats(port))["sent"].get("binance|spot|BTCUSDT", 0) > 10


@pytest.mark.parametrize(
    "query",
    [
        "", "do=nothing", "do=drop", "do=drop&venue=kraken&listing=X&trades=1", "do=drop&venue=okx&listing=X&trades=1",
        "do=drop&venue=okx&listing=BTC-USDT&trades=0", "do=drop&venue=okx&listing=BTC-USDT&trades=%EF%BC%91",
        "do=drop&venue=okx&listing=BTC-USDT&trades=1&more=1", "do=stall&venue=okx&seconds=nan",
        "do=stall&venue=okx&seconds=1e9", "do=stall&venue=okx&seconds=0", "do=rest&venue=okx&trouble=429",
        "do=rest&venue=okx&trouble=302&requests=1", "do=rest&venue=okx&trouble=429&requests=1&seconds=1",
        "do=skew&venue=okx&seconds=inf", "do=disconnect",
    ],
)  # fmt: skip
async def test_a_request_that_cannot_be_done_is_refused_and_does_nothing(query):
    async with serving(generated(PLAN), control=True) as (port, _):
        status, body = await get(port, f"/control?{query}")
        assert status == 400 and "expected" in json.loads(body)["error"]
        assert (await stats(port))["fired"] == {}


async def test_faults_on_demand_are_off_unless_allowed():
    async with serving(generated(PLAN)) as (port, _):
        status, body = await get(port, "/control?do=disconnect&venue=okx")
        assert status == 404 and "--control" in body


@pytest.mark.parametrize("fault", ["gap=0.1:0", "gap=0.1:501", "gap=0.1:x", "gap=2", "gap=0.1:1.5", "drop=0.1:3"])
def test_a_gap_of_no_or_too_many_trades_is_refused(fault):
    with pytest.raises(ConfigError, match=r"gap=0\.\.1:TRADES"):
        parse_faults([fault])


async def test_the_ledger_has_every_trade_once_and_goes_on_after_a_restart(tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    for _ in range(2):
        async with serving(generated(PLAN), ledger=ledger) as (port, _):
            frames = await read(port, "okx/spot", OK_REQUESTS, enough=lambda found: len(found) > 300)
        found = {(name, trade.trade_id): trade for frame in frames for name, trade in trades_of("okx", frame)}
        lines = lines_of(ledger)
        by_id = {(line["listing"], line["trade_id"]): line for line in lines if line["venue"] == "okx"}
        for (name, trade_id), trade in found.items():
            assert by_id[name, trade_id] == {
                "venue": "okx", "market": "spot", "listing": name, "trade_id": trade_id,
                "exchange_ns": trade.exchange_ns, "price": f"{trade.price:f}", "quantity": f"{trade.quantity:f}",
                "side": trade.taker_side,
            }  # fmt: skip
    names = [(line["venue"], line["listing"], line["trade_id"]) for line in lines]
    assert len(names) == len(set(names))
    with pytest.raises(ConfigError, match="ledger: expected a generated"):
        async with serving(recorded([CAPTURE]), ledger=ledger):
            pass
    with pytest.raises(ConfigError, match="can be written"):
        async with serving(generated(PLAN), ledger=tmp_path / "none" / "ledger.jsonl"):
            pass


async def test_the_process_takes_faults_control_and_a_ledger(tmp_path):
    (port,) = pick_ports([0])
    settings = Settings(crypto_symbols=("BTC/USDT",), crypto_exchanges=("okx", "bybit"))
    ledger = tmp_path / "ledger.jsonl"
    (tmp_path / "log").mkdir()
    (tmp_path / "run").mkdir()
    child = start_simulator(
        settings, tmp_path, port, rate=200.0, even=True, seed=3, faults=["gap=0.05:3"], control=True, ledger=ledger
    )
    try:
        await until(lambda: answers(port))
        assert "okx" in await control(port, "do=drop&venue=okx&listing=BTC-USDT&trades=5")

        async def written():
            return ledger.exists() and len(lines_of(ledger)) > 100 and (await stats(port))["fired"]["gap"] > 5

        await until(written)
    finally:
        process.stop([child], grace_s=5.0)
    assert {line["venue"] for line in lines_of(ledger)} == {"okx", "bybit"}


async def answers(port):
    try:
        return (await get(port, "/stats"))[0] == 200
    except OSError:
        return False

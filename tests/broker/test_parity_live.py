"""`sofia parity` and `sofia explain` on what a worker wrote: equal; what was altered in the log is named with its
cause; orders are walked back to the trades that make up their bars; what retention has dropped is said.
"""

import asyncio
import json
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from paper_scene import BUSY, busy_model, write_market

from sofia_streams import codec, topics
from sofia_streams.errors import ConfigError
from sofia_streams.logread import places, reader, records_between, whole_topic
from sofia_streams.logwrite import Written, write_records
from sofia_streams.model import TradeBatch
from sofia_streams.ops.paper.explain import explain
from sofia_streams.ops.paper.explain_text import lines
from sofia_streams.ops.paper.parity import Asked, day, parity
from sofia_streams.ops.replay.streaming import Hooks, replay_streaming
from sofia_streams.paper import Fill, Order
from sofia_streams.settings import Settings, load_settings, worker_environment
from sofia_streams.topics import place_of
from sofia_streams.training.registry import Stored

pytestmark = pytest.mark.broker
SECONDS = 100
LAST = Asked(0, is_last=True)
ROOT = Path(__file__).resolve().parents[2]


def silent(*_: object) -> None:
    """Progress is not looked at here."""


async def sofia(settings: Settings, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the JSON of a command on the log of these settings."""
    env = worker_environment(settings) | {"PYTHONPATH": str(ROOT)}
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "sofia_streams.cli", *arguments, "--json"], env=env,
        cwd=settings.data_dir, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else {}


async def test_a_live_run_is_computed_again_and_its_orders_are_explained(kafka: Settings, tmp_path: Path) -> None:
    env = worker_environment(kafka) | BUSY | {"MODELS_DIR": str(tmp_path / "models")}
    settings = load_settings(None, env)
    market, model = write_market(tmp_path / "market.jsonl.gz", SECONDS), busy_model(settings)

    async def look(found: Settings) -> None:
        await check_equal(found)
        order = await check_entries(found, model)
        await check_exits(found)
        await check_altered(found)
        await check_dropped(found, order)

    hooks = Hooks(inspect=look)
    await replay_streaming(
        [market], settings, kafka.data_dir, silent, readers=("ohlcv", "signals"), model=model, hooks=hooks
    )


async def check_equal(found: Settings) -> None:
    """All that was said is said again, from the first snapshot on, with the same result."""
    code, said = await sofia(found, "parity", "--last")
    assert (code, said["equal"], said["notes"], said["changed"]) == (0, True, [], [])
    assert said["compared"]["from_ns"] == 0
    assert said["counts"]["log"] == said["counts"]["computed"]
    assert said["counts"]["log"]["orders"] > 50
    assert said["counts"]["log"]["fills"] > 30
    assert said["pnl"]["log"] == said["pnl"]["computed"]
    fills = await fills_of(found)
    assert Decimal(said["pnl"]["log"]["fees_quote"]) == sum(one.fee_quote for one in fills)
    changed = found.model_copy(update={"paper_stop_loss_bps": Decimal(9)})
    said = await parity(changed, LAST._replace(is_by_now=True), silent)
    was = BUSY["PAPER_STOP_LOSS_BPS"]
    assert (said["equal"], said["changed"]) == (False, [f"strategy.stop_loss_bps: {was}, now 9"])
    assert "strategy.stop_loss_bps" in said["first_cause"]["because"][0]
    said = await parity(found, day(None, time.time_ns()), silent)  # yesterday: the recording is older
    assert (said["whole"], said["differences"]) == (False, [])
    assert "no further" in said["notes"][0]


async def check_entries(found: Settings, model: Stored) -> Order:
    """Orders by signal: everything back to the trades, whose quantities make up the bar's volume."""
    orders = await orders_of(found)
    entries = [one for one in orders if one.purpose == "entry" and one.filled_quantity]
    trades = await trades_at(found)
    for order in entries[:2]:
        said = await explain(found, order.order_id)
        assert ["card.json" in text for text in said["missing"]] == [True]  # a model without one, made for tests
        cause = said["cause"]
        assert cause["signal"]["record"]["action"] == order.side
        assert cause["prediction"]["record"]["model_id"] == order.model_id == model.document.model_id
        assert cause["model"]["sha256"] == cause["model"]["sha256_now"] == model.sha256
        assert cause["bar"]["record"]["start_ns"] == order.signal_start_ns
        assert "r_1m" in cause["features"]["values"]["base"]
        behind = cause["trades"]["trades"]
        assert sum(Decimal(one["quantity"]) for one in behind) == Decimal(cause["bar"]["record"]["volume"]) > 0
        for one in behind:
            assert trades[one["place"], one["trade_id"]] == (one["venue"], order.symbol, Decimal(one["quantity"]))
        assert sum(Decimal(one["fill"]["quantity"]) for one in said["fills"]) == order.filled_quantity
        for one in said["fills"]:
            assert one["evidence"]["record"]["venue"] == order.venue
            assert not one["evidence"]["missing"]
        text = "\n".join(lines(said))
        assert order.signal_place in text
        assert behind[0]["trade_id"] in text
    return entries[0]


async def check_exits(found: Settings) -> None:
    """An exit by price is walked back to the fill that opened what it closes, and through that to a signal."""
    orders = await orders_of(found)
    order = next(one for one in orders if one.purpose == "stop_loss" and one.filled_quantity)
    said = await explain(found, order.order_id)
    assert said["cause"]["kind"] == "fill"
    assert said["cause"]["fill"]["at_ns"] == order.created_ns
    behind = said["cause"]["behind"]
    assert behind["order"]["order_id"] == said["cause"]["fill"]["order_id"]
    assert behind["cause"]["kind"] == "signal"
    rejected = next(one for one in orders if one.status == "rejected")
    code, said = await sofia(found, "explain", rejected.order_id)
    assert (code, said["fills"]) == (0, [])
    assert next(iter(said["reason"])) == rejected.reason.partition(":")[0]
    with pytest.raises(ConfigError, match="retention drops old ones"):
        await explain(found, "0" * 24)


async def check_altered(found: Settings) -> None:
    """A fill that is written again with another price."""
    fill = (await fills_of(found))[5]
    altered = msgspec.structs.replace(fill, price=fill.price + 1)
    await write_records(found, [Written(topics.FILLS, fill.symbol, altered, fill.at_ns)])
    code, said = await sofia(found, "parity", "--last")
    assert (code, len(said["differences"])) == (1, 1)
    one = said["differences"][0]
    assert (one["table"], one["id"], one["what"]) == ("fills", fill.fill_id, "different")
    assert one["fields"] == [{"field": "price", "log": str(altered.price), "computed": str(fill.price)}]
    assert one["follows_from"] == f"{fill.evidence} at {fill.place}"
    first = said["first_cause"]
    assert "2 ways" in first["because"][0]
    assert first["evidence"]["place"] == fill.place
    assert first["evidence"]["record"]["venue"] == fill.venue


async def check_dropped(found: Settings, order: Order) -> None:
    """Retention has dropped trades and quotes: said by both, and nothing is guessed."""
    admin = AIOKafkaAdminClient(bootstrap_servers=found.broker_address())
    await admin.start()
    try:
        dropped = [*places(found, topics.TRADES), *places(found, topics.TICKERS)]
        await admin.delete_records({place: RecordsToDelete(-1) for place in dropped})
    finally:
        await admin.close()
    code, said = await sofia(found, "parity", "--last")
    assert (code, said["whole"]) == (5, False)
    assert "retention has dropped" in said["notes"][0]
    walked = await explain(found, order.order_id)
    assert walked["cause"]["trades"]["trades"] == []
    assert any("trades of the bar" in text for text in walked["missing"])
    assert "retention has dropped" in walked["fills"][0]["evidence"]["missing"]
    assert "retention has dropped" in "\n".join(lines(walked))


async def orders_of(settings: Settings) -> list[Order]:
    """The last revision of each."""
    found = [codec.decode_orders(value) async for value in whole_topic(settings, topics.ORDERS)]
    return [*{one.order_id: one for one in sorted(found, key=lambda one: (one.created_ns, one.revision))}.values()]


async def fills_of(settings: Settings) -> list[Fill]:
    """By time."""
    found = [codec.decode_fills(value) async for value in whole_topic(settings, topics.FILLS)]
    return sorted(found, key=lambda one: (one.at_ns, one.fill_id))


async def trades_at(settings: Settings) -> dict[tuple[str, str], tuple[str, str, Decimal]]:
    """Venue, symbol and quantity of every trade of the log, by its place and id."""
    found = {}
    async with reader(settings) as consumer:
        chosen = places(settings, topics.TRADES)
        first, ends = await consumer.beginning_offsets(chosen), await consumer.end_offsets(chosen)
        async for message in records_between(consumer, first, ends):
            record = codec.decode_trades(message.value)
            for one in record.trades if isinstance(record, TradeBatch) else []:
                found[place_of(message), one.trade_id] = record.venue, record.symbol, one.quantity
    return found

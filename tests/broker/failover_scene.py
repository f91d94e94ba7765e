"""Shared by the tests of the fallback store: one namespace on servers that are killed, its log, its writer."""

import asyncio
import signal
import time
from decimal import Decimal
from functools import partial

import waiting
from aiokafka import AIOKafkaProducer
from paper_records import account, fill, order

from sofia_streams import codec, topics
from sofia_streams.embedded import process
from sofia_streams.embedded.stack import Stack
from sofia_streams.errors import DependencyDown
from sofia_streams.logread import whole_topic
from sofia_streams.model import NS_PER_SECOND, Bar, Gap, Outage, Ticker, Trade, TradeBatch
from sofia_streams.ops.workers import Lag, start_worker
from sofia_streams.settings import Settings
from sofia_streams.stores.postgres import Postgres
from sofia_streams.stores.questdb import QuestDb

WRITER = "timeseries_writer"
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
BEGAN_NS = 1_754_000_000 * NS_PER_SECOND
eventually = partial(waiting.eventually, within_s=120.0)


class Scene:
    """One namespace on the servers, what was put into its log, and the writer that runs."""

    def __init__(self, stack: Stack, settings: Settings) -> None:
        self.stack, self.settings = stack, settings
        self.questdb = QuestDb(settings.questdb_address(), settings.table_prefix())
        self.fallback = Postgres(settings.fallback_url() or "", settings.table_prefix())
        self.writer: process.Child | None = None
        self.ids: set[str] = set()
        self.revisions: set[int] = set()

    def start(self, crash_at: str = "") -> process.Child:
        self.writer = start_worker(WRITER, self.settings, self.settings.data_dir, crash_at=crash_at)
        return self.writer

    def kill(self, name: str) -> None:
        kill(self.stack.children()[name])

    async def produce(self, count: int, revision: int = 0) -> None:
        """Trades with new ids; a bar, a ticker, a gap and an order in their `revision`; what is done of the order; and
        bytes that nobody can read.
        """
        self.revisions.add(revision)
        first = len(self.ids)
        numbers = range(first, first + count)
        self.ids |= {str(number) for number in numbers}
        records: list[tuple[topics.Topic, str, object]] = [
            (topics.TRADES, SYMBOLS[number % 3], trades(number)) for number in numbers
        ]
        for symbol in SYMBOLS:
            records += [(topics.BARS, symbol, bar(symbol, revision)), (topics.GAPS, symbol, gap(symbol, revision))]
            records += [(topics.TICKERS, symbol, ticker(symbol, first)), (topics.TRADES, symbol, "not a trade")]
            records += [(topics.ORDERS, symbol, order(symbol, revision, str(revision)))]
            records += [(topics.FILLS, symbol, fill(symbol, revision))]
        records += [(topics.ACCOUNT, "paper", account(revision))]
        async with AIOKafkaProducer(bootstrap_servers=self.settings.broker_address()) as producer:
            sent = [
                await producer.send(
                    topics.wire_name(topic, self.settings.namespace), codec.encode(record), key=symbol.encode()
                )
                for topic, symbol, record in records
            ]
            await asyncio.gather(*sent)

    def fill_ids(self) -> list[str]:
        return [fill(symbol, revision).fill_id for symbol in SYMBOLS for revision in self.revisions]

    async def outages(self) -> list[Outage]:
        found = {}
        async for value in whole_topic(self.settings, topics.OUTAGES):
            outage = codec.decode_outage(value)
            found[outage.outage_id] = outage
        return list(found.values())

    async def has_state(self, state: str) -> bool:
        return state in [outage.state for outage in await self.outages()]

    async def is_drained(self) -> bool:
        async with Lag(self.settings) as lag:
            return await lag.of(WRITER) == 0

    async def is_whole(self, revision: int) -> bool:
        """Whether QuestDB has every trade, the newest bars, gaps and orders, all fills, and every outage is over."""
        name = self.questdb.table
        try:
            ids = self.questdb.query(f"SELECT trade_id FROM '{name('trades')}'")
            bars = self.questdb.query(f"SELECT revision, close::varchar FROM '{name('bars_1s')}'")
            gaps = self.questdb.query(f"SELECT state, filled FROM '{name('gaps')}'")
            orders = self.questdb.query(f"SELECT revision, fees_quote::varchar FROM '{name('orders')}'")
            fills = self.questdb.query(f"SELECT fill_id FROM '{name('fills')}'")
            said = self.questdb.query(f"SELECT serial FROM '{name('account')}' ORDER BY serial")
        except (DependencyDown, ValueError):
            return False  # it is not there yet, or its tables are not
        return (
            sorted(row[0] for row in ids) == sorted(self.ids)
            and [(row[0], Decimal(row[1])) for row in bars] == [(revision, Decimal(revision))] * 3
            and gaps == [["open", revision]] * 3
            and [(row[0], Decimal(row[1])) for row in orders] == [(revision, Decimal(revision))] * 3
            and sorted(row[0] for row in fills) == sorted(self.fill_ids())
            and [row[0] for row in said] == sorted(self.revisions)
            and all(outage.state == "closed" for outage in await self.outages())
            and await self.is_drained()
        )

    def fallback_ids(self) -> set[str]:
        try:
            return {row[0] for row in self.fallback.query(f"SELECT trade_id FROM {self.fallback.table('trades')}")}
        except (DependencyDown, ValueError):
            return set()


def kill(child: process.Child) -> None:
    child.signal(signal.SIGKILL)
    while child.exit_code() is None:
        time.sleep(0.01)


def trades(number: int) -> TradeBatch:
    at_ns = BEGAN_NS + number * 1_000_000
    price = Decimal("1.50") + number
    return TradeBatch("okx", "spot", SYMBOLS[number % 3], at_ns, "a", [
        Trade(str(number), price, Decimal("0.1"), "buy", at_ns, number)
    ])  # fmt: skip


def bar(symbol: str, revision: int) -> Bar:
    one = Decimal(revision)
    return Bar("okx", "spot", symbol, NS_PER_SECOND, BEGAN_NS, one, one, one, one, one, one, one, 1, one, "1", "1",
               revision)  # fmt: skip


def gap(symbol: str, revision: int) -> Gap:
    return Gap("okx", "spot", symbol, BEGAN_NS + revision, "a", "1-2", "ids", "open", BEGAN_NS, filled=revision)


def ticker(symbol: str, number: int) -> Ticker:
    return Ticker("okx", "spot", symbol, BEGAN_NS + number, last=Decimal("1.5"))


async def answers(scene: Scene) -> bool:
    try:
        scene.questdb.query("SELECT 1")
        scene.fallback.query("SELECT 1")
    except DependencyDown:
        return False
    return True


async def ended(child: process.Child) -> bool:
    return child.exit_code() is not None


async def fails_over(scene: Scene) -> None:
    """Some rows in QuestDB, then it is killed, and more rows are acknowledged since the fallback has them."""
    await scene.produce(60, revision=1)
    await eventually(lambda: scene.is_whole(1))
    scene.kill("questdb")
    await scene.produce(60, revision=2)
    await eventually(scene.is_drained)
    assert {str(number) for number in range(60, 120)} <= scene.fallback_ids()
    assert await scene.has_state("open")

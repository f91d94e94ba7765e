"""The paper account live, without a recording: commands from before it began, and while it was away."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from decimal import Decimal

import pytest

from sofia_streams import topics
from sofia_streams.embedded import process
from sofia_streams.embedded.ports import pick_ports
from sofia_streams.embedded.stack import Ports
from sofia_streams.logwrite import Written, write_records
from sofia_streams.model import NS_PER_SECOND, Ticker, Trade, TradeBatch
from sofia_streams.ops.paper.parity import Asked, parity
from sofia_streams.ops.paper.switch import switch
from sofia_streams.ops.stack import running_stack
from sofia_streams.ops.topics import apply_topics
from sofia_streams.ops.workers import Lag, start_worker
from sofia_streams.settings import Settings, load_settings

pytestmark = pytest.mark.broker
WORKER, SYMBOL = "paper_oms", "BTC/USDT"
ONE = {"CRYPTO_EXCHANGES": "binance", "CRYPTO_SYMBOLS": SYMBOL}
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("paper-live") / "data"
    with running_stack(load_settings(None, ONE), data_dir, say=print, ports=Ports(0, 0, 0, 0)) as addressed:
        asyncio.run(apply_topics(addressed))
        yield addressed


class Market:
    """Writes a quote and a print of now, and looks at the account's page, until it is as it should be."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.children = settings, list[process.Child]()
        self.ports = pick_ports([0, 0])

    def start(self, copy: int = 0, **others: object) -> process.Child:
        own = self.settings.model_copy(update={"web_port": self.ports[copy], **others})
        child = start_worker(WORKER, own, self.settings.data_dir, copy=copy + 1)
        self.children.append(child)
        return child

    async def until(self, state: str, copy: int = 0) -> dict:
        """The page of the account once its state is this one."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await self._speak()
                page = await asyncio.to_thread(self.page, copy)
                if page and page.get("account") and page["account"]["state"] == state:
                    return page
                await asyncio.sleep(0.2)

    async def until_acknowledged(self) -> None:
        """The worker has committed all that was said by now."""
        async with Lag(self.settings) as lag, asyncio.timeout(PATIENCE_S):
            said = sum(end for _, end in (await lag.positions(WORKER)).values())
            while await lag.committed(WORKER) < said:
                await self._speak()
                await asyncio.sleep(0.2)

    async def _speak(self) -> None:
        now_ns = time.time_ns()
        trade = Trade(f"{now_ns}", Decimal(100), Decimal(1), "buy", now_ns, 1)
        quote = Ticker("binance", "spot", SYMBOL, now_ns, bid=Decimal(100), ask=Decimal("100.1"))
        batch = TradeBatch("binance", "spot", SYMBOL, now_ns, "L0", [trade])
        await write_records(
            self.settings,
            [Written(topics.TICKERS, SYMBOL, quote, now_ns), Written(topics.TRADES, SYMBOL, batch, now_ns)],
        )

    def page(self, copy: int) -> dict | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[copy]}/tables/account/", timeout=2) as found:
                return json.load(found)
        except OSError:
            return None


async def test_commands_count_from_before_the_account_began_and_after_kills(settings):
    market, begin_ns = Market(settings), time.time_ns()
    await switch(settings, "halt", reason="before it began")
    try:
        child = market.start()
        page = await market.until("HALTED")
        assert page["account"]["reason"].endswith("before it began")
        assert page["account"]["at_ns"] > time.time_ns() - 600 * NS_PER_SECOND
        await switch(settings, "resume", reason="go")
        await market.until("ACTIVE")
        await switch(settings, "halt", reason="again")
        await market.until("HALTED")
        process.stop([child], grace_s=0)
        market.start(paper_stop_loss_bps=Decimal(9))
        await switch(settings, "resume", reason="while it was away")
        await market.until("ACTIVE")
        await market.until_acknowledged()
    finally:
        process.stop(market.children, grace_s=5)
    said = await parity(settings, Asked(begin_ns), lambda *_: None)
    assert (said["differences"], said["notes"]) == ([], [])
    assert said["counts"]["log"]["account"] >= 4
    assert [line.partition(" ns: ")[2] for line in said["changed"]][:1] == ["strategy.stop_loss_bps: 0, now 9"]

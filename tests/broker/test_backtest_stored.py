"""A backtest of the trades and quotes that a real QuestDB has: the orders and fills of their recording."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from stored_records import ANY_PORTS
from waiting import blocking_eventually as eventually

from sofia_streams.core.scoring.labels import Rule
from sofia_streams.embedded.stack import Stack
from sofia_streams.errors import ConfigError
from sofia_streams.model import NS_PER_HOUR, NS_PER_SECOND, Ticker, TradeBatch
from sofia_streams.ops.backtest.stored import STORED, source_of
from sofia_streams.ops.backtest.tape import tape_of
from sofia_streams.ops.backtest.ticks import backtest_trades
from sofia_streams.ops.replay.in_process import records_of, replay_in_process
from sofia_streams.settings import Settings
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.training.fitting.run import Order, run
from sofia_streams.training.registry import Registry
from sofia_streams.training.sources.generated import generate

pytestmark = pytest.mark.broker
CAPTURE = Path(__file__).parents[1] / "captures" / "binance-spot-btcusdt-20240808.jsonl.gz"
ORDER = Order(["base"], NS_PER_SECOND, Rule("forward", 5), ["logistic"], 50_000 * NS_PER_HOUR, 0, 0.0, 0.5)


@pytest.fixture
def questdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuestDb]:
    data_dir = tmp_path_factory.mktemp("backtest") / "data"
    with Stack(data_dir, kafka=False, redis=False, preferred_ports=ANY_PORTS) as running:
        own = QuestDb(running.addresses.questdb_http, "backtest_")
        yield own
        own.close()


def test_stored_trades_and_quotes_are_traded_as_their_recording(questdb: QuestDb, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found none"):
        tape_of(source_of(STORED, questdb), None, None)
    until_ns = 1_700_000_000 * NS_PER_SECOND  # before the recording
    bars = generate({"BTC/USDT": 60_000.0}, size_ns=NS_PER_SECOND, bars=2_500, until_ns=until_ns, seed=3)
    stored, _ = run(bars, ORDER, Registry(tmp_path / "models"), lambda *_: None)
    settings = Settings(
        data_dir=tmp_path, ai_min_signal_confidence=Decimal("0.5"), signals_bar_size="1s", paper_losses_max=1_000
    )
    records = [one for one in records_of([CAPTURE], settings) if isinstance(one, TradeBatch | Ticker)]
    questdb.create_tables({})
    rows = questdb.write(records)
    eventually(lambda: questdb.count("trades") + questdb.count("tickers") == rows)
    tape = tape_of(source_of(STORED, questdb), None, None)
    assert tape.names() == ("binance|spot|BTC/USDT|tickers",)
    found = backtest_trades(tape, settings, stored.document.model_id, "1s", lambda *_: None)
    book = replay_in_process([CAPTURE], settings, model=stored).paper.book  # type: ignore[union-attr]
    assert len(book.fills()) >= 10
    assert found.hashes == book.hashes()
    middle_ns = (tape.from_ns + tape.until_ns) // 2
    half = tape_of(source_of(STORED, questdb), middle_ns, None)
    times = [one.trades[0].exchange_ns for one in half.records() if isinstance(one, TradeBatch)]
    assert times == sorted(times) and times[0] >= middle_ns
    assert len(times) == questdb.query(
        f"SELECT count() FROM backtest_trades WHERE exchange_ns >= cast({middle_ns} as timestamp_ns)"
    )[0][0]

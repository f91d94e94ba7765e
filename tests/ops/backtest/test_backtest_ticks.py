"""Recordings as a backtest: what the replay's paper account did, judged; recordings that are too short are refused."""

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tested_bars import quiet

from sofia_streams.capture import CaptureWriter, read_capture
from sofia_streams.core.scoring.labels import Rule
from sofia_streams.errors import ConfigError
from sofia_streams.model import NS_PER_HOUR, NS_PER_SECOND
from sofia_streams.ops.backtest.stored import source_of
from sofia_streams.ops.backtest.tape import tape_of
from sofia_streams.ops.backtest.ticks import backtest_captures, backtest_trades
from sofia_streams.ops.replay.export import write_trades
from sofia_streams.ops.replay.in_process import replay_in_process
from sofia_streams.settings import Settings
from sofia_streams.training.fitting.run import Order, run
from sofia_streams.training.registry import Registry
from sofia_streams.training.sources.generated import generate

pytestmark = pytest.mark.slow
CAPTURES = Path(__file__).parents[2] / "captures"
UNTIL_NS = 1_700_000_000 * NS_PER_SECOND
"""Before the recording, of 2024-08."""
ORDER = Order(["base"], NS_PER_SECOND, Rule("forward", 5), ["logistic"], 50_000 * NS_PER_HOUR, 0, 0.0, 0.5)


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """(settings, the model)."""
    folder = tmp_path_factory.mktemp("data")
    bars = generate({"BTC/USDT": 60_000.0}, size_ns=NS_PER_SECOND, bars=2_500, until_ns=UNTIL_NS, seed=3)
    stored, _ = run(bars, ORDER, Registry(folder / "models"), quiet)
    values = {"ai_min_signal_confidence": Decimal("0.5"), "signals_bar_size": "1s", "paper_losses_max": 1_000}
    return Settings(data_dir=folder, **values), stored


def test_a_recording_is_traded_as_its_replay_does(ground):
    settings, stored = ground
    capture = CAPTURES / "binance-spot-btcusdt-20240808.jsonl.gz"
    found = backtest_captures([capture], settings, stored.document.model_id, "1s")
    replayed = replay_in_process([capture], settings, model=stored).paper.book
    told = found.report.statistics
    assert told.costs.fills == len(replayed.fills()) >= 10
    assert told.orders.count == len(replayed.orders())
    assert told.end_quote == float(replayed.accounts()[-1].equity_quote)
    assert found.outcomes[stored.document.model_id] > 200 and found.bars == sum(found.outcomes.values())
    (chart,) = found.report.charts
    assert chart.symbol == "BTC/USDT" and len(chart.points) > 200
    assert found.report.is_synthetic
    assert not [one for one in found.report.warnings if "LOOKS AHEAD" in one]


def without_quotes(capture, folder):
    """The recording with its trades alone."""
    with CaptureWriter(folder / capture.name) as writer:
        for frame in read_capture(capture):
            if b"@bookTicker" not in frame.data():
                writer.write(frame)
    return folder / capture.name


def test_stored_trades_are_traded_as_the_recording_that_they_came_from(ground, tmp_path):
    """Rows of a file, made records again: another way to the same orders, fills and account."""
    settings, stored = ground
    capture = without_quotes(CAPTURES / "binance-spot-btcusdt-20240808.jsonl.gz", tmp_path)
    replay = replay_in_process([capture], settings, model=stored, keep_trades=True)
    write_trades(tmp_path / "trades.parquet", replay.trades.batches())
    told = []
    tape = tape_of(source_of(str(tmp_path), None), None, None)
    found = backtest_trades(tape, settings, stored.document.model_id, "1s", lambda *progress: told.append(progress))
    book = replay.paper.book
    assert found.report.statistics.costs.fills == len(book.fills()) >= 10
    assert found.hashes == book.hashes()
    assert told


ROW = {
    "venue": "binance", "market": "spot", "symbol": "BTC/USDT", "id_kind": "trade", "trade_id": "7",
    "exchange_ns": 10**18, "received_ns": 10**18, "price": "1.5", "quantity": "2", "is_snapshot": False,
    "is_stale": False, "taker_side": "buy",
}  # fmt: skip


def written(folder, **changed):
    row = {name: value for name, value in (ROW | changed).items() if value != "left out"}
    pq.write_table(pa.Table.from_pylist([row]), folder / "trades.parquet")
    return source_of(str(folder), None)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"price": "left out"}, "none named price"),
        ({"exchange_ns": "left out"}, "none named exchange_ns"),
        ({"price": "NaN"}, "expected a trade or quote"),
        ({"price": "-1"}, "expected a trade or quote"),
        ({"price": 1.5}, "expected a number as text"),
        ({"price": None}, "expected a number as text"),
        ({"quantity": "two"}, "expected a trade or quote"),
        ({"trade_id": None}, "expected a trade or quote"),
    ],
)
def test_stored_rows_that_cannot_be_are_named(changed, words, tmp_path):
    assert len([*tape_of(written(tmp_path), None, None).records()]) > 1
    with pytest.raises(ConfigError, match=words):
        [*tape_of(written(tmp_path, **changed), None, None).records()]


def test_no_parquet_and_no_stretch_are_said(tmp_path):
    with pytest.raises(ConfigError, match=r"a folder with trades\.parquet, found"):
        source_of(str(tmp_path), None)
    (tmp_path / "trades.parquet").write_bytes(b"no parquet")
    with pytest.raises(ConfigError, match="expected a Parquet file of trades"):
        tape_of(source_of(str(tmp_path), None), None, None)
    with pytest.raises(ConfigError, match="between --from and --to"):
        tape_of(written(tmp_path), 10**18 + 5, None)


def test_a_recording_without_a_scored_bar_is_refused(ground):
    settings, stored = ground
    capture = CAPTURES / "okx-spot-mixed6-20210722.jsonl.gz"
    with pytest.raises(ConfigError, match="Features need 61 bars in a row"):
        backtest_captures([capture], settings, stored.document.model_id, "1s")

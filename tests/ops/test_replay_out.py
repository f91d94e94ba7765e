"""`--out`: the Parquet files of every capture, against bars worked out independently and against the frames."""

import csv
import gzip
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sofia_streams.model import CONSOLIDATED
from sofia_streams.ops.replay.export import write_replay
from sofia_streams.ops.replay.in_process import replay_in_process

pytestmark = pytest.mark.slow
CAPTURES = Path(__file__).parents[1] / "captures"
NAMES = sorted(path.name.removesuffix(".jsonl.gz") for path in CAPTURES.glob("*.jsonl.gz"))


def without_settle(symbol: str) -> str:
    """The truth leaves the settle currency out."""
    pair, _, settle = symbol.partition(":")
    return pair + ("-" + settle.partition("-")[2] if "-" in settle else "")


@pytest.mark.parametrize("name", NAMES)
def test_parquet_bars_equal_the_truth_in_every_row_and_column(name, tmp_path):
    replay = replay_in_process([CAPTURES / f"{name}.jsonl.gz"], keep_trades=True)
    write_replay(tmp_path / "made" / "here", replay.book, replay.trades, replay.scored)
    for size in ("1s", "1m"):
        with gzip.open(CAPTURES / "truth" / name / f"bars_{size}.csv.gz", "rt") as lines:
            columns, *truth = list(csv.reader(lines))
        found = pq.read_table(tmp_path / "made" / "here" / f"bars_{size}.parquet")
        assert found.column_names[: len(columns)] == columns
        rows = [
            [without_settle(str(row[column])) if column == "symbol" else str(row[column]) for column in columns]
            for row in found.to_pylist()
        ]
        assert sorted(rows, key=lambda row: (row[2], int(row[3]))) == truth


def test_prices_and_sums_are_text_and_times_integers(tmp_path):
    replay = replay_in_process([CAPTURES / f"{NAMES[0]}.jsonl.gz"], keep_trades=True)
    write_replay(tmp_path, replay.book, replay.trades, replay.scored)
    for path in tmp_path.glob("*.parquet"):
        schema = pq.read_schema(path)
        assert {schema.field(name).type for name in schema.names if name.endswith("_ns")} == {pa.int64()}
        if path.stem in ("features", "predictions"):
            continue  # measurements, which are floats
        assert not [field.name for field in schema if pa.types.is_floating(field.type)]


@pytest.mark.parametrize("name", NAMES)
def test_parquet_trades_are_the_distinct_trades_and_make_the_bars(name, tmp_path):
    path = CAPTURES / f"{name}.jsonl.gz"
    replay = replay_in_process([path, path], keep_trades=True)
    write_replay(tmp_path, replay.book, replay.trades, replay.scored)
    trades = pq.read_table(tmp_path / "trades.parquet").to_pylist()
    summary = replay.summary()
    assert len(trades) == summary["trades"]
    identities = {(row["venue"], row["market"], row["symbol"], row["id_kind"], row["trade_id"]) for row in trades}
    assert len(identities) == len(trades)
    assert sum(row["is_snapshot"] for row in trades) == summary["snapshot_trades"]
    assert sum(row["is_stale"] for row in trades) == summary["stale"]
    volume = sum(Decimal(row["quantity"]) for row in trades if not row["is_snapshot"])
    bars = pq.read_table(tmp_path / "bars_1m.parquet").to_pylist()
    assert volume == sum(Decimal(row["volume"]) for row in bars)


def test_consolidated_bars_have_files_of_their_own_and_a_second_run_replaces_all(tmp_path):
    paths = [CAPTURES / f"{name}.jsonl.gz" for name in NAMES]
    for _ in range(2):
        replay = replay_in_process(paths, keep_trades=True)
        write_replay(tmp_path, replay.book, replay.trades, replay.scored)
        venues = {row["venue"] for row in pq.read_table(tmp_path / "bars_1s.parquet").to_pylist()}
        joined = {row["venue"] for row in pq.read_table(tmp_path / "consolidated_1s.parquet").to_pylist()}
        assert CONSOLIDATED not in venues
        assert joined == {CONSOLIDATED}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{name}.parquet"
        for name in (
            *("trades", "bars_1s", "bars_1m", "consolidated_1s", "consolidated_1m"),
            *("features", "predictions"),
        )
    )

"""Real captured frames through the parsers and the candle sums, against bars worked out independently."""

import csv
import gzip
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, NS_PER_SECOND, Bar
from sofia_streams.ops.replay.in_process import Replay, replay_in_process

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
HERE = ROOT / "tests" / "captures"
LARGER = Path(__file__).parents[3] / "shared" / "captures"
CAPTURES = LARGER if LARGER.exists() else HERE
"""All captures where the larger ones are present beside the checkout, else those of the project."""
NAMES = sorted(path.name.removesuffix(".jsonl.gz") for path in CAPTURES.glob("*.jsonl.gz"))


@cache
def replayed(name: str) -> Replay:
    """This recording folded; read it, do not fold on."""
    return replay_in_process([CAPTURES / f"{name}.jsonl.gz"])


def plain(value) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def rows(found: list[Bar]) -> list[list[str]]:
    table = []
    for bar in found:
        pair, _, settle = bar.symbol.partition(":")
        name = pair + ("-" + settle.partition("-")[2] if "-" in settle else "")  # the truth leaves the settle coin out
        prices = [plain(value) for value in (bar.open, bar.high, bar.low, bar.close)]
        sums = [plain(value) for value in (bar.volume, bar.quote_volume, bar.buy_volume)]
        head = [bar.venue, bar.market, name, str(bar.start_ns)]
        table.append([*head, *prices, *sums, str(bar.trade_count), plain(bar.vwap)])
    return sorted(table, key=lambda row: (row[2], int(row[3])))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("size", "size_ns"), [("1s", NS_PER_SECOND), ("1m", NS_PER_MINUTE)])
def test_bars_of_a_capture_equal_the_truth_to_the_last_digit(name, size, size_ns):
    with gzip.open(CAPTURES / "truth" / name / f"bars_{size}.csv.gz", "rt") as lines:
        truth = list(csv.reader(lines))[1:]
    bars = replayed(name).book.bars(size_ns)
    assert rows([bar for bar in bars if bar.venue != CONSOLIDATED]) == truth


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_twice_gives_the_same_bars(name):
    once, twice = replayed(name), replay_in_process([CAPTURES / f"{name}.jsonl.gz"] * 2)
    assert twice.book.sha256() == once.book.sha256()
    found, expected = twice.summary(), once.summary()
    assert found["trades"] == expected["trades"]
    assert found["frames"] == 2 * expected["frames"]


APART = """
import resource, sys
from decimal import Decimal
from pathlib import Path
from sofia_streams.capture import CapturedFrame, CaptureWriter
from sofia_streams.model import ParsedTrade, Trade
from sofia_streams.ops.replay.in_process import replay_in_process
from sofia_streams.venues.registry import VENUES
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
path = Path(sys.argv[1])
with CaptureWriter(path) as writer:
    for number, at_ns in ((1, 10**18), (100, 8 * 10**18), (101, 9 * 10**18)):
        trade = Trade(str(number), Decimal(5), Decimal(1), "buy", at_ns, number)
        frame = VENUES["binance"].encode_trade(ParsedTrade("BTCUSDT", trade))
        writer.write(CapturedFrame(at_ns, "binance", "spot", "c", "in", frame))
print(len(replay_in_process([path]).book.bars(10**9)))
"""


def test_trades_that_lie_centuries_apart_take_no_longer_and_no_more_room_than_others(tmp_path):
    """Nothing walks through the seconds between, though a gap is open all the while."""
    command = [sys.executable, "-c", APART, str(tmp_path / "apart.jsonl.gz")]
    env = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=90, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["6"]), done.stderr


@pytest.mark.skipif(not LARGER.exists(), reason="the larger recordings are not beside this checkout; 5 of 12 were run")
def test_the_larger_recordings_were_run():
    assert len(NAMES) > len(list(HERE.glob("*.jsonl.gz")))


def test_recordings_of_other_years_and_connections_that_end_are_no_silence():
    assert replay_in_process(sorted(CAPTURES.glob("*.jsonl.gz"))).summary()["gaps"] == 0

"""sofia backtest as a shell runs it: figures, the page, progress, warnings, refusals in one line."""

import json

import pytest
from test_commands import sofia

pytestmark = pytest.mark.slow
WALK = ("backtest", "--data", "generated", "--size", "1m", "--bars", "2000", "--until", "2026-11-30", "--walk-forward",
        "--train-days", "0.8", "--retrain-days", "0.5", "--horizon", "3", "--draws", "2")  # fmt: skip


def test_a_backtest_writes_its_report_and_says_the_figures(tmp_path):
    done = sofia(tmp_path, *WALK, "--json", "--out", "found", "--sweep", "PAPER_TIME_EXIT_BARS=3,6")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"schema", "total_return", "sharpe", "max_drawdown", "baselines", "chosen", "bars_per_s", "files"} <= {
        *found
    }
    assert found["bars"] == 6_000 and found["is_synthetic"] and found["models"].startswith("walk-forward")
    report = json.loads((tmp_path / "found" / "report.json").read_text())
    assert report["statistics"]["total_return"] == found["total_return"]
    assert len(report["sweep"]["trials"]) == 2
    assert "<svg" in (tmp_path / "found" / "report.html").read_text()
    assert "sofia: trading" in done.stderr and "bars/s" in done.stderr
    assert "WARNING: SYNTHETIC" in done.stderr and "2 settings were tried" in done.stderr


def test_without_json_and_out_there_are_lines_and_a_folder_of_the_data_directory(tmp_path):
    done = sofia(tmp_path, *WALK)
    assert done.returncode == 0, done.stderr
    assert "total_return: " in done.stdout and "report.html" in done.stdout
    assert len([*(tmp_path / ".sofia" / "backtests").glob("*/report.json")]) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--data", "nowhere"), 1, "expected nowhere to be a file or folder of bars"),
        (("--data", "generated", "--bars", "600"), 1, "Give --walk-forward"),
        (("--data", "generated", "--model", "forward-1-00000000"), 1, "sofia models list"),
        (("--walk-forward", "--model", "x"), 2, "expected --model or --walk-forward"),
        (("--sweep", "PAPER_NOTHING=1"), 2, "expected NAME=a,b,c"),
        (("--sweep", "PAPER_SIZE_PCT=ten"), 2, "PAPER_SIZE_PCT"),
        (("--from", "2026-02-01", "--to", "2026-01-01"), 2, "after --from"),
        (("--venue", "nasdaq"), 2, "nasdaq"),
        (("--capture", "nowhere.jsonl.gz"), 2, "expected it with --model"),
    ],
)
def test_what_cannot_be_tested_is_refused_in_a_line(tmp_path, arguments, code, words):
    done = sofia(tmp_path, "backtest", *arguments)
    assert done.returncode == code, done.stderr
    assert done.stdout == "" and "Traceback" not in done.stderr
    assert words in done.stderr.splitlines()[-1]
    assert not (tmp_path / ".sofia" / "backtests").exists()

"""Moments that no store can hold, and stretches that are none: exit code 2 with what is possible, before a question."""

import pytest

from sofia_streams.cli.__main__ import main

POSSIBLE = "from 1970-01-01 to 2262-04-11T23:47"
KLINES = ("klines", "okx", "BTC/USDT")
BACKFILL = ("backfill", "--venue", "okx", "--symbol", "BTC/USDT")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("verify", "--to", "2300-01-01"), ("--to", POSSIBLE)),
        (("verify", "--to", "2262-04-11T23:48"), ("--to", POSSIBLE)),
        (("verify", "--to", "0001-01-01"), ("--to", POSSIBLE)),
        (("verify", "--from", "0001-01-01"), ("--from", POSSIBLE)),
        (("verify", "--from", "1677-01-01"), ("--from", POSSIBLE)),
        (("verify", "--from", "999999d"), ("--from", POSSIBLE)),
        ((*KLINES, "--from", "0001-01-01", "--to", "2026-01-01"), ("--from", POSSIBLE)),
        ((*KLINES, "--from", "2026-01-02", "--to", "2026-01-01"), ("--to", "after --from (2026-01-02)")),
        ((*BACKFILL, "--from", "1600-01-01", "--to", "1500-01-01"), ("--from", POSSIBLE)),
        ((*BACKFILL, "--from", "2026-01-01", "--to", "9999-12-31"), ("--to", POSSIBLE)),
        ((*BACKFILL, "--from", "2026-01-01", "--to", "2026-01-01"), ("--to", "after --from (2026-01-01)")),
        ((*BACKFILL, "--from", "2026-01-01", "--to", "2250-01-02"), ("--to", "that has passed", "in the future")),
    ],
)
def test_a_moment_that_is_not_possible_is_refused_before_anything_is_asked(
    arguments, words, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for name in ("BROKER_URL", "QUESTDB_HOST"):
        monkeypatch.setenv(name, "kafka://127.0.0.1:1" if name == "BROKER_URL" else "127.0.0.1")
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert said.out == ""
    for word in words:
        assert word in " ".join(said.err.split())
    assert list(tmp_path.iterdir()) == []

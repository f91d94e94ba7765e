"""`sofia verify`'s look at Redis: an entry that nobody of ours wrote is counted, whatever bytes it has."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from sofia_streams.ops.verify.log import Span
from sofia_streams.ops.verify.rows import Bucket
from sofia_streams.ops.verify.streams import StreamsSide
from sofia_streams.stores.redis_streams import NOT_UTF8

OURS = {
    "venue": "okx", "market": "spot", "symbol": "BTC/USDT", "id_kind": "trade", "trade_id": "7", "price": "1",
    "quantity": "1", "taker_side": "buy", "exchange_ns": "7000000000", "snapshot": "false", "stale": "false",
}  # fmt: skip


def taken(folder: Path, fields: dict[str, str]) -> tuple[dict[str, int], set[Bucket]]:
    """What is counted as foreign and what is compared of one entry."""
    log = SimpleNamespace(span=Span())
    with StreamsSide(None, log, folder) as streams:  # type: ignore[arg-type]
        streams._take("trades", "BTC/USDT", 0, "5-1", fields)
        buckets = streams.buckets()
        for bucket in buckets:
            streams._spool.rows(bucket)  # written and read
        return dict(streams.foreign), buckets


@pytest.mark.parametrize("name", ["price", "trade_id", "symbol", "note"])
def test_an_entry_with_bytes_that_are_no_utf8_is_foreign(tmp_path: Path, name: str):
    assert taken(tmp_path, OURS) == ({}, {Bucket("trades", "okx", "spot", "BTC/USDT", 0)})
    assert taken(tmp_path, OURS | {name: b"1\xff".decode("utf-8", NOT_UTF8)}) == ({"trades:BTC/USDT": 1}, set())
    assert taken(tmp_path, OURS | {"note": "Ω"}) == ({}, {Bucket("trades", "okx", "spot", "BTC/USDT", 0)})

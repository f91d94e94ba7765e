"""An ordinary Faust agent: one trade a record, a table write a trade, changelog and commits by Faust itself."""

from __future__ import annotations

import sys
from typing import Any

import faust
from faust.serializers import codecs

from bench.peers.task import COMMIT_EVERY_S, RULES, task
from sofia_streams import codec
from sofia_streams.core.bars import candles

work = task()


class _Rows(codecs.Codec):
    def _dumps(self, row: Any) -> bytes:
        return codec.encode(row)

    def _loads(self, data: bytes) -> Any:
        return codec.decode_row(data)


codecs.register("rows", _Rows())
app = faust.App(
    work.group,
    broker=f"kafka://{work.broker}",
    store="memory://",
    key_serializer="raw",
    value_serializer="raw",
    topic_partitions=work.partitions,
    topic_disable_leader=True,
    broker_commit_interval=COMMIT_EVERY_S,
    consumer_auto_offset_reset="earliest",
    producer_acks=-1,
    stream_wait_empty=False,
    web_enabled=False,
    datadir=work.folder,
    autodiscover=False,
)
trades = app.topic(work.trades, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
bars = app.topic(work.bars, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
table = app.Table("candles", partitions=work.partitions, key_type=str)
table.value_serializer = "rows"  # Faust takes no such argument


@app.agent(trades)
async def build_bars(stream: Any) -> None:
    """Fold, send, write."""
    seen = False
    async for event in stream.events():
        step = candles.apply(table, codec.decode_trades(event.value), offset=event.message.offset, rules=RULES)
        for bar in step.bars:
            await bars.send(key=bar.symbol.encode(), value=codec.encode(bar))
        candles.store(table, step.rows)
        if not seen:
            seen = True
            work.mark("first_s")


if __name__ == "__main__":
    sys.argv[1:] = ["worker", "--without-web", "-l", "warn"]
    app.main()

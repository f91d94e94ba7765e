"""Trades in, closed candles out.   in trades   state tables.ohlcv   out bars   (keyed by symbol)"""

from __future__ import annotations

import time
from typing import Any

from sofia_streams import codec, topics
from sofia_streams.app import add_acknowledger, add_table_pages, create_app, set_aside, topic_on, was_given_up
from sofia_streams.core.bars import candles, view
from sofia_streams.core.bars.windows import SIZE_NAME, Rules
from sofia_streams.model import NS_PER_MS, Bar, TradeBatch
from sofia_streams.obs import metrics
from sofia_streams.scored import Silence
from sofia_streams.settings import load_settings
from sofia_streams.worker.rebuilding import Rebuilder
from sofia_streams.worker.transport import BRISK
from tables.ohlcv import ohlcv_table

settings = load_settings()
app = create_app("ohlcv", settings, pace=BRISK)
trades = topic_on(app, topics.TRADES, settings)
bars = topic_on(app, topics.BARS, settings)
table = ohlcv_table(app, settings.topic_partitions)
rules = Rules(lateness_ns=settings.lateness_ms * NS_PER_MS)
acknowledger = add_acknowledger(app, table.write)
add_table_pages(app, "ohlcv", lambda: view.instruments(dict(table)), lambda key: view.instrument(dict(table), key))


async def publish(said: Bar | Silence, closed_by: Any = None) -> Any:
    """Send a record of `bars`, with when the one that caused it came in; the future of its acknowledgement."""
    headers = {"received_ms": str(int(closed_by.timestamp * 1e3)).encode()} if closed_by else None
    return await bars.send(key=said.symbol.encode(), value=codec.encode(said), headers=headers)


rebuilder = Rebuilder(settings, publish, lambda: app.producer.flush())


async def put(step: candles.Step, message: Any) -> list[Any]:
    """Publish what a step says and store its rows; what is to be acknowledged before the rows are written."""
    outputs: list[Any] = [await publish(said, message) for said in step.said]
    if step.rebuild or step.remark:
        outputs.append(rebuilder.rebuild(step, message.partition, message.offset))
    candles.store(table, step.rows)
    return outputs


@app.agent(trades, name="ohlcv")
async def build_bars(stream: Any) -> None:
    """Fold each record once; bars reach the log before the rows that say so, rows before the acknowledgement."""
    outputs: list[Any] = []  # those of a gap before a record that is set aside wait for the next record
    async for event in stream.noack().events():
        message, step = event.message, None
        async with acknowledger.in_hand:
            if was_given_up(app, message):
                continue
            for gap in app.log_check.take_lost(message.topic, message.partition):
                outputs += await put(candles.apply(table, gap, offset=message.offset - 1, rules=rules), message)
            async with set_aside(app, settings, event):
                record = codec.decode_trades(event.value)
                step = candles.apply(table, record, offset=message.offset, rules=rules)
            if step is None:
                continue
            outputs += await put(step, message)
            await acknowledger.add(event, outputs, table.take_changes())
            outputs = []
            _count(record, step, message.timestamp)


def _count(record: Any, step: candles.Step, logged_s: float) -> None:
    metrics.RECORDS.labels("trades").inc()
    for bar in step.bars:
        metrics.BARS.labels(SIZE_NAME[bar.size_ns]).inc()
    if isinstance(record, TradeBatch):
        metrics.TRADES_APPLIED.inc(step.applied)
        metrics.TRADES_LATE.inc(step.late)
        metrics.STAGE_MS.labels("applied").observe((time.time() - logged_s) * 1e3)


if __name__ == "__main__":
    app.main()

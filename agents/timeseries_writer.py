"""What the log has into QuestDB.   in trades, bars, tickers, gaps   out QuestDB   (offsets after its ack)"""

from __future__ import annotations

import asyncio

from sofia_streams import codec, topics
from sofia_streams.app import create_app, sink_agent, topic_on
from sofia_streams.model import Gap, Punctuation, TradeBatch
from sofia_streams.settings import load_settings
from sofia_streams.stores.base import Record
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.worker.sink import Item, Sink, retry

settings = load_settings()
app = create_app("timeseries_writer", settings)
store = QuestDb(settings.questdb_address(), settings.table_prefix())


def of_trades(record: TradeBatch | Punctuation | Gap, offset: int) -> list[Record]:
    """What a record of `trades` writes: punctuation nothing, and a gap is written from `gaps`."""
    return [record] if isinstance(record, TradeBatch) else []


def of_others(record: Record, offset: int) -> list[Record]:
    """What a record of any other topic writes."""
    return [record]


async def write(batch: list[Item]) -> None:
    """One transaction."""
    await asyncio.to_thread(store.write, [record for item in batch for record in item.record])


sink = Sink("questdb", write, rows_max=settings.writer_rows_max, wait_s_max=settings.writer_wait_ms_max / 1e3)


@app.task
async def run() -> None:
    """Make the tables, then write for ever."""
    await retry(lambda: asyncio.to_thread(store.create_tables, settings.retention_days()), "questdb")
    await sink.run()


for topic, decode, prepare in (
    (topics.TRADES, codec.decode_trades, of_trades),
    (topics.BARS, codec.decode_bar, of_others),
    (topics.TICKERS, codec.decode_ticker, of_others),
    (topics.GAPS, codec.decode_gap, of_others),
):
    channel = topic_on(app, topic, settings)
    sink_agent(app, settings, channel, decode, sink, name=f"write_{topic.name}", prepare=prepare)


if __name__ == "__main__":
    app.main()

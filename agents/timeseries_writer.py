"""Trades, bars and tickers into QuestDB.   in trades, bars, tickers   out QuestDB   (offsets after its ack)"""

from __future__ import annotations

import asyncio

from sofia_streams import codec, topics
from sofia_streams.app import create_app, quarantine, sink_agent, topic_on
from sofia_streams.errors import BadRecord
from sofia_streams.model import Bar, Gap, Punctuation, Ticker, TradeBatch
from sofia_streams.settings import load_settings
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.worker.sink import Item, Sink, retry

settings = load_settings()
app = create_app("timeseries_writer", settings)
store = QuestDb(settings.questdb_address(), settings.table_prefix())


def rows(item: Item) -> list[TradeBatch | Bar | Ticker]:
    """What one record writes; punctuation and gaps write nothing."""
    return [] if isinstance(item.record, Punctuation | Gap) else [item.record]


async def write(batch: list[Item]) -> None:
    """One transaction; where the database refuses a row, the records one by one, the refused one quarantined."""
    try:
        await asyncio.to_thread(store.write, [record for item in batch for record in rows(item)])
    except BadRecord:
        for item in batch:
            try:
                await asyncio.to_thread(store.write, rows(item))
            except BadRecord as error:
                await quarantine(app, settings, item.event, error)


sink = Sink("questdb", write, rows_max=settings.writer_rows_max, wait_s_max=settings.writer_wait_ms_max / 1e3)


@app.task
async def run() -> None:
    """Make the tables, then write for ever."""
    await retry(lambda: asyncio.to_thread(store.create_tables, settings.retention_days()), "questdb")
    await sink.run()


for topic, decode in (
    (topics.TRADES, codec.decode_trades),
    (topics.BARS, codec.decode_bar),
    (topics.TICKERS, codec.decode_ticker),
):
    sink_agent(app, settings, topic_on(app, topic, settings), decode, sink, name=f"write_{topic.name}")


if __name__ == "__main__":
    app.main()

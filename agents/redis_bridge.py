"""What is known, said and done to Redis Streams.   in ops.workers.INPUTS   out Redis"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial

from sofia_streams import topics
from sofia_streams.app import create_app, sink_agent, topic_on
from sofia_streams.core.bars.windows import instrument_key
from sofia_streams.core.feeds.tape import Tape
from sofia_streams.logread import DECODE
from sofia_streams.model import Gap, Trade, TradeBatch
from sofia_streams.settings import load_settings
from sofia_streams.stores.redis_entries import Entry, entry_of, gap_entry, trade_entries
from sofia_streams.stores.redis_streams import RedisStreams
from sofia_streams.worker.bridging import Bridge
from sofia_streams.worker.logtail import read_before
from sofia_streams.worker.remembering import Remembering
from sofia_streams.worker.sink import Sink
from sofia_streams.worker.transport import STEADY

settings = load_settings()
app = create_app("redis_bridge", settings, pace=STEADY)
store = RedisStreams(settings.redis_address(), settings.redis_maxlen)
bridge = Bridge(settings, store)
prefix = settings.stream_prefix()
tapes: dict[str, Tape] = defaultdict(lambda: Tape(settings.dedup_ids_max))


def new_trades(batch: TradeBatch) -> Sequence[Trade]:
    """Those that have not come before, which are remembered."""
    return tapes[instrument_key(batch.venue, batch.market, batch.symbol)].distinct(batch.trades)


def entries(record: object, offset: int) -> list[Entry]:
    """What one record becomes; a trade that stands in the log twice becomes one entry."""
    if isinstance(record, TradeBatch):
        return trade_entries(record, numbered(record.trades, new_trades(record)), offset, prefix)
    found = entry_of(record, offset, prefix)
    return [] if found is None else [found]


def gap_entries(gap: Gap, offset: int) -> list[Entry]:
    """What a record of `gaps` becomes; its copy in `trades` becomes nothing."""
    return [gap_entry(gap, offset, prefix)]


def numbered(trades: Sequence[Trade], new: Sequence[Trade]) -> Iterable[tuple[int, Trade]]:
    """The new ones among the trades of a record, each with its place there."""
    if len(new) == len(trades):
        return enumerate(trades)
    chosen = {id(trade) for trade in new}
    return [(index, trade) for index, trade in enumerate(trades) if id(trade) in chosen]


sink = Sink("redis", bridge.publish, rows_max=settings.writer_rows_max, wait_s_max=settings.bridge_wait_ms_max / 1e3)


@app.task
async def run() -> None:
    """Publish for ever, into a Redis that keeps what it took."""
    await bridge.refuse_eviction()
    await sink.run()


remembering = Remembering(partial(read_before, settings), new_trades)
for topic, prepare, before in (
    (topics.TRADES, entries, remembering.before),
    (topics.BARS, entries, None),
    (topics.TICKERS, entries, None),
    (topics.GAPS, gap_entries, None),
    (topics.PREDICTIONS, entries, None),
    (topics.SIGNALS, entries, None),
    (topics.FILLS, entries, None),
    (topics.ACCOUNT, entries, None),
):
    sink_agent(
        app, settings, topic_on(app, topic, settings), DECODE[topic], sink,
        name=f"bridge_{topic.name}", prepare=prepare, before=before,
    )  # fmt: skip

if __name__ == "__main__":
    app.main()

"""Rows into QuestDB, or a fallback while it fails.   in worker.written.READS   out tables, outages, alerts"""

from __future__ import annotations

import asyncio
import secrets
from functools import partial

from sofia_streams.app import create_app, quarantine, sink_agent, topic_on
from sofia_streams.settings import load_settings
from sofia_streams.stores.base import Fallback
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.topics import partition_name
from sofia_streams.worker.failover import Failover, say
from sofia_streams.worker.filling import Filling
from sofia_streams.worker.sink import Sink
from sofia_streams.worker.written import READS

settings = load_settings()
app = create_app("timeseries_writer", settings)
instance = secrets.token_hex(8)


def questdb() -> QuestDb:
    """One for what comes and one for what was missed: each is for one thread at a time."""
    return QuestDb(settings.questdb_address(), settings.table_prefix())


def assigned() -> list[str]:
    """The partitions that this process reads now."""
    if app.rebalancing or not app.consumer.started:
        return []
    return [partition_name(place) for place in app.consumer.assignment()]


def fallback() -> Fallback | None:
    """As `questdb`, of the store that takes the rows while it fails; None where none is configured."""
    url = settings.fallback_url()
    if url is None:
        return None
    from sofia_streams.stores.postgres import Postgres

    return Postgres(url, settings.table_prefix())


failover = Failover(settings, questdb(), fallback(), say=partial(say, settings), instance=instance)
filling = Filling(
    settings, questdb(), fallback(), partial(quarantine, app, settings), instance, group=app.conf.id,
    assigned=assigned, is_held=lambda: bool(failover.suspended), disputed=failover.say_again,
)  # fmt: skip
sink = Sink("questdb", failover.write, rows_max=settings.writer_rows_max, wait_s_max=settings.writer_wait_ms_max / 1e3)


@app.on_partitions_revoked.connect
async def revoked(app: object, partitions: object, **_: object) -> None:
    """Whoever reads them now writes their rows, and may take up what the log says of an outage."""
    await sink.hand_over()
    failover.say_again()


@app.task
async def run() -> None:
    """Write, watch the stores and fill what one has missed, for ever."""
    async with asyncio.TaskGroup() as group:
        group.create_task(sink.run())
        group.create_task(failover.watch())
        group.create_task(filling.run())


for topic, (decode, prepare) in READS.items():
    channel = topic_on(app, topic, settings)
    sink_agent(app, settings, channel, decode, sink, name=f"write_{topic.name}", prepare=prepare)


if __name__ == "__main__":
    app.main()

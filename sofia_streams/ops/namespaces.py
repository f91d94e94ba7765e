"""Leaves nothing of a namespace behind: its streams, tables and topics. The live (empty) namespace is never touched."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection

from sofia_streams.errors import DependencyDown
from sofia_streams.ops.topics import delete_namespace
from sofia_streams.settings import Settings
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.stores.redis_streams import RedisStreams

SINKS = ("timeseries_writer", "redis_bridge")
"""Workers that write into stores."""


async def empty_stores(settings: Settings, sinks: Collection[str] = SINKS) -> None:
    """Delete a namespace's streams and tables, where these workers wrote them.

    Raises DependencyDown, and ValueError for the live one.
    """
    if "redis_bridge" in sinks:
        streams = RedisStreams(settings.redis_address(), settings.redis_maxlen)
        try:
            await streams.delete(settings.stream_prefix())
        finally:
            await streams.close()
    if "timeseries_writer" in sinks:
        await asyncio.to_thread(QuestDb(settings.questdb_address(), settings.table_prefix()).drop_tables)
        await asyncio.to_thread(_empty_fallback, settings)


def _empty_fallback(settings: Settings) -> None:
    """It has tables of a namespace only where QuestDB failed meanwhile; one that is down keeps them."""
    url = settings.fallback_url()
    if url is None:
        return
    from sofia_streams.stores.postgres import Postgres

    store = Postgres(url, settings.table_prefix())
    with contextlib.suppress(DependencyDown):
        store.drop_tables()
    store.close()


async def remove_namespace(settings: Settings, sinks: Collection[str] = SINKS) -> None:
    """Delete everything of a namespace; of the stores, those of these workers.

    Raises DependencyDown, and ValueError for the live one.
    """
    await empty_stores(settings, sinks)
    await delete_namespace(settings)

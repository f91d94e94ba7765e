"""Leaves nothing of a namespace behind: its streams, tables and topics. The live (empty) namespace is never touched."""

from __future__ import annotations

import asyncio
import contextlib

from sofia_streams.errors import DependencyDown
from sofia_streams.ops.topics import delete_namespace
from sofia_streams.settings import Settings
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.stores.redis_streams import RedisStreams


async def empty_stores(settings: Settings) -> None:
    """Delete a namespace's streams and tables. Raises DependencyDown, and ValueError for the live one."""
    streams = RedisStreams(settings.redis_address(), settings.redis_maxlen)
    try:
        await streams.delete(settings.stream_prefix())
        await asyncio.to_thread(QuestDb(settings.questdb_address(), settings.table_prefix()).drop_tables)
        await asyncio.to_thread(_empty_fallback, settings)
    finally:
        await streams.close()


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


async def remove_namespace(settings: Settings) -> None:
    """Delete everything of a namespace. Raises DependencyDown, and ValueError for the live one."""
    await empty_stores(settings)
    await delete_namespace(settings)

"""Where a worker begins that is to know nothing of what was before it: at the end of the log, once and for all.

A client's own "latest" is asked again wherever nothing is committed yet, and then passes records over. So the ends are
committed before the worker starts for the first time. What it does not do: anything once something is committed.
"""

from __future__ import annotations

from collections.abc import Iterable

from sofia_streams.logread import places, reader
from sofia_streams.settings import Settings
from sofia_streams.topics import Topic


async def begin_at_end(settings: Settings, group: str, topics: Iterable[Topic]) -> bool:
    """Commit the ends of these topics for a group that has committed nothing in any of them; whether that was so.

    Raises KafkaError.
    """
    inputs = [place for topic in topics for place in places(settings, topic)]
    async with reader(settings, group=group) as consumer:
        consumer.assign(inputs)
        is_first = all([await consumer.committed(place) is None for place in inputs])
        if is_first:
            await consumer.commit(await consumer.end_offsets(inputs))
    return is_first

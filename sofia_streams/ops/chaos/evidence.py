"""What a run that did not hold leaves for whoever looks for the cause: the log itself, beside the workers' logs."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from sofia_streams import topics
from sofia_streams.logread import places, reader, records_between
from sofia_streams.settings import Settings

_KEPT = (topics.TRADES, topics.BARS, topics.GAPS, topics.ALERTS, topics.QUARANTINE)


async def keep_log(settings: Settings, path: Path) -> None:
    """Every record of the topics that matter, a JSON object a line: topic, partition, offset, timestamp_ms, value.

    Raises KafkaError.
    """
    with gzip.open(path, "wt", compresslevel=3) as file:
        async with reader(settings) as consumer:
            for topic in _KEPT:
                chosen = places(settings, topic)
                first, ends = await consumer.beginning_offsets(chosen), await consumer.end_offsets(chosen)
                async for message in records_between(consumer, first, ends):
                    place = {"topic": topic.name, "partition": message.partition, "offset": message.offset}
                    value = (message.value or b"").decode("utf-8", "replace")
                    file.write(json.dumps({**place, "timestamp_ms": message.timestamp, "value": value}) + "\n")

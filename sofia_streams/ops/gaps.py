"""The holes in the trades that the log names and that are not filled. Fills none (`ops.backfill`)."""

from __future__ import annotations

from sofia_streams import codec, topics
from sofia_streams.core.gaps import newest
from sofia_streams.logread import whole_topic
from sofia_streams.model import Gap
from sofia_streams.settings import Settings


async def open_gaps(settings: Settings) -> list[Gap]:
    """The holes that are not filled, by what the log says. Raises KafkaError."""
    every = [codec.decode_gap(value) async for value in whole_topic(settings, topics.GAPS)]
    return [gap for gap in newest(every) if gap.state == "open"]

"""The holes in the trades that the log names and that are not filled. Fills none (`ops.backfill`)."""

from __future__ import annotations

from sofia_streams.core.feeds.gaps import newest
from sofia_streams.logread import read_gaps
from sofia_streams.model import Gap
from sofia_streams.settings import Settings


async def open_gaps(settings: Settings) -> list[Gap]:
    """The holes that are not filled, by what the log says. Raises KafkaError."""
    return [gap for gap in newest([gap async for gap in read_gaps(settings)]) if gap.state == "open"]

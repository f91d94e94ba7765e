"""What is done about a silent instrument: asked for again, then its connection renewed, then a person is told.

One step each time its silence has lasted the limit once more (`core.feeds.pulse`), so that a quiet market costs one
harmless request and only a dead feed gets further. Where every instrument of a connection is silent (it may still get
heartbeats), the connection is renewed first: to ask for each again would be a flood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from sofia_streams.ingest.sockets.connection import Feed
from sofia_streams.model import Alert
from sofia_streams.obs import metrics

_log = structlog.get_logger("escalation")


class Escalation:
    """Steps taken, by instrument, and by connection where all of its instruments are silent. One object a process."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    async def act(self, feed: Feed, listings: Mapping[str, str], levels: Mapping[str, int], now_ns: int) -> list[Alert]:
        """Take the next step for each of this feed's silent instruments; what a person must know.

        `listings` are the feed's own, by instrument; `levels` how many times its limit an instrument is silent.
        """
        alerts: list[Alert] = []
        silent = [name for name in listings if levels.get(name)]
        for name in [name for name in listings if name not in silent]:
            self._taken.pop(name, None)
        metrics.SILENT.labels(feed.shard.name).set(len(silent))
        if feed.down_since_s is not None:
            return []
        if len(silent) == len(listings) > 1:
            return self._whole(feed, min(levels[name] for name in silent), now_ns)
        self._taken.pop(feed.shard.name, None)
        for name in silent:
            taken = self._taken.get(name, 0)
            if taken < levels[name]:
                self._taken[name] = taken + 1
                alerts += await self._step(feed, name, listings[name], taken, now_ns)
        return alerts

    def _whole(self, feed: Feed, level: int, now_ns: int) -> list[Alert]:
        shard = feed.shard
        taken = self._taken.get(shard.name, 0)
        if taken >= level:
            return []
        self._taken[shard.name] = taken + 1
        if taken == 0:
            _log.warning("everything is silent, renewing the connection", shard=shard.name)
            feed.renew()
        elif taken == 2:
            text = f"{shard.name}: all {len(shard.listings)} instruments are silent, though the connection was renewed."
            _log.error("everything is still silent after a new connection", shard=shard.name)
            return [Alert(f"silent:{shard.name}:{now_ns}", "critical", "crypto_ws", text, now_ns)]
        return []

    async def _step(self, feed: Feed, name: str, listing: str, taken: int, now_ns: int) -> Sequence[Alert]:
        if taken == 0:
            _log.warning("silent for longer than usual, asking again", instrument=name)
            await feed.resubscribe(listing)
        elif taken == 1:
            _log.warning("still silent, renewing its connection", instrument=name)
            feed.renew()
        elif taken == 2:
            text = f"{name}: silent for longer than is usual, though asked for again and its connection renewed."
            _log.error("still silent after a new connection", instrument=name)
            return [Alert(f"silent:{name}:{now_ns}", "critical", "crypto_ws", text, now_ns)]
        return []

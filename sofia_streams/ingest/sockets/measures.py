"""What ingest measures, for Prometheus: each second the counts of the intake and the state of the feeds. Reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from prometheus_client import Counter as Metric

from sofia_streams.core.feeds.skew import ClockSkew
from sofia_streams.ingest.sockets.connection import Feed
from sofia_streams.obs import metrics

_COUNTERS: dict[str, Metric] = {
    "trades": metrics.TRADES,
    "duplicates": metrics.DUPLICATES,
    "stale": metrics.STALE,
    "late": metrics.LATE,
    "odd_ids": metrics.ODD_IDS,
    "left_out": metrics.LEFT_OUT,
    "refused": metrics.REFUSED,
    "parse_errors": metrics.PARSE_ERRORS,
    "quarantined": metrics.QUARANTINED,
}

_OF_INSTRUMENTS = ("trades", "duplicates", "stale", "late", "odd_ids", "left_out", "refused")


class IngestMetrics:
    """Turns counts that only grow into metrics; one object a process."""

    def __init__(self) -> None:
        self._shown: dict[str, Counter[str]] = {}
        self._shown_s: float | None = None

    def show(
        self,
        now_s: float,
        counts: Mapping[str, Mapping[str, int]],
        feeds: Sequence[Feed],
        skews: Mapping[str, ClockSkew],
    ) -> None:
        """`counts` as `Intake.summary` gives them, `now_s` monotonic, `skews` by venue."""
        for venue, skew in skews.items():
            if skew.delay_ns is not None:
                metrics.SKEW_MS.labels(venue).set(skew.delay_ns / 1e6)
        for venue, totals in by_venue(counts, {feed.shard.venue for feed in feeds}).items():
            before = self._shown.get(venue, Counter())
            for name, metric in _COUNTERS.items():
                metric.labels(venue).inc(max(0, totals[name] - before[name]))
            if self._shown_s is not None and now_s > self._shown_s:
                trades = totals["trades"] - before["trades"]
                metrics.TICKS_PER_S.labels(venue).set(trades / (now_s - self._shown_s))
            metrics.STALE_RATIO.labels(venue).set(totals["stale"] / totals["trades"] if totals["trades"] else 0.0)
            self._shown[venue] = totals
            self._show_feeds(venue, [feed for feed in feeds if feed.shard.venue == venue])
        self._shown_s = now_s

    def _show_feeds(self, venue: str, feeds: Sequence[Feed]) -> None:
        metrics.CONNECTED.labels(venue).set(sum(feed.down_since_s is None for feed in feeds))
        metrics.LAST_FRAME_SECONDS.labels(venue).set(max(feed.heard_ns for feed in feeds) / 1e9)
        metrics.QUEUE_FRAMES.labels(venue).set(sum(feed.waiting for feed in feeds))
        metrics.RECONNECTS.labels(venue).inc(0)  # there from the start, so that a rate can be taken


def by_venue(counts: Mapping[str, Mapping[str, int]], venues: set[str]) -> dict[str, Counter[str]]:
    """The counts of every venue: its own, and what its instruments add to them."""
    totals: dict[str, Counter[str]] = {venue: Counter() for venue in venues}
    for name, found in counts.items():
        venue, _, instrument = name.partition("|")
        if venue in totals:
            taken = {what: found.get(what, 0) for what in _OF_INSTRUMENTS}
            totals[venue].update(taken if instrument else dict(found))
    return totals

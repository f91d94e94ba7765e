"""The contest of a challenger with the model in force, and what the newest bars say of both, from the log.

What it does not do: decide what follows (`trainer`), score for anybody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sofia_streams.core.monitoring.contest import Contest
from sofia_streams.core.monitoring.watching import DRIFT_BARS, LOOK_BARS, Told, Watch, WatchedModel, drift_of


class Shadow:
    """`told` is what came of each record, for all symbols."""

    def __init__(self) -> None:
        self.contest: Contest | None = None
        self.newest_ns = 0
        self._drifts: tuple[float | None, float | None] = None, None
        self.drift_text = ""
        self._looked = 0

    @property
    def drift(self) -> float | None:
        """The largest PSI that two looks in a row had at least."""
        before, now = self._drifts
        return None if before is None or now is None else min(before, now)

    def note(self, told: Told) -> None:
        """Labels count for the contest."""
        self.newest_ns = max(self.newest_ns, told.end_ns)
        if self.contest is not None:
            for matured in told.matured:
                self.contest.take(told.symbol, matured)

    def look(self, champion: WatchedModel | None, watches: Mapping[str, Watch]) -> float | None:
        """PSI of the champion's inputs over all symbols, where it is time for another look; each is a window's half on.

        The deciles of a card are of all symbols together, so the newest bars of all of them are compared with it.
        """
        if champion is None:
            self._drifts = None, None
            return None
        number = self.newest_ns // (LOOK_BARS * champion.model.document.size_ns)
        if number == self._looked:
            return None
        self._looked = number
        value, name = drift_of(champion, _joined([watch.counts for watch in watches.values()], champion))
        self._drifts = self._drifts[1], value
        self.drift_text = "" if value is None else f"PSI {value:.3f} of {name} over the last {DRIFT_BARS} bars"
        return value


def _joined(counted: Sequence[list[list[int]]], champion: WatchedModel) -> list[list[int]]:
    """Bins of all symbols added up; a symbol that another model scores is left out."""
    sizes = [len(deciles.shares) for _, _, deciles in champion.important]
    fitting = [counts for counts in counted if [len(one) for one in counts] == sizes]
    return [[sum(bins) for bins in zip(*same, strict=True)] for same in zip(*fitting, strict=True)]

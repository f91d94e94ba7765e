"""A challenger against the champion, on the same bars: whose log loss is lower.

Looked at when it has `needed` labels, twice as many, and four times as many. The challenger wins where the lower end of
the interval of the mean difference in log loss lies above 0 (block bootstrap; 95 % over all three looks together, by
Bonferroni), and has lost after the last look. What it does not do: put a model in force.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from sofia_streams.core.monitoring.maturing import MaturedLabel
from sofia_streams.core.monitoring.watching import WatchedModel
from sofia_streams.core.scoring.labels import Rule
from sofia_streams.core.scoring.quality import log_loss
from sofia_streams.core.scoring.resampling import lower_bound

LABELS_MIN, BLOCKS_MIN = 500, 20
_LOOKS = (1, 2, 4)
_TAIL = 0.025 / len(_LOOKS)
_OVERLAPS = 2


class Verdict(NamedTuple):
    """What a contest has come to: `gain` is the champion's mean log loss less the challenger's, nats."""

    outcome: Literal["open", "won", "lost"]
    labels: int
    needed: int
    gain: float | None
    low: float | None

    def __str__(self) -> str:
        """In words."""
        shown = "" if self.outcome != "open" else f"{self.labels} of {self.needed} labels"
        if self.gain is None or self.low is None:
            return shown
        told = f"gain in log loss {self.gain:+.5f} nats, by the test at least {self.low:+.5f}"
        return f"{told} at the last look; {shown}" if shown else f"{told}, over {self.labels} labels"


class Contest:
    """Of two models with one rule; `since_ns`: bars that start earlier do not count."""

    def __init__(self, champion: str, challenger: str, rule: Rule, since_ns: int) -> None:
        self.champion, self.challenger, self.rule, self.since_ns = champion, challenger, rule, since_ns
        self._gains: dict[tuple[int, str], float] = {}
        self._symbols: dict[str, None] = {}
        self._looked = 0
        self._verdict = Verdict("open", 0, LABELS_MIN, None, None)

    def take(self, symbol: str, matured: MaturedLabel) -> None:
        """A label of a symbol; counts where both models said something of its bar."""
        scores: Mapping[str, float] = matured.scores
        is_ours = matured.rule == self.rule and self.champion in scores and self.challenger in scores
        if not is_ours or matured.start_ns < self.since_ns:
            return
        self._symbols[symbol] = None
        theirs, ours = (log_loss(scores[one], matured.label) for one in (self.champion, self.challenger))
        self._gains[matured.start_ns, symbol] = theirs - ours
        if self._verdict.outcome == "open" and len(self._gains) >= self._due:
            self._look()

    @property
    def _due(self) -> int:
        return _LOOKS[self._looked] * self.needed

    @property
    def block(self) -> int:
        """Labels that are drawn together: those that may overlap, twice over."""
        return _OVERLAPS * self.rule.horizon_bars * max(1, len(self._symbols))

    @property
    def needed(self) -> int:
        """Labels at the first look."""
        return max(LABELS_MIN, BLOCKS_MIN * self.block)

    def verdict(self) -> Verdict:
        """As of now; it changes when labels come, not by being asked for."""
        if self._verdict.outcome == "open":
            return self._verdict._replace(labels=len(self._gains), needed=self._due)
        return self._verdict

    def _look(self) -> None:
        count = len(self._gains)
        gains = [self._gains[key] for key in sorted(self._gains)]
        low = lower_bound(gains, block=self.block, tail=_TAIL)
        is_last = self._looked + 1 == len(_LOOKS)
        outcome: Literal["open", "won", "lost"] = "won" if low > 0.0 else "lost" if is_last else "open"
        self._verdict = Verdict(outcome, count, self._due, sum(gains) / count, low)
        self._looked += outcome == "open"


def over(champion: WatchedModel, challenger: WatchedModel, now_ns: int) -> str | None:
    """Why there is nothing to compare any more, in words; None: the contest goes on.

    Somebody may activate another model meanwhile. Labels of another rule say nothing of either.
    """
    if champion.rule != challenger.rule and now_ns <= champion.model.document.expires_ns:
        return f"{champion.model_id}, which is in force, predicts something else"
    return None

"""Finds the first trade from a time on in a venue's history, of which only pages by id can be seen.

What it does not do: ask for the pages, or mind trades whose times go backwards within their ids.
"""

from __future__ import annotations

from collections.abc import Sequence

from sofia_streams.model import Trade

_STEP_TIMES, _GUESSES_MAX = 4, 6


class IdSearch:
    """Where that trade must be: after `low` and before `bound`, else it is `answer`.

    `ascends`: a page has the first `rows_max` trades from its start on, else the last ones below start + `rows_max`.
    """

    def __init__(self, at_ns: int, ascends: bool, rows_max: int, *, bound: int, answer: int) -> None:
        self._at_ns, self._ascends, self._rows_max = at_ns, ascends, rows_max
        self._low, self._bound, self.answer = -1, bound, answer
        self._low_ns: int | None = None
        self._bound_ns, self._step, self._guesses = 0, rows_max, _GUESSES_MAX

    def next_start(self) -> int:
        """The first id of the page to look at next: further and further back, then between, at first by the rate."""
        if self._low_ns is None:
            start, self._step = self._bound - self._step, self._step * _STEP_TIMES
        else:
            span, span_ns = self._bound - self._low, self._bound_ns - self._low_ns
            share = (self._at_ns - self._low_ns) / span_ns if self._guesses and span_ns > 0 else 0.5
            self._guesses = max(0, self._guesses - 1)
            start = self._low + int(span * share) - self._rows_max // 2
        return max(self._low + 1, min(start, self._bound - 1))

    def learn(self, found: Sequence[Trade], start: int | None) -> bool:
        """What a page of ids from `start` on says (None: the newest trades); whether that is the end."""
        newer = next((trade for trade in found if trade.exchange_ns >= self._at_ns), None)
        has_older = bool(found) and found[0].exchange_ns < self._at_ns
        if newer is not None and newer.order <= self.answer:
            self.answer, self._bound, self._bound_ns = newer.order, newer.order, newer.exchange_ns
            if has_older:
                return True
        if newer is not None and start is not None:
            self._bound = min(self._bound, start)  # from `start` to the page's first there is none
        elif start is not None:
            seen = found[-1].order if self._ascends and found else start + self._rows_max - 1
            self._low = max(self._low, seen)
            self._low_ns = found[-1].exchange_ns if found else self._low_ns or 0
            self._guesses = self._guesses if found else 0  # before the venue's memory: there is no rate
        return self._low + 1 >= self._bound

"""Isotonic calibration by its knots: a score becomes a frequency, by a straight line between the two knots around it.

Source: scikit-learn's `IsotonicRegression` with `out_of_bounds="clip"`; equal to it bit for bit (its formula is that of
`numpy.interp`). Scores outside the knots take the value of the nearest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import isfinite

from sofia_streams.errors import BadModel


class Isotonic:
    """Scores to probabilities.

    >>> Isotonic([0.2, 0.8], [0.1, 0.7]).at(0.5)
    0.4
    """

    __slots__ = ("_scores", "_slopes", "_values")

    def __init__(self, scores: Sequence[float], values: Sequence[float]) -> None:
        """Knots: scores rise, values never fall and lie in [0, 1]. Raises BadModel."""
        rising = all(a < b for a, b in pairwise(scores))
        monotone = all(a <= b for a, b in pairwise(values))
        if not (len(scores) == len(values) >= 1 and rising and monotone and values[0] >= 0.0 and values[-1] <= 1.0):
            raise BadModel(
                "calibration: expected knots with rising scores and values that do not fall, inside 0 to 1, found "
                f"{len(scores)} scores and {len(values)} values. Train again, or activate another model."
            )
        self._scores, self._values = [*scores], [*values]
        self._slopes = [
            *((values[at + 1] - values[at]) / (scores[at + 1] - scores[at]) for at in range(len(scores) - 1)),
            0.0,
        ]
        if not all(map(isfinite, self._slopes)):
            raise BadModel(
                "calibration: expected scores so far apart that a line leads from one to the next, found "
                f"{min(b - a for a, b in pairwise(scores))!r} between two. Train again, or activate another model."
            )

    def at(self, score: float) -> float:
        """The probability of a score."""
        place = bisect_right(self._scores, score) - 1
        if place < 0:
            return self._values[0]
        return self._slopes[place] * (score - self._scores[place]) + self._values[place]

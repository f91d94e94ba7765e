"""Logistic regression on raw features: the scaler is folded into the weights. The sum is rounded once (`math.fsum`), so
that it does not depend on the machine's vector unit or Python's version.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, fsum
from operator import mul

from sofia_streams.errors import BadModel


class Logistic:
    """1 / (1 + exp(-(bias + weights * row))).

    >>> Logistic([1.0, -2.0], 0.5).at([3.0, 1.75])
    0.5
    """

    __slots__ = ("_bias", "_weights")

    def __init__(self, weights: Sequence[float], bias: float) -> None:
        self._weights, self._bias = [*weights], bias

    @classmethod
    def scaled(
        cls, weights: Sequence[float], bias: float, means: Sequence[float], scales: Sequence[float]
    ) -> Logistic:
        """Of weights for (value - mean) / scale. Raises BadModel where lengths differ or a scale is not above zero."""
        if not (len(weights) == len(means) == len(scales)) or min(scales, default=1.0) <= 0.0:
            raise BadModel(
                f"logistic: expected as many weights as means and scales above zero, found {len(weights)}, "
                f"{len(means)}, {len(scales)}. Train again, or activate another model."
            )
        folded = [weight / scale for weight, scale in zip(weights, scales, strict=True)]
        return cls(folded, bias - fsum(map(mul, folded, means)))

    def at(self, row: Sequence[float]) -> float:
        """The probability of a row of as many features as there are weights."""
        exponent = -fsum((self._bias, *map(mul, self._weights, row)))
        return 1.0 / (1.0 + exp(exponent)) if exponent < 700.0 else 0.0

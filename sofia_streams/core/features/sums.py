"""Mean and deviation over the last values, by exact sums: nothing drifts, and flat prices deviate by exactly 0.

Floats are kept as whole multiples of 2**-80. Rolling sums of squares in floats cancel: after a move of 100 a flat price
of 60,000 would show a deviation of 1e-6, and a z-score of noise.

>>> sums = Sums(3)
>>> for price in (60_100.0, 60_000.0, 60_000.0, 60_000.0):
...     sums.push(price)
>>> sums.mean(), sums.deviation()
(60000.0, 0.0)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import sqrt

_SCALE = 2.0**80


class Sums:
    """Of the last `size` values, fewer until so many came. Magnitudes from 1e-12 to 1e20 keep 10 digits and more."""

    __slots__ = ("_mean_unit", "_sample_unit", "_square_sum", "_sum", "_values", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._values: deque[int] = deque()
        self._sum = self._square_sum = 0
        self._mean_unit = 1.0 / (_SCALE * size)
        self._sample_unit = 1.0 / (_SCALE * sqrt(size * max(1, size - 1)))

    def push(self, value: float) -> None:
        """The next value: a finite number. Raises OverflowError for infinity, ValueError for NaN."""
        exact = int(value * _SCALE)
        values = self._values
        values.append(exact)
        if len(values) > self.size:
            old = values.popleft()
            self._sum += exact - old
            self._square_sum += (exact - old) * (exact + old)
        else:
            self._sum += exact
            self._square_sum += exact * exact

    @property
    def is_full(self) -> bool:
        """Whether `size` values came: before, nothing below means anything."""
        return len(self._values) == self.size

    def mean(self) -> float:
        """Of a full window."""
        return self._sum * self._mean_unit

    def total(self) -> float:
        """Of a full window."""
        return self._sum / _SCALE

    def deviation(self) -> float:
        """The standard deviation of a full window, of the population (ddof 0)."""
        return sqrt(self.size * self._square_sum - self._sum * self._sum) * self._mean_unit

    def sample_deviation(self) -> float:
        """As `deviation`, of a sample (ddof 1)."""
        return sqrt(self.size * self._square_sum - self._sum * self._sum) * self._sample_unit

    def root_of_squares(self) -> float:
        """The square root of the sum of squares."""
        return sqrt(self._square_sum) / _SCALE

    def memory(self) -> list[float]:
        """The values, oldest first."""
        return [value / _SCALE for value in self._values]

    def resume(self, values: Iterable[float]) -> None:
        """Forget, and take these."""
        self._values.clear()
        self._sum = self._square_sum = 0
        for value in values:
            self.push(value)

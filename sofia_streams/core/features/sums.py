"""Sums, deviations and correlation over the last values, exactly: nothing drifts, flat prices deviate by exactly 0.

Floats are kept as whole multiples of 2**-80. Rolling sums of squares in floats cancel: after a move of 100 a flat price
of 60,000 would show a deviation of 1e-6, and a z-score of noise. Since sums are exact, they depend on nothing but the
values in the window: it does not matter where a series began.

>>> window = Window(3)
>>> [window.push(price) for price in (60_100.0, 60_000.0, 60_000.0, 60_000.0)][-1]
(60000.0, 0.0)

Everything takes finite numbers, and raises OverflowError for infinity, ValueError for NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import sqrt

_SCALE = 2.0**80
_UNIT = 2.0**-80


class _Ring:
    """The last `size` values as whole numbers, 0 before so many came. Magnitudes from 1e-12 to 1e20 keep 10 digits."""

    __slots__ = ("_at", "_given", "_last", "_missing", "_sum", "_values", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._last = size - 1
        self._forget()

    def _forget(self) -> None:
        self._values = [0] * self.size
        self._given = [0.0] * self.size  # as they came, for `memory`
        self._at = self._sum = 0  # place of the oldest value, which the next one replaces
        self._missing = self.size

    def forget(self) -> None:
        """Begin anew."""
        if self._missing < self.size:
            self._forget()

    def push(self, value: float) -> object:
        """What is known behind the next value."""
        raise NotImplementedError

    def _is_short(self) -> bool:
        """Counts a value; whether there are too few of them even now."""
        self._missing -= 1
        return self._missing > 0

    def memory(self) -> list[float]:
        """The values, oldest first."""
        given, at = self._given, self._at
        return (given[at:] + given[:at])[self._missing :]

    def resume(self, values: Iterable[float]) -> None:
        """Forget, and take these."""
        self.forget()
        for value in values:
            self.push(value)


class Total(_Ring):
    """The sum of the last `size` values.

    >>> total = Total(2)
    >>> [total.push(value) for value in (1.0, 2.0, 4.0)]
    [None, 3.0, 6.0]
    """

    __slots__ = ()

    def push(self, value: float) -> float | None:
        """Behind the next value; None before `size` of them."""
        exact = int(value * _SCALE)
        at, values = self._at, self._values
        self._sum = total = self._sum + exact - values[at]
        values[at] = exact
        self._given[at] = value
        self._at = at + 1 if at < self._last else 0
        if self._missing and self._is_short():
            return None
        return total * _UNIT


class Window(_Ring):
    """Mean and deviation of the last `size` values."""

    __slots__ = ("_spread", "_unit")

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._unit = _UNIT / size

    def _forget(self) -> None:
        super()._forget()
        self._spread = 0  # size * (sum of squares) - sum**2

    def push(self, value: float) -> tuple[float, float] | None:
        """Mean and deviation (of the population, ddof 0) behind the next value; None before `size` of them."""
        exact = int(value * _SCALE)
        at, values, before = self._at, self._values, self._sum
        old = values[at]
        values[at] = exact
        self._given[at] = value
        change = exact - old
        self._sum = total = before + change
        self._spread = spread = self._spread + change * (self.size * (exact + old) - before - total)
        self._at = at + 1 if at < self._last else 0
        if self._missing and self._is_short():
            return None
        unit = self._unit
        return total * unit, sqrt(spread) * unit


class Tailed(_Ring):
    """Root of the sum of squares over the last `tail` values, and deviation over the last `size`, which are more."""

    __slots__ = ("_known", "_spread", "_squares", "_tail", "_unit")

    def __init__(self, size: int, tail: int) -> None:
        self._tail, self._known = tail, size - tail
        super().__init__(size)
        self._unit = _UNIT / sqrt(size * (size - 1))

    def _forget(self) -> None:
        super()._forget()
        self._squares = self._spread = 0  # the latter as in `Window`

    def push(self, value: float) -> tuple[float | None, float | None]:
        """Both behind the next value, the deviation that of a sample (ddof 1); each None of fewer values."""
        exact = int(value * _SCALE)
        at, values, before = self._at, self._values, self._sum
        tail, old = values[at - self._tail], values[at]
        values[at] = exact
        self._given[at] = value
        change = exact - old
        self._sum = total = before + change
        self._spread = spread = self._spread + change * (self.size * (exact + old) - before - total)
        self._squares = squares = self._squares + (exact - tail) * (exact + tail)
        self._at = at + 1 if at < self._last else 0
        if self._missing and self._is_short():
            return None if self._missing > self._known else sqrt(squares) * _UNIT, None
        return sqrt(squares) * _UNIT, sqrt(spread) * self._unit


class Correlation:
    """Pearson's, of the last `size` pairs."""

    __slots__ = ("_both", "_first", "_second", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._first, self._second, self._both = Window(size), Window(size), 0

    def push(self, first: float, second: float) -> float | None:
        """Behind the next pair; None before `size` of them, and where one of the two does not change."""
        left, right = self._first, self._second
        at = left._at
        gone = left._values[at] * right._values[at]
        found = left.push(first)
        right.push(second)
        self._both += left._values[at] * right._values[at] - gone
        if found is None or not (left._spread and right._spread):
            return None
        shared = self.size * self._both - left._sum * right._sum
        return max(-1.0, min(1.0, shared / sqrt(left._spread * right._spread)))

    def memory(self) -> list[float]:
        """First values, oldest first, then second ones."""
        return [*self._first.memory(), *self._second.memory()]

    def resume(self, memory: Sequence[float]) -> None:
        """As `memory` gave it."""
        half = len(memory) // 2
        self._first.resume([])
        self._second.resume([])
        self._both = 0
        for first, second in zip(memory[:half], memory[half:], strict=True):
            self.push(first, second)

"""What every indicator is: fed one closed bar at a time, None until it is ready, its memory a list of numbers.

float64 throughout; exact decimals end here. What it does not do: know symbols, windows of time, missing bars (`book`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sofia_streams.scored import Candle, Value


class Indicator(Protocol):
    """One or several features of one formula.

    warm_up   bars that must have been seen before `update` gives every value
    update    takes the next closed bar; the values in the order of the declared names. O(1)
    memory    what the next update depends on: a list of finite numbers, bounded
    resume    takes such a list; from then on as if never stopped, to the last bit. Raises ValueError for a wrong length
    """

    @property
    def warm_up(self) -> int: ...  # noqa: D102
    def update(self, candle: Candle) -> tuple[Value, ...]: ...  # noqa: D102
    def memory(self) -> list[float]: ...  # noqa: D102
    def resume(self, memory: Sequence[float]) -> None: ...  # noqa: D102

"""Which model is in force at a bar's end, by the activations that stand before the bar in its partition of `bars`.

Order in the log decides, not a clock, so every reader of the partition swaps at the same bar, today or in a replay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from sofia_streams.model import NS_PER_MINUTE
from sofia_streams.scored import Activation, Refusal

_KEPT_MAX = 64
_KEPT_NS = 60 * NS_PER_MINUTE
"""Symbols of a partition may be so far apart."""


class ChosenRow(msgspec.Struct, frozen=True, array_like=True, tag="chosen"):
    """The row of a partition in the table `rolling_features`: activations in the order of the log, and those that this
    worker could not load.
    """

    activations: list[Activation] = []
    refused: list[str] = []


def chosen_key(partition: int) -> str:
    """The row's key."""
    return f"models/{partition}"


def with_activation(row: ChosenRow, activation: Activation) -> ChosenRow:
    """One more; one that is known changes nothing, nor one from before those that are kept, which was said again."""
    if any(one.activation_id == activation.activation_id for one in row.activations):
        return row
    if row.activations and activation.said_ns < row.activations[0].said_ns:
        return row
    kept = _needed([*row.activations, activation], row.refused)
    names = {one.activation_id for one in kept}
    return ChosenRow(kept, [name for name in row.refused if name in names])


def with_refusal(row: ChosenRow, activation_id: str) -> ChosenRow:
    """One that cannot be loaded: the one before it stays in force."""
    return ChosenRow(row.activations, [*row.refused, activation_id])


def chosen_of(said: Iterable[Activation | Refusal]) -> ChosenRow:
    """What the records of `models` come to, in their order; what any worker refused counts as refused."""
    row = ChosenRow()
    for one in said:
        if isinstance(one, Activation):
            row = with_activation(row, one)
        elif one.activation_id not in row.refused:
            row = with_refusal(row, one.activation_id)
    return row


def in_force(row: ChosenRow, end_ns: int) -> Activation | None:
    """Of a bar that ends then: the last in the log that has begun by then and was not refused."""
    return next(begun(row, end_ns), None)


def begun(row: ChosenRow, end_ns: int) -> Iterator[Activation]:
    """Those that have begun by then and were not refused, the one in force first, then what it replaced."""
    for one in reversed(row.activations):
        if one.from_ns <= end_ns and one.activation_id not in row.refused:
            yield one


def _needed(activations: list[Activation], refused: list[str]) -> list[Activation]:
    """Without those that a later one has replaced for longer than symbols are apart.

    One that is to begin later replaces nothing yet, and one that was refused never does.
    """
    newest = activations[-1]
    until_ns = min(newest.from_ns, newest.said_ns) - _KEPT_NS
    replaced = [
        at for at, one in enumerate(activations) if one.from_ns <= until_ns and one.activation_id not in refused
    ]
    return activations[replaced[-1] if replaced else 0 :][-_KEPT_MAX:]

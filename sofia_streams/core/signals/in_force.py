"""Which model is in force at a bar's end, by the activations that stand before the bar in its partition of `bars`.

Where they stand decides, not a clock, so every reader of the partition swaps at the same bar, today or in a replay. Of
those that have begun the one said last is in force. Two that are said at one moment from two machines may stand in
another order in each partition: `order_of` is the same for all. What it does not do: load models.
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
    """The row of a partition in the table `rolling_features`: activations as they were said, and those that this worker
    could not load; `forgotten` is the newest of those that are not kept any more, as `order_of` has it.
    """

    activations: list[Activation] = []
    refused: list[str] = []
    forgotten: tuple[int, str] | None = None


def order_of(activation: Activation) -> tuple[int, str]:
    """Sorts activations as they were said, whatever order they stand in."""
    return activation.said_ns, activation.activation_id


def chosen_key(partition: int) -> str:
    """The row's key."""
    return f"models/{partition}"


def with_activation(row: ChosenRow, activation: Activation) -> ChosenRow:
    """One more; one that is known changes nothing, nor one that was forgotten and is read again."""
    if any(one.activation_id == activation.activation_id for one in row.activations):
        return row
    if row.forgotten is not None and order_of(activation) <= row.forgotten:
        return row
    known = sorted(row.activations, key=order_of)
    kept = [one for one in known if order_of(one) < order_of(activation)]
    for one in (activation, *known[len(kept) :]):  # as if they had come in order
        kept = _needed([*kept, one], row.refused)
    names = {one.activation_id for one in kept}
    gone = [order_of(one) for one in (*known, activation) if one.activation_id not in names]
    forgotten = max([*gone, *([] if row.forgotten is None else [row.forgotten])], default=None)
    return ChosenRow(kept, [name for name in row.refused if name in names], forgotten)


def with_refusal(row: ChosenRow, activation_id: str) -> ChosenRow:
    """One that cannot be loaded: the one before it stays in force."""
    return ChosenRow(row.activations, [*row.refused, activation_id], row.forgotten)


def chosen_of(said: Iterable[Activation | Refusal]) -> ChosenRow:
    """What the records of `models` come to; what any worker refused counts as refused."""
    row = ChosenRow()
    for one in said:
        if isinstance(one, Activation):
            row = with_activation(row, one)
        elif one.activation_id not in row.refused:
            row = with_refusal(row, one.activation_id)
    return row


def in_force(row: ChosenRow, end_ns: int) -> Activation | None:
    """Of a bar that ends then: the one said last of those that have begun by then and were not refused."""
    for one in reversed(row.activations):
        if one.from_ns <= end_ns and one.activation_id not in row.refused:
            return one
    return None


def begun(row: ChosenRow, end_ns: int) -> Iterator[Activation]:
    """Those that have begun by then and were not refused, the one in force first, then what it replaced."""
    for one in reversed(row.activations):
        if one.from_ns <= end_ns and one.activation_id not in row.refused:
            yield one


def cancelled_by(activation: Activation, said: Iterable[Activation | Refusal]) -> list[Activation]:
    """Of what was said before it and was to begin later: those that it keeps from ever being in force, oldest first."""
    row, found, earliest_ns = chosen_of(said), list[Activation](), None
    for one in reversed(row.activations):
        if order_of(one) >= order_of(activation) or one.activation_id in row.refused:
            continue
        is_to_begin = one.from_ns > activation.said_ns and (earliest_ns is None or one.from_ns < earliest_ns)
        if is_to_begin and one.from_ns >= activation.from_ns:
            found.append(one)
        earliest_ns = one.from_ns if earliest_ns is None else min(earliest_ns, one.from_ns)
    return found[::-1]


def _needed(activations: list[Activation], refused: list[str]) -> list[Activation]:
    """Without those that a later one has replaced for longer than symbols are apart.

    One that is to begin later replaces nothing yet, and one that was refused never does. Of many that are to begin the
    last are kept, and the one in force meanwhile.
    """
    newest = activations[-1]
    until_ns = min(newest.from_ns, newest.said_ns) - _KEPT_NS
    replaced = _begun_at(activations, refused, until_ns)
    found = activations[replaced[-1] if replaced else 0 :]
    last = found[-_KEPT_MAX:]
    if len(last) == len(found) or _begun_at(last, refused, newest.said_ns):
        return last
    return [*(found[at] for at in _begun_at(found, refused, newest.said_ns)[-1:]), *last]


def _begun_at(activations: list[Activation], refused: list[str], end_ns: int) -> list[int]:
    """Places of those that have begun by then."""
    return [at for at, one in enumerate(activations) if one.from_ns <= end_ns and one.activation_id not in refused]

"""Counts, first and last id and a checksum of a set of rows, and what two sets do not have alike. Pure.

The checksum is the sum, mod 2**128, of a hash of each row: free of order, and a row that is there twice counts twice.
What it does not do: know tables, stores or the log (`rows`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from hashlib import blake2b
from itertools import groupby
from typing import Literal, NamedTuple

from sofia_streams.ops.verify.rows import Item

Kind = Literal["missing", "surplus", "different"]
_MODULUS = 2**128


class Ledger:
    """Takes rows in any order. `first` and `last` are the names of the earliest and the latest; "" of none."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0
        self._first: tuple[int, int, str] | None = None
        self._last: tuple[int, int, str] | None = None

    def add(self, item: Item, hashed: int) -> None:
        """A row with its `hash_of`."""
        self.count += 1
        self._sum += hashed
        place = _place(item)
        if self._first is None or place < self._first:
            self._first = place
        if self._last is None or place > self._last:
            self._last = place

    def join(self, other: Ledger) -> None:
        """Also the rows of another."""
        self.count += other.count
        self._sum += other._sum
        self._first = min(filter(None, (self._first, other._first)), default=None)
        self._last = max(filter(None, (self._last, other._last)), default=None)

    @property
    def first(self) -> str:
        """The name of the earliest row."""
        return self._first[2] if self._first else ""

    @property
    def last(self) -> str:
        """The name of the latest row."""
        return self._last[2] if self._last else ""

    @property
    def checksum(self) -> str:
        """128 bits as hexadecimal digits."""
        return f"{self._sum % _MODULUS:032x}"

    def said(self) -> dict[str, object]:
        """As it is printed."""
        return {"rows": self.count, "first": self.first, "last": self.last, "checksum": self.checksum}


def hash_of(item: Item) -> int:
    """128 bits of a row: what makes it itself and its values."""
    return int.from_bytes(blake2b(f"{item.identity}\t{item.values}".encode(), digest_size=16).digest(), "little")


class Range(NamedTuple):
    """Rows one after another, by time and name, that are all missing, all surplus, or all different."""

    kind: Kind
    rows: int
    first: str
    last: str
    from_ns: int
    until_ns: int
    """The moment of the last one."""


class Comparison(NamedTuple):
    """What a store has beside what the log says, of one bucket. `log` counts what the store was asked for."""

    log: Ledger
    found: Ledger
    missing: list[Item]
    surplus: list[Item]
    different: list[tuple[Item, Item]]
    """As the log says, as it was found."""

    @property
    def is_equal(self) -> bool:
        """Whether there is no difference."""
        return not (self.missing or self.surplus or self.different)


def compare(
    expected: Mapping[str, Item],
    found: Iterable[Item],
    *,
    optional: Collection[str] = (),
    ignored: Collection[str] = (),
    judges_surplus: Callable[[Item], bool] = lambda _: True,
) -> Comparison:
    """`expected` by identity against what a store has, in any order.

    Identities in `optional` may be missing, those in `ignored` are not looked at: they are on their way. A row that
    the log does not have counts where `judges_surplus` says so: the log may begin later than the store.
    """
    result = Comparison(Ledger(), Ledger(), [], [], [])
    left = dict(expected)
    for item in found:
        if item.identity in ignored:
            continue
        wanted = left.pop(item.identity, None)
        if wanted is None:
            if item.identity in expected or judges_surplus(item):
                result.found.add(item, hash_of(item))
                result.surplus.append(item)
            continue
        hashed = hash_of(item)
        result.found.add(item, hashed)
        if wanted.values != item.values:
            result.different.append((wanted, item))
            hashed = hash_of(wanted)
        result.log.add(wanted, hashed)
    for identity, wanted in left.items():
        if identity not in optional and identity not in ignored:
            result.log.add(wanted, hash_of(wanted))
            result.missing.append(wanted)
    return result


def ranges(expected: Mapping[str, Item], comparison: Comparison) -> list[Range]:
    """The differences as ranges, by time: rows that are equal stand between two of one kind."""
    kinds: dict[str, Kind] = {item.identity: "missing" for item in comparison.missing}
    kinds |= {item.identity: "different" for item, _ in comparison.different}
    rows: list[tuple[Item, Kind | None]] = [(item, kinds.get(item.identity)) for item in expected.values()]
    rows += [(item, "surplus") for item in comparison.surplus]
    rows.sort(key=lambda row: _place(row[0]))
    found = []
    for kind, group in groupby(rows, key=lambda row: row[1]):
        if kind is not None:
            items = [item for item, _ in group]
            first, last = items[0], items[-1]
            found.append(Range(kind, len(items), first.name, last.name, first.at_ns, last.at_ns))
    return found


def _place(item: Item) -> tuple[int, int, str]:
    """By time, then by id: numbers as numbers."""
    return item.at_ns, len(item.name), item.name

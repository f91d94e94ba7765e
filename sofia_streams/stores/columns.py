"""What a table is made of: columns by kind, a time, a key. Names no table, opens nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, NamedTuple

Value = str | int | float | bool | Decimal | None
Kind = Literal["label", "text", "value", "sum", "number", "time", "count", "flag"]
"""Few different texts, any text, a venue's number (20 digits after the point), a product of two of those, a float64,
int ns, a whole number, a truth."""


class Table(NamedTuple):
    """One table: its columns in order, the time it is kept by, and the columns that make a row the same row."""

    columns: dict[str, Kind]
    time: str
    key: tuple[str, ...]
    newer: str = ""
    """The column that says which of two rows with one key is the newer; "": the one written last."""

"""Bars as records by the names of their columns, of a file or a store: one row a window and symbol.

Of a symbol, the consolidated bars are taken where there are some, else those of the venue that has most; closes of
single venues stand beside them. What it does not do: check bars (`bars`).
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import nan
from sys import intern
from typing import Any

import msgspec

from sofia_streams.model import CONSOLIDATED
from sofia_streams.stores.scored_rows import feature_values
from sofia_streams.training.dataset import Written
from sofia_streams.training.sources.bars import Row, number, wrong

WRITTEN = "written"
"""In a record: what was known live behind its bar, packed."""


def joined(records: Sequence[tuple[str, dict[str, Any]]], chosen: Mapping[str, str] | None = None) -> list[Row]:
    """One row a window and symbol, of records (and where they stand) of several venues. Raises ConfigError.

    `chosen` says of which venue by symbol, where these records are not all there are; None: it follows from them.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    closes: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    for where, record in records:
        symbol, venue = record["symbol"], record.get("venue") or CONSOLIDATED
        if not isinstance(symbol, str) or not isinstance(record["start_ns"], int):
            raise wrong(where, "a symbol and start_ns", f"{symbol!r} and {record['start_ns']!r}")
        counts[symbol][venue] += 1
        if venue != CONSOLIDATED and (close := number(record["close"], where, "close")) is not None:
            closes[symbol, record["start_ns"]][venue] = close
    if chosen is None:
        chosen = {symbol: venue_of(found) for symbol, found in counts.items()}
    return [
        row_of(where, record, closes.get((record["symbol"], record["start_ns"]), {}))
        for where, record in records
        if (record.get("venue") or CONSOLIDATED) == chosen.get(record["symbol"])
    ]


def row_of(where: str, record: dict[str, Any], venues: dict[str, float]) -> Row:
    """One record by the names of its columns; `venues` where it has none itself. Raises ConfigError."""
    is_quiet = record.get("is_quiet") is True
    prices = [None if is_quiet else number(record[name], where, name) for name in ("open", "high", "low", "close")]
    known = [price for price in prices if price is not None]
    if known and len(known) < len(prices):
        raise wrong(where, "open, high, low and close, or none of them", f"{prices}")
    count = number(record.get("trade_count"), where, "trade_count")
    return Row(
        where, record["symbol"], record["start_ns"],
        (known[0], known[1], known[2], known[3]) if known else None,
        number(record["volume"], where, "volume") or 0.0,
        number(record.get("quote_volume"), where, "quote_volume"),
        number(record.get("buy_volume"), where, "buy_volume"),
        None if count is None or not count.is_integer() else int(count), _is_complete(record),
        _closes(record.get("venues"), where) or venues, record.get(WRITTEN, ()),
    )  # fmt: skip


def written(size_ns: int, record: Mapping[str, Any]) -> list[Written]:
    """What a record with the columns of `features_1s` or `features_1m` says was known; of another schema nothing."""
    return [
        Written(intern(one.schema), array("d", [nan if value is None else value for value in one.values]))
        for one in feature_values(size_ns, record).values()
        if one.values
    ]


def _is_complete(record: dict[str, Any]) -> bool:
    said = record.get("is_complete")
    return record.get("quality") not in ("gap", "stale") if said is None else said is True


def _closes(text: str | None, where: str) -> dict[str, float]:
    try:
        return msgspec.json.decode(text, type=dict[str, float]) if text else {}
    except (msgspec.MsgspecError, TypeError) as error:
        raise wrong(where, "closes by venue as JSON", str(error)) from error


def venue_of(counts: Mapping[str, int]) -> str:
    """Whose bars are taken, of how many each venue has."""
    return CONSOLIDATED if CONSOLIDATED in counts else min(counts, key=lambda name: (-counts[name], name))

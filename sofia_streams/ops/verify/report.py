"""What a comparison found, as it is printed: by store, table, instrument and hour. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sofia_streams.model import NS_PER_SECOND
from sofia_streams.ops.verify.ledger import Comparison, Ledger, Range, ranges
from sofia_streams.ops.verify.rows import Bucket, Item, fields_that_differ

RANGES_MAX = 100
"""Ranges named of one hour and instrument; the others are counted."""
EXAMPLES_MAX = 10


class Checked(NamedTuple):
    """One hour of one instrument in one store."""

    store: str
    bucket: Bucket
    log: Ledger
    found: Ledger
    missing: int
    surplus: int
    different: int
    fields: Counter[str]
    ranges: list[Range]
    examples: list[dict[str, Any]]

    @property
    def is_equal(self) -> bool:
        """Whether there is no difference."""
        return not (self.missing or self.surplus or self.different)


def checked(store: str, bucket: Bucket, expected: Mapping[str, Item], result: Comparison) -> Checked:
    """A comparison without its rows."""
    fields: Counter[str] = Counter()
    examples: list[dict[str, Any]] = []
    for wanted, found in result.different:
        names = fields_that_differ(bucket.table, wanted, found)
        fields.update(names)
        if len(examples) < EXAMPLES_MAX:
            texts = (item.values.replace("\t", " ") for item in (wanted, found))
            examples.append(dict(zip(("name", "fields", "log", "found"), (wanted.name, names, *texts), strict=True)))
    return Checked(
        store,
        bucket,
        result.log,
        result.found,
        len(result.missing),
        len(result.surplus),
        len(result.different),
        fields,
        [] if result.is_equal else ranges(expected, result),
        examples,
    )


class Report:
    """Collects what was checked."""

    def __init__(self) -> None:
        self.rows: list[Checked] = []
        self.foreign: dict[str, int] = {}
        """By stream of Redis: entries that cannot be read as ours."""

    def add(self, row: Checked) -> None:
        """One hour of one instrument in one store."""
        self.rows.append(row)

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return not self.foreign and all(row.is_equal for row in self.rows)

    def said(self) -> dict[str, Any]:
        """Totals by store and table, and every hour (docs/cli.md)."""
        return {
            "equal": self.is_equal,
            "totals": self.totals(),
            "foreign_entries": self.foreign,
            "hours": [_said(row) for row in self.rows],
        }

    def totals(self) -> list[dict[str, Any]]:
        """A line for each store and table."""
        groups: dict[tuple[str, str], list[Checked]] = defaultdict(list)
        for row in self.rows:
            groups[row.store, row.bucket.table].append(row)
        lines = []
        for (store, table), rows in groups.items():
            log, found = Ledger(), Ledger()
            for row in rows:
                log.join(row.log)
                found.join(row.found)
            counts = {name: sum(getattr(row, name) for row in rows) for name in ("missing", "surplus", "different")}
            lines.append({"store": store, "table": table, "log": log.count, "found": found.count, **counts,
                          "checksums": "equal" if log.checksum == found.checksum else "differ"})  # fmt: skip
        return lines


def differences(hours: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A line for each range of `Report.said()["hours"]`, for people."""
    return [
        {
            "store": row["store"], "table": row["table"],
            "instrument": "|".join(row[name] or "NULL" for name in ("venue", "market", "symbol")),
            "what": one["kind"], "rows": one["rows"],
            "first": one["first"], "last": one["last"], "from": moment(one["from_ns"]), "to": moment(one["until_ns"]),
            "fields": ", ".join(sorted(row["fields"])) if one["kind"] == "different" else "",
        }
        for row in hours
        for one in row.get("ranges", ())
    ]  # fmt: skip


def moment(at_ns: int) -> str:
    """UTC, to the millisecond."""
    at_s, rest_ns = divmod(at_ns, NS_PER_SECOND)
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // 1_000_000:03d}Z"


def _said(row: Checked) -> dict[str, Any]:
    found: dict[str, Any] = {"store": row.store, **row.bucket._asdict(), "hour": moment(row.bucket.hour_ns)}
    found |= {"equal": row.is_equal, "log": row.log.said(), "found": row.found.said()}
    if not row.is_equal:
        found |= {"missing": row.missing, "surplus": row.surplus, "different": row.different}
        found["fields"] = dict(row.fields)
        found["ranges"] = [one._asdict() for one in row.ranges[:RANGES_MAX]]
        found["ranges_left_out"] = max(0, len(row.ranges) - RANGES_MAX)
        found["examples"] = row.examples
    return found

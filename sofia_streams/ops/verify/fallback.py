"""PostgreSQL's side of a comparison. It holds what the primary missed, so nothing is asked for there: what it has must
be as the log says, in some revision. Blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from sofia_streams.model import NS_PER_HOUR
from sofia_streams.ops.verify.databases import selected_names, slices
from sofia_streams.ops.verify.log import Span
from sofia_streams.ops.verify.rows import TABLES, Bucket, Item, item_from_texts
from sofia_streams.stores.base import TABLES as STORED

if TYPE_CHECKING:
    from sofia_streams.stores.postgres import Postgres


class PostgresSide:
    """As `databases.Database`."""

    name, worker, holds_all, has_extras = "postgres", "timeseries_writer", False, True
    on_surplus = "the rows are named above; DELETE FROM them in PostgreSQL"

    def __init__(self, store: Postgres) -> None:
        self._store = store
        self.write, self.close = store.write, store.close

    def settle(self) -> None:
        """A committed row is visible at once."""

    def hours(self, span: Span) -> dict[Bucket, int]:
        """Rows by bucket; none for a table that is not there. Raises DependencyDown."""
        found: dict[Bucket, int] = {}
        for table in TABLES:
            name = f'"{self._store.table(table)}"'
            if self._store.query("SELECT to_regclass(%s)", (name,))[0][0] is not None:
                at = STORED[table].time
                rows = self._store.query(
                    f"SELECT venue, market, symbol, {at} / {NS_PER_HOUR} * {NS_PER_HOUR}, count(*) FROM {name} "  # noqa: S608
                    f"WHERE {at} >= %s AND {at} < %s GROUP BY 1, 2, 3, 4",
                    (span.from_ns or 0, 2**63 - 1 if span.until_ns is None else span.until_ns),
                )
                for venue, market, symbol, hour_ns, count in rows:
                    found[Bucket(table, venue, market, symbol, hour_ns)] = count
        return found

    def expired(self, buckets: Iterable[Bucket]) -> set[Bucket]:
        """None: nothing is asked for."""
        return set()

    def items(self, bucket: Bucket, count: int) -> Iterator[Item]:
        """The rows of a bucket, in slices of time that hold about a page each. Raises DependencyDown."""
        table, at, names = bucket.table, STORED[bucket.table].time, selected_names(bucket.table)
        chosen = ", ".join(f"{name}::text" for name in names)
        for start_ns, end_ns in slices(bucket, count):
            rows = self._store.query(
                f'SELECT {chosen} FROM "{self._store.table(table)}" WHERE {at} >= %s AND {at} < %s '  # noqa: S608
                "AND venue = %s AND market = %s AND symbol = %s",
                (start_ns, end_ns, *bucket[1:4]),
            )
            for row in rows:
                texts = ("" if value is None else str(value) for value in row)
                yield item_from_texts(table, dict(zip(names, texts, strict=True)))

"""What TimescaleDB adds to our PostgreSQL tables: chunks of a day, compression, retention. Writes no row.

Times are int ns, so it is told how to know now, and intervals are ns (tigerdata.com/docs: create_hypertable,
set_integer_now_func, add_compression_policy, add_retention_policy; the forms that 2.0 and later all take).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sofia_streams.model import NS_PER_DAY
from sofia_streams.stores.columns import Table

Query = Callable[[str], list[tuple[Any, ...]]]
_COMPRESS_AFTER_DAYS = 3
"""Later than any backfill or filled hole of usual length, so that upserts seldom meet a compressed chunk."""
_NOW = (
    "CREATE OR REPLACE FUNCTION sofia_now_ns() RETURNS BIGINT LANGUAGE SQL STABLE AS "
    "$$ SELECT (extract(epoch FROM now()) * 1000000000)::bigint $$"
)


def is_there(query: Query) -> bool:
    """Whether the database has the extension, made now where it is only available and we may."""
    if query("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"):
        return True
    if not query("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"):
        return False
    try:
        query("CREATE EXTENSION IF NOT EXISTS timescaledb")
    except ValueError:
        return False  # not for this user: plain tables serve as well
    return True


def make_hypertable(query: Query, name: str, table: Table, retention_days: int) -> None:
    """Chunks, compression and retention of a table, once. `name` is the table's with its prefix."""
    if query(f"SELECT 1 FROM timescaledb_information.hypertables WHERE hypertable_name = '{name}'"):  # noqa: S608
        return
    segments = [column for column in table.key if column in ("venue", "market", "symbol")]
    orders = [table.time, *(column for column in table.key if column not in (*segments, table.time))]
    for statement in (
        _NOW,
        f"SELECT create_hypertable('{name}', '{table.time}', chunk_time_interval => {NS_PER_DAY}::bigint, "
        "if_not_exists => true, migrate_data => true)",
        f"SELECT set_integer_now_func('{name}', 'sofia_now_ns', replace_if_exists => true)",
        f"ALTER TABLE \"{name}\" SET (timescaledb.compress, timescaledb.compress_segmentby = '{', '.join(segments)}', "
        f"timescaledb.compress_orderby = '{', '.join(orders)}')",
        f"SELECT add_compression_policy('{name}', {_COMPRESS_AFTER_DAYS * NS_PER_DAY}::bigint, if_not_exists => true)",
    ):
        query(statement)
    if retention_days:
        days_ns = retention_days * NS_PER_DAY
        query(f"SELECT add_retention_policy('{name}', {days_ns}::bigint, if_not_exists => true)")

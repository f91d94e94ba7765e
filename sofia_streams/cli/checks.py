"""Commands that compare: verify."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from sofia_streams.cli.output import AsJson, interruptible, say, show, show_rows, wrong_use
from sofia_streams.errors import SofiaError

NOT_COMPARED = 5
"""The exit code where a broker or store did not answer, or a worker did not come to the end of the log."""


@contextmanager
def or_not_compared() -> Iterator[None]:
    """Inside, an error of ours means that nothing could be compared: its text, and exit code 5."""
    try:
        yield
    except SofiaError as error:
        say(str(error))
        raise typer.Exit(NOT_COMPARED) from None


def verify(
    start: Annotated[
        str | None, typer.Option("--from", help="UTC, like 2026-01-31T12:00, or ago: 90m, 6h, 2d; none: all of the log")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Likewise; none: the end of the log")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Write from the log what a database lacks or has otherwise; verify again")
    ] = False,
    wait_s: Annotated[
        float, typer.Option("--wait", min=0, max=3600, help="Seconds that workers get to come to the end of the log")
    ] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Compare log, database, Redis and candles, row by row.  Example: sofia verify --from 6h.

    Exit code 1 where something differs, 5 where not all could be compared. Trades and bars of minutes that --from and
    --to cut are compared whole.
    """
    from sofia_streams.ops.supervision.running import running_or_configured
    from sofia_streams.ops.verify.run import verify as compare

    span = _span(start, end)
    with interruptible("stopped; what is there stays as it is"), or_not_compared():
        found = asyncio.run(compare(running_or_configured(), span, say, repair=repair, wait_s_max=wait_s))
    if as_json:
        show(found, as_json=True)
    else:
        _print(found)
    if not found["equal"]:
        raise typer.Exit(1)
    if found.get("after", found)["compared"]["not_settled"]:
        raise typer.Exit(NOT_COMPARED)


def _span(start: str | None, end: str | None) -> Any:
    from sofia_streams.ops.verify.times import span_of

    with wrong_use():
        return span_of(start, end)


def _print(found: dict[str, Any]) -> None:
    from sofia_streams.ops.verify.report import differences

    show_rows("totals", found["totals"], as_json=False, title="the log and what stores have of it")
    lines = differences(found["hours"])
    if lines:
        show_rows("differences", lines, as_json=False, title="differences")
    for store, rows in found.get("repaired", {}).items():
        print(f"{store}: wrote {rows} rows from the log")
    for line in found["advice"]:
        print(line)
    for worker, records in found["compared"]["not_settled"].items():
        print(f"{worker} has {records} records to do: they were left out")
    if "after" in found:
        print("after the repair:")
        _print(found["after"])
    else:
        print("equal" if found["equal"] else "different")

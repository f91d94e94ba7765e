"""The command that computes the paper account again from the log and compares. Changes nothing."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sofia_streams.cli.checks import NOT_COMPARED, or_not_compared
from sofia_streams.cli.output import AsJson, interruptible, show, show_rows, wrong_use
from sofia_streams.cli.progress import drawn

if TYPE_CHECKING:
    from sofia_streams.ops.paper.parity import Asked


def parity(
    date: Annotated[str | None, typer.Option(help="A UTC day like 2026-01-31; yesterday")] = None,
    start: Annotated[str | None, typer.Option("--from", help="UTC, like 2026-01-31T12:00, or ago: 90m, 6h, 2d")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Likewise; none: as far as paper_oms has come")] = None,
    last: Annotated[bool, typer.Option("--last", help="From the snapshot before the newest one to the end")] = False,
    now: Annotated[bool, typer.Option("--now", help="Use the current settings, not the recorded ones")] = False,
    stores: Annotated[bool, typer.Option("--stores", help="QuestDB's rows of the stretch too, by id")] = False,
    as_json: AsJson = False,
) -> None:
    """Compute what the paper account did again from the log, and compare.  Example: sofia parity --date 2026-01-31.

    Orders, fills, account and PnL; what differs is listed, the first by event time with its cause. Exit code 1 where
    something differs, 5 where not everything could be compared.
    """
    from sofia_streams.ops.paper.parity import parity as compare
    from sofia_streams.ops.supervision.running import running_or_configured

    asked = _asked(date, start, end, last=last)._replace(is_by_now=now)
    with interruptible("stopped; nothing was changed"), drawn("records") as report, or_not_compared():
        found = asyncio.run(compare(running_or_configured(), asked, report, stores=stores))
    if as_json:
        show(found, as_json=True)
    else:
        _print(found)
    if found["differences"] or found["stores_equal"] is False:
        raise typer.Exit(1)
    if not found["whole"]:
        raise typer.Exit(NOT_COMPARED)


def _asked(date: str | None, start: str | None, end: str | None, *, last: bool) -> Asked:
    from sofia_streams.ops.paper.parity import Asked, day, stretch

    if [date is not None, start is not None or end is not None, last].count(True) > 1:
        raise typer.BadParameter("expected one of --date, --from with --to, --last; found several")
    now_ns = time.time_ns()
    with wrong_use():
        if last:
            return Asked(now_ns, is_last=True)
        if start is None and end is not None:
            raise typer.BadParameter("expected --from with --to, found --to alone", param_hint="--to")
        return day(date, now_ns) if start is None else stretch(start, end, now_ns)


def _print(found: dict[str, Any]) -> None:
    """For people."""
    if found["counts"] is not None:
        rows = [{"in": name, **found["counts"][name], **found["pnl"][name]} for name in ("log", "computed")]
        show_rows("runs", rows, as_json=False, title="what the account did")
        print(f"compared: {found['compared']['from_ns']} to {found['compared']['until_ns']} ns, "
              f"from the snapshot {found['compared']['snapshot']}")  # fmt: skip
    for line in found["changed"]:
        print(f"settings were changed: {line}")
    for table, one in (found["stores"] or {}).items():
        print(f"QuestDB {table}: {one['rows']} rows, missing {one['missing']}, surplus {one['surplus']}")
    if first := found["first_cause"]:
        print(f"first difference, at {first['at_ns']} ns: follows from {first['follows_from']}")
        for line in first["because"]:
            print(f"  {line}")
    for one in found["differences"]:
        revision = f" revision {one['revision']}" if "revision" in one else ""
        print(f"{one['at_ns']} {one['what']} {one['table']} {one['id']}{revision}; from {one['follows_from']}")
        for field in one["fields"]:
            print(f"  {field['field']}: log {field['log']}, computed {field['computed']}")
    if left := found["differences_left_out"]:
        print(f"and {left} more")
    for line in found["notes"]:
        print(f"not compared: {line}")
    nothing = "equal" if found["whole"] else "nothing differs in what was compared"
    print("different" if found["differences"] else nothing)

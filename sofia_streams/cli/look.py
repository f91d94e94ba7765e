"""Commands that look: status, doctor, logs, debug bundle, config show. Nothing is changed."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from sofia_streams.cli.output import AsJson, say, show, show_rows

debug = typer.Typer(no_args_is_help=True, help="For bug reports.  Example: sofia debug bundle.")
config = typer.Typer(no_args_is_help=True, help="Settings.  Example: sofia config show.")


@debug.callback()
@config.callback()
def group() -> None:
    """Commands of this group."""


def show_status(
    watch: Annotated[bool, typer.Option("--watch", help="Again every few seconds, until Ctrl-C")] = False,
    as_json: AsJson = False,
) -> None:
    """Processes, lag and rates of what runs.  Example: sofia status --watch.

    Exit code 1 when something is not well, or nothing runs. With --watch and --json: one object a line.
    """
    from sofia_streams.ops.look.status import is_well, status
    from sofia_streams.ops.supervision.running import running_settings
    from sofia_streams.settings import load_settings

    settings = running_settings(load_settings())
    well = True
    try:
        while True:
            found = asyncio.run(status(settings))
            well = is_well(found)
            if watch and sys.stdout.isatty() and not as_json:
                print("\x1b[H\x1b[2J", end="")
            show(found, as_json=True) if as_json else _print_status(found)
            if not watch:
                break
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    if not well:
        raise typer.Exit(1)


def _print_status(found: dict[str, Any]) -> None:
    print(f"namespace: {found['namespace'] or '(live)'}   broker: {found['broker']}")
    if found.get("blind"):
        print(f"BLIND: {found['blind']}")
    for name in ("processes", "connections", "silent", "instruments", "alerts"):
        if name in found:
            show_rows(name, found[name], as_json=False, title=name)
    print(f"lag in records: {found.get('lag', 'unknown')}")


def doctor(as_json: AsJson = False) -> None:
    """Checks broker, topics, stores, disk, ports, clock, exchanges.  Example: sofia doctor.

    Exit code 1 when a check failed; each failure says its cure. A warning does not fail.
    """
    from sofia_streams.ops.look.doctor import examine
    from sofia_streams.ops.supervision.running import running_or_configured

    findings = asyncio.run(examine(running_or_configured()))
    if as_json:
        show({"checks": [finding._asdict() for finding in findings]}, as_json=True)
    else:
        for finding in findings:
            print(f"{finding.state:8} {finding.check}: {finding.found}")
            if finding.cure and finding.state in ("failed", "warning"):
                print(f"{'':8} → {finding.cure}")
    if any(finding.state == "failed" for finding in findings):
        raise typer.Exit(1)


def logs(
    name: Annotated[str | None, typer.Argument(help="A worker or server; none: all, the last lines of each")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=100_000)] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written, until Ctrl-C")] = False,
    as_json: AsJson = False,
) -> None:
    """The end of the logs of what runs or ran.  Example: sofia logs ohlcv -n 50 -f."""
    from sofia_streams.ops.look.log_files import follow_logs, last_lines, log_files
    from sofia_streams.settings import load_settings

    files = log_files(load_settings().data_dir, name)
    found = {one: last_lines(path, lines) for one, path in files.items()}
    if as_json:
        show({"logs": found}, as_json=True)
        return
    for one, text in found.items():
        print(f"== {one}", *text, sep="\n", flush=True)
    if follow:
        try:
            for one, line in follow_logs(files):
                print(line if name else f"{one}: {line}", flush=True)
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


@debug.command("bundle")
def bundle(
    out: Annotated[Path | None, typer.Option(help="Where to; default: sofia-debug-TIME.tar.gz here")] = None,
    as_json: AsJson = False,
) -> None:
    """Redacted settings, versions, logs, status and doctor in one file.  Example: sofia debug bundle."""
    from sofia_streams.ops.look.bundle import write_bundle
    from sofia_streams.ops.supervision.running import running_or_configured

    path = out or Path(f"sofia-debug-{time.strftime('%Y%m%dT%H%M%S')}.tar.gz")
    names = asyncio.run(write_bundle(running_or_configured(), path))
    say(f"read it before you send it: {path}")
    show({"file": str(path), "holds": names}, as_json=as_json)


@config.command("show")
def config_show(as_json: AsJson = False) -> None:
    """Every setting in force and where it comes from, secrets masked.  Example: sofia config show."""
    from sofia_streams.settings import shown

    show_rows("settings", [line._asdict() for line in shown()], as_json=as_json)

"""Commands that look: status, doctor, logs, debug bundle, config show. Nothing is changed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer

from sofia_streams.cli.output import AsJson, say, show, show_rows
from sofia_streams.errors import ConfigError, SofiaError
from sofia_streams.ops.bundle import write_bundle
from sofia_streams.ops.doctor import examine
from sofia_streams.ops.status import is_well, status
from sofia_streams.ops.up import running_settings
from sofia_streams.settings import Settings, load_settings, shown

debug = typer.Typer(no_args_is_help=True, help="For bug reports.")
config = typer.Typer(no_args_is_help=True, help="Settings.")


def show_status(
    watch: Annotated[bool, typer.Option("--watch", help="Again every few seconds, until Ctrl-C")] = False,
    as_json: AsJson = False,
) -> None:
    """Processes, lag and rates of what runs.  Example: sofia status.  Exit code 1 when something is not well."""
    settings = running_settings(load_settings())
    found = asyncio.run(status(settings))
    try:
        while True:
            show(found, as_json=True) if as_json else _print_status(found)
            if not watch:
                break
            found = asyncio.run(status(settings))
    except KeyboardInterrupt:
        return
    if not is_well(found):
        raise typer.Exit(1)


def _print_status(found: dict[str, object]) -> None:
    print(f"namespace: {found['namespace'] or '(live)'}   broker: {found['broker']}")
    for name in ("processes", "connections", "instruments"):
        rows = found.get(name)
        if isinstance(rows, list):
            show_rows(rows, as_json=False, title=name)
    print(f"lag in records: {found.get('lag', 'unknown')}")


def doctor(as_json: AsJson = False) -> None:
    """Checks broker, topics, stores, disk, ports, clock, exchanges.  Example: sofia doctor.

    Exit code 1 when a check failed; each failure says its cure.
    """
    findings = asyncio.run(examine(running_or_configured()))
    show_rows([finding._asdict() for finding in findings], as_json=as_json)
    if any(finding.state == "failed" for finding in findings):
        raise typer.Exit(1)


def running_or_configured() -> Settings:
    """The settings of what runs here, else those configured."""
    settings = load_settings()
    try:
        return running_settings(settings)
    except ConfigError:
        raise
    except SofiaError:
        return settings


def logs(
    name: Annotated[str | None, typer.Argument(help="A worker or server; none: all, the last lines of each")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """The end of the logs of what runs or ran.  Example: sofia logs ohlcv -n 50."""
    folder = load_settings().data_dir / "log"
    names = sorted(path.stem for path in folder.glob("*.log"))
    if name is not None and name not in names:
        raise ConfigError(f"logs: expected one of {', '.join(names) or '(none yet)'}, found {name!r}.")
    chosen = [name] if name else names
    found = {one: (folder / f"{one}.log").read_text(errors="replace").splitlines()[-lines:] for one in chosen}
    if as_json:
        show(found, as_json=True)
        return
    for one, text in found.items():
        print(f"== {one}")
        print("\n".join(text))


@debug.command("bundle")
def bundle(
    out: Annotated[Path | None, typer.Option(help="Where to; default: sofia-debug-TIME.tar.gz here")] = None,
    as_json: AsJson = False,
) -> None:
    """Redacted settings, versions, logs and status in one file.  Example: sofia debug bundle."""
    settings = running_or_configured()
    found = asyncio.run(status(settings)) if settings.broker_url else {"broker": "nothing runs"}
    path = out or Path(f"sofia-debug-{time.strftime('%Y%m%dT%H%M%S')}.tar.gz")
    names = write_bundle(settings, found, path)
    say(f"read it before you send it: {path}")
    show({"file": str(path), "holds": names}, as_json=as_json)


@config.command("show")
def config_show(as_json: AsJson = False) -> None:
    """Every setting in force and where it comes from, secrets masked.  Example: sofia config show."""
    show_rows([line._asdict() for line in shown()], as_json=as_json)

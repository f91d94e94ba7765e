"""How commands print: progress on stderr, results on stdout, JSON where it is asked for. Colour only on a terminal."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

SCHEMA = 1
"""The version of every JSON object printed: keys are added under one number, never renamed."""
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout")]


def say(message: str) -> None:
    """Progress, for people."""
    print(f"sofia: {message}", file=sys.stderr, flush=True)


def show(value: dict[str, Any], *, as_json: bool) -> None:
    """A result: one JSON object with its schema, or a line for each key."""
    if as_json:
        print(json.dumps({"schema": SCHEMA, **value}, default=str), flush=True)
        return
    for name, one in value.items():
        if name != "schema":
            print(f"{name}: {json.dumps(one, indent=2, default=str) if isinstance(one, dict | list) else one}")


def show_rows(name: str, rows: list[dict[str, Any]], *, as_json: bool, title: str = "") -> None:
    """Results that have the same keys: `{"schema": 1, name: rows}`, or a table."""
    if as_json:
        show({name: rows}, as_json=True)
        return
    if not rows:
        print(f"no {name}")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0], title=title or None)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    if sys.stdout.isatty():
        Console(markup=False).print(table)
    else:
        Console(markup=False, width=400).print(table, crop=False)  # whole cells for whoever reads the pipe


@contextmanager
def wrong_use() -> Iterator[None]:
    """Inside, a ConfigError speaks of what was typed: the command ends with exit code 2."""
    from sofia_streams.errors import ConfigError

    try:
        yield
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None


@contextmanager
def interruptible(last_words: str = "stopped; nothing is left running") -> Iterator[None]:
    """Inside, SIGTERM is taken as Ctrl-C; either ends the command with `last_words` and exit code 1.

    What the command started must be stopped on the way out.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started with it ignored
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    except KeyboardInterrupt:
        say(last_words)
        raise typer.Exit(1) from None
    finally:
        signal.signal(signal.SIGTERM, before)

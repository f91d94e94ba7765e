"""How commands print: progress on stderr, results on stdout, JSON where it is asked for."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout")]


def say(message: str) -> None:
    """Progress, for people."""
    print(f"sofia: {message}", file=sys.stderr, flush=True)


def show(value: Any, *, as_json: bool) -> None:
    """A result: JSON, or a line for each key."""
    if as_json:
        print(json.dumps(value, default=str))
        return
    for name, one in value.items():
        print(f"{name}: {json.dumps(one, indent=2, default=str) if isinstance(one, dict | list) else one}")


def show_rows(rows: list[dict[str, Any]], *, as_json: bool, title: str = "") -> None:
    """Results that have the same keys: JSON, or a table."""
    if as_json:
        print(json.dumps(rows, default=str))
        return
    if not rows:
        print("nothing")
        return
    table = Table(*rows[0], title=title or None)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console(soft_wrap=not sys.stdout.isatty()).print(table)

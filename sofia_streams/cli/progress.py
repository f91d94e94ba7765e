"""How far a command is, on stderr: bars on a terminal, a line for each stage elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sofia_streams.cli.output import say

Report = Callable[[str, int, int], None]
"""Told the stage, what of it is done, and of how much."""


@contextmanager
def drawn(unit: str = "") -> Iterator[Report]:
    """Progress on stderr: a bar on a terminal, a line for each stage elsewhere; with `unit` also how many a second."""
    if not sys.stderr.isatty():
        said: list[str] = []

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in said:
                said.append(stage)
                say(stage)

        yield tell
        return
    from rich import progress as parts
    from rich.console import Console
    from rich.text import Text

    class Pace(parts.ProgressColumn):
        """Of a stage with more than one step."""

        def render(self, task: parts.Task) -> Text:
            pace = task.finished_speed or task.speed
            return Text(f"{pace:,.0f} {unit}/s" if pace and (task.total or 0) > 1 else "")

    columns = ("{task.description:16}", parts.BarColumn(), parts.TaskProgressColumn(), parts.TimeElapsedColumn())
    with parts.Progress(*columns, *([Pace()] if unit else ()), console=Console(stderr=True)) as shown:
        tasks: dict[str, parts.TaskID] = {}

        def draw(stage: str, done: int, total: int) -> None:
            for name, task in tasks.items():
                if name != stage:
                    shown.update(task, completed=1, total=1)
            if stage not in tasks:
                tasks[stage] = shown.add_task(stage)
            shown.update(tasks[stage], completed=done, total=total)

        yield draw

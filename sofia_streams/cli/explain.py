"""The command that says why. Reads the log and the registry; changes nothing."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from sofia_streams.cli.output import AsJson, say, show


def explain(
    name: Annotated[str, typer.Argument(metavar="ID", help="Of an order or a fill; or a reason code like STALE_QUOTE")],
    as_json: AsJson = False,
) -> None:
    """Why an order was made, back to its trades; what a reason code means.  Example: sofia explain STALE_QUOTE.

    Signal, prediction, model, features, bar and trade ids, each with its topic/partition/offset. What retention has
    dropped is said. Exit code 1 where the log has no such order and there is no such code.
    """
    from sofia_streams.core.oms.meanings import MEANINGS
    from sofia_streams.ops.paper.explain import explain as explained
    from sofia_streams.ops.paper.explain_text import lines
    from sofia_streams.ops.supervision.running import running_or_configured

    if name not in MEANINGS:
        say("reading the log")
    found = asyncio.run(explained(running_or_configured(), name))
    if as_json:
        show(found, as_json=True)
        return
    for line in lines(found):
        print(line)

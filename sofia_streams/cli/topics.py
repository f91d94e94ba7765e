"""Commands on the log's topics: list, apply, tail."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from sofia_streams.cli.output import AsJson, show, show_rows

topics = typer.Typer(no_args_is_help=True, help="The log's topics.  Example: sofia topics list.")


@topics.command("list")
def list_topics(as_json: AsJson = False) -> None:
    """Topics on the broker, with their records.  Example: sofia topics list."""
    from sofia_streams.ops.supervision.running import running_or_configured
    from sofia_streams.ops.topics import describe_topics

    show_rows("topics", asyncio.run(describe_topics(running_or_configured())), as_json=as_json)


@topics.command("apply")
def apply(as_json: AsJson = False) -> None:
    """Make and set the topics of the catalogue.  Example: BROKER_URL=kafka://HOST:9092 sofia topics apply."""
    from sofia_streams.ops.supervision.running import running_or_configured
    from sofia_streams.ops.topics import apply_topics

    show({"made": asyncio.run(apply_topics(running_or_configured()))}, as_json=as_json)


@topics.command("tail")
def tail(
    name: Annotated[str, typer.Argument(help="trades, bars, signals, orders, fills, account, control, quarantine …")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=10_000)] = 10,
    as_json: AsJson = False,
) -> None:
    """The last records of a topic.  Example: sofia topics tail quarantine -n 3."""
    from sofia_streams import topics as catalogue
    from sofia_streams.errors import ConfigError
    from sofia_streams.ops.supervision.running import running_or_configured
    from sofia_streams.ops.topics import tail_topic

    if name not in catalogue.TOPICS:
        raise ConfigError(f"topics tail: expected one of {', '.join(catalogue.TOPICS)}, found {name!r}.")
    rows = asyncio.run(tail_topic(running_or_configured(), catalogue.TOPICS[name], count))
    if as_json:
        show({"topic": name, "records": rows}, as_json=True)
        return
    for row in rows:
        print(row["place"], row["key"], row["value"])

"""Commands on paper trading: halt and resume."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import typer

from sofia_streams.cli.output import AsJson, show, wrong_use

_Reason = Annotated[str, typer.Option(help="Kept with the record, at most 200 letters")]


def halt(reason: _Reason = "by command", as_json: AsJson = False) -> None:
    """No new paper orders from now on.  Example: sofia halt --reason "news at 14:00".

    Open orders are cancelled, positions stay; it outlasts restarts, until `sofia resume`. Said in the log's topic
    `control` with your user name, and kept for ever: sofia topics tail control.
    """
    _switch("halt", reason, as_json=as_json)


def resume(reason: _Reason = "by command", as_json: AsJson = False) -> None:
    """Paper orders again after a halt.  Example: sofia resume --reason "checked".

    Also after a halt by the daily loss or the drawdown limit. Kept as `sofia halt` is.
    """
    _switch("resume", reason, as_json=as_json)


def _switch(action: Literal["halt", "resume"], reason: str, *, as_json: bool) -> None:
    from sofia_streams.ops.paper.switch import checked_reason, switch
    from sofia_streams.ops.supervision.running import running_or_configured

    with wrong_use():
        checked_reason(reason)
    show(asyncio.run(switch(running_or_configured(), action, reason=reason)), as_json=as_json)

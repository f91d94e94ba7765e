"""Commands on the paper account: how it stands, halt and resume."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer

from sofia_streams.cli.output import AsJson, show, wrong_use

_Reason = Annotated[str, typer.Option(help="Kept with the record, at most 200 characters")]


def account(
    out: Annotated[Path | None, typer.Option(help="Also write report.json and report.html into this folder")] = None,
    as_json: AsJson = False,
) -> None:
    """How the paper account stands, with its statistics.  Example: sofia account --out report.

    Computed from the log's orders, fills and account records as far back as they are kept (TOPIC_RETENTION_HOURS).
    Figures are explained in docs/paper_trading.md. Exit code 1 where no account has spoken yet.
    """
    from sofia_streams.ops.paper.standing import standing
    from sofia_streams.ops.report.making import headline, write_report
    from sofia_streams.ops.supervision.running import running_or_configured

    found = asyncio.run(standing(running_or_configured()))
    said = found.account
    shown: dict[str, object] = {
        "state": said.state, "reason": said.reason, "at_ns": said.at_ns,
        "equity": f"{said.equity_quote:f}", "cash": f"{said.cash_quote:f}",
        "realised": f"{said.realised_quote:f}", "unrealised": f"{said.unrealised_quote:f}",
        "positions": {one.symbol: f"{one.quantity.normalize():f}" for one in said.positions},
        "open_orders": [one.order_id for one in found.open_orders],
    }  # fmt: skip
    files = [] if out is None else write_report(found.report, out)
    show(shown | headline(found.report) | {"files": [str(one) for one in files]}, as_json=as_json)


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

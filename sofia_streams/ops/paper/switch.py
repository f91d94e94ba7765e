"""The switch of paper trading: a halt, or its end, as a record in `control`. When it takes effect is `paper_oms`'s."""

from __future__ import annotations

import getpass
import os
import time
from typing import Any, Literal

from sofia_streams import topics
from sofia_streams.errors import ConfigError
from sofia_streams.logwrite import Written, write_records
from sofia_streams.paper import ACCOUNT, REASON_CHARS_MAX, Command
from sofia_streams.settings import Settings


def checked_reason(text: str) -> str:
    """A reason as it may stand in the log. Raises ConfigError."""
    if len(text) > REASON_CHARS_MAX or not text.isprintable():
        raise ConfigError(f"--reason: expected at most {REASON_CHARS_MAX} characters on one line, found {text[:40]!r}.")
    return text


async def switch(settings: Settings, action: Literal["halt", "resume"], *, reason: str) -> dict[str, Any]:
    """Say it in `control`, acknowledged when this returns; what was said. Raises ConfigError, KafkaError."""
    said_ns = time.time_ns()
    command = Command(f"{action}-{said_ns}", action, checked_reason(reason), who(), said_ns)
    await write_records(settings, [Written(topics.CONTROL, ACCOUNT, command, said_ns)])
    return {
        "schema": 1,
        "command": command.command_id,
        "action": command.action,
        "reason": command.reason,
        "by": command.by,
        "said_ns": command.said_ns,
        "topic": topics.wire_name(topics.CONTROL, settings.namespace),
    }


def who() -> str:
    """The name of the user who runs this; the number of one who has none (in a container, say)."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = ""
    shown = "".join(sign for sign in name if sign.isprintable() and sign != "|")[:64]
    return shown or f"user {os.getuid()}"

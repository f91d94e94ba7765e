"""What the trainer says: alerts of what it did and could not do, a line in its log of where it stands."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Literal

import structlog

from sofia_streams.core.monitoring.contest import Contest
from sofia_streams.core.monitoring.retraining import Situation, is_in_force
from sofia_streams.model import NS_PER_SECOND, Alert
from sofia_streams.scored import Activation, ModelQuality

_log = structlog.get_logger("trainer")
_SAID_EVERY_S = 300.0
_SOURCE = "trainer"
Tell = Callable[[Alert | ModelQuality], Awaitable[object]]


class Announcer:
    """`tell` puts a record into the log."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell
        self._said_s, self._line = 0.0, ""

    async def failed(self, text: str, failures: int) -> None:
        """A training; `failures` of them in a row by now."""
        await self._alert("training", "warning", f"training failed ({failures} in a row), scoring goes on: {text}")

    async def succeeds_again(self) -> None:
        """After some that failed."""
        await self._alert("training", "info", "training succeeds again")

    async def activated(self, model_id: str, reason: str, cancelled: Sequence[Activation] = ()) -> None:
        """A model is in force; `cancelled` were to be in force later, and a warning says that they will not."""
        text = f"model {model_id} is activated: {reason}"
        if cancelled:
            text += f" This cancels what was to begin later: {', '.join(map(_scheduled, cancelled))}."
        await self._alert(f"model {model_id}", "warning" if cancelled else "info", text)

    async def dropped(self, model_id: str, reason: str) -> None:
        """A challenger that did not win."""
        await self._alert(f"model {model_id}", "info", f"challenger {model_id} is dropped: {reason}")

    async def kept(self, model_id: str, reason: str) -> None:
        """A model that is neither activated nor scored beside: its card is not good enough, or another rule holds."""
        text = f"model {model_id} is not activated by itself: {reason} `sofia models activate {model_id}` does so."
        await self._alert(f"model {model_id}", "warning", text)

    async def _alert(self, matter: str, severity: Literal["info", "warning"], text: str) -> None:
        (_log.info if severity == "info" else _log.warning)(text)
        await self.tell(Alert(f"{_SOURCE}: {matter}", severity, _SOURCE, text, time.time_ns()))

    def where_it_stands(self, situation: Situation, contest: Contest | None, *, is_training: bool) -> None:
        """A line in the log when it changes, but for numbers, and every five minutes."""
        kind = "training" if is_training else "model" if is_in_force(situation) else "no model"
        if kind == self._line and time.monotonic() < self._said_s + _SAID_EVERY_S:
            return
        self._line, self._said_s = kind, time.monotonic()
        if kind == "training":
            _log.info("a model is being trained")
        elif kind == "model":
            contest_says = "none" if contest is None else str(contest.verdict())
            _log.info("a model is in force", drift=situation.drift, degraded=situation.degraded, contest=contest_says)
        else:
            _log.warning(
                "no model yet: a first one is trained once there are enough bars; `sofia download` fetches klines that "
                "`sofia train --data` can train on at once",
                bars=situation.windows, of=situation.windows_needed,
            )  # fmt: skip


def _scheduled(activation: Activation) -> str:
    begins = datetime.fromtimestamp(activation.from_ns // NS_PER_SECOND, UTC)
    return f"{activation.model_id} from {begins:%Y-%m-%dT%H:%M:%SZ}"

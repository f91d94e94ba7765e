"""Alerts of `sofia up`: said on the terminal at once, put into the log as soon as it answers. Notifies nobody."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from aiokafka.errors import KafkaError

from sofia_streams import codec, topics
from sofia_streams.errors import BadRecord
from sofia_streams.logread import whole_topic
from sofia_streams.logwrite import Written, write_records
from sofia_streams.model import Alert
from sofia_streams.settings import Settings

_WAITING_MAX, _ANSWER_S, _EVERY_S = 100, 10.0, 0.5
_SHOWN_S = 24 * 3600
SOURCE = "sofia up"
Severity = Literal["info", "warning", "critical"]


class Alerts:
    """A bounded list of what is to be said; `run` sends it."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings, self.say = settings, say
        self._waiting: deque[Alert] = deque(maxlen=_WAITING_MAX)

    def add(self, matter: str, severity: Severity, text: str) -> None:
        """Say it now, and have it sent; the same `matter` is the same alert."""
        self.say(text)
        self._waiting.append(Alert(f"{SOURCE}: {matter}", severity, SOURCE, text, time.time_ns()))

    async def run(self) -> None:
        """Send for ever. What the log does not take is tried again."""
        while True:
            await asyncio.sleep(_EVERY_S)
            if self._waiting:
                try:
                    async with asyncio.timeout(_ANSWER_S):
                        await self._send()
                except (KafkaError, OSError, TimeoutError):
                    continue  # the log is away; the terminal has it

    async def _send(self) -> None:
        sent = list(self._waiting)
        await write_records(self._settings, [Written(topics.ALERTS, one.source, one, one.at_ns) for one in sent])
        for alert in sent:
            if alert in self._waiting:
                self._waiting.remove(alert)


async def open_alerts(settings: Settings, now_ns: int) -> list[Alert]:
    """The newest of each critical matter of the last 24 hours, oldest first. Raises KafkaError."""
    newest: dict[str, Alert] = {}
    async for value in whole_topic(settings, topics.ALERTS):
        try:
            alert = codec.decode_alert(value)
        except BadRecord:
            continue  # its readers quarantine it
        newest.pop(alert.alert_id, None)
        newest[alert.alert_id] = alert
    since_ns = now_ns - _SHOWN_S * 1_000_000_000
    return [alert for alert in newest.values() if alert.severity == "critical" and alert.at_ns >= since_ns]

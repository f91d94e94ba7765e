"""Alerts of `sofia up`: said on the terminal at once, put into the log as soon as it answers. Notifies nobody."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from aiokafka.errors import KafkaError

from sofia_streams import codec, topics
from sofia_streams.errors import BadRecord, NotWritten
from sofia_streams.logread import whole_topic
from sofia_streams.logwrite import Written, write_records
from sofia_streams.model import Alert
from sofia_streams.ops.supervision.running import note_blind
from sofia_streams.ops.supervision.sight import Blind
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


class BlindnessTold:
    """Tells where the watch of `sofia up` does not see: on the terminal, in `alerts`, in a note for `sofia status`."""

    def __init__(self, alerts: Alerts, data_dir: Path) -> None:
        self._alerts, self._data_dir = alerts, data_dir

    def __call__(self, blind: Blind | None) -> None:
        """None: it sees all again."""
        text = ""
        if blind is None:
            self._alerts.add("the watch is blind", "info", "the watch sees how far all workers are again")
        else:
            text = (
                f"the watch has not seen for {blind.seconds:.0f} s how far {', '.join(blind.workers)} is: {blind.why}. "
                "Until it does, nobody notices a worker that stands still, and none is killed. Is the machine or the "
                "broker overloaded, and are all topics there? `sofia doctor` and `sofia logs kafka` say more."
            )
            self._alerts.add("the watch is blind", "warning", text)
        try:
            note_blind(self._data_dir, text)
        except NotWritten as error:
            self._alerts.say(str(error))  # `status` will not know


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

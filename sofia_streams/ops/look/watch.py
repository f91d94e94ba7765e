"""What the log says right now: progress of ingest, newest bars and signals, the paper account. Commits nothing."""

from __future__ import annotations

import time
from typing import NamedTuple, Self

from sofia_streams import codec, topics
from sofia_streams.core.bars.windows import instrument_key
from sofia_streams.errors import BadRecord
from sofia_streams.logread import connected, places
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Bar, Progress
from sofia_streams.paper import Account
from sofia_streams.scored import Signal
from sofia_streams.settings import Settings

_BARS_MAX = 2_000


class ConnectionState(NamedTuple):
    """One connection of ingest, as the last progress report has it.

    `delay_ms` is the smallest receipt minus exchange time of its venue's prints lately: negative where the venue's
    clock is ahead of ours. `wins` counts trades that it had before another line.
    """

    name: str
    connected: bool
    reconnects: int
    frames_per_s: float
    age_s: float
    delay_ms: float | None = None
    wins: int = 0


class InstrumentState(NamedTuple):
    """One instrument: its rate, and its newest bar of each size."""

    name: str
    trades: int
    trades_per_s: float
    second: Bar | None
    minute: Bar | None


class Watcher:
    """Follows the log from the moment it is entered (and `health` from its last record). A context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reports: list[Progress] = []
        self._bars: dict[tuple[str, int], Bar] = {}
        self._signals: dict[str, Signal] = {}
        self.account: Account | None = None
        """As it was said last; None before."""

    async def __aenter__(self) -> Self:
        """Connect. Raises KafkaError."""
        (health,), (account,) = places(self._settings, topics.HEALTH), places(self._settings, topics.ACCOUNT)
        bars, signals = places(self._settings, topics.BARS), places(self._settings, topics.SIGNALS)
        self._health, self._scored, self._paper = health.topic, signals[0].topic, account.topic
        self._consumer = await connected(self._settings, begin="latest")
        self._consumer.assign([health, account, *bars, *signals])
        ends = await self._consumer.end_offsets([health, account])
        self._consumer.seek(health, max(0, ends[health] - 2))
        self._consumer.seek(account, max(0, ends[account] - 3))
        await self._consumer.seek_to_end(*bars, *signals)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._consumer.stop()

    async def poll(self, timeout_s: float) -> None:
        """Take what is there, waiting for the first record at most so long. Raises KafkaError."""
        for place, messages in (await self._consumer.getmany(timeout_ms=int(timeout_s * 1e3))).items():
            for message in messages:
                try:
                    self._take(place.topic, message.value)
                except BadRecord:
                    continue  # its readers quarantine it

    async def listen(self, seconds: float) -> None:
        """Poll for so long. Raises KafkaError."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            await self.poll(left_s)

    def _take(self, topic: str, value: bytes) -> None:
        if topic == self._health:
            self._reports = [*self._reports[-1:], codec.decode_progress(value)]
            return
        if topic == self._scored:
            found = codec.decode_signals(value)
            if isinstance(found, Signal) and len(self._signals) < _BARS_MAX:
                self._signals[found.symbol] = found
            return
        if topic == self._paper:
            said = codec.decode_account(value)
            self.account = said if isinstance(said, Account) else self.account
            return
        bar = codec.decode_bar(value)
        if bar is None:
            return
        key = (instrument_key(bar.venue, bar.market, bar.symbol), bar.size_ns)
        known = self._bars.get(key)
        if (known is None or bar.start_ns >= known.start_ns) and len(self._bars) < _BARS_MAX:
            self._bars[key] = bar

    def signals(self) -> list[Signal]:
        """The newest of each symbol."""
        return [self._signals[symbol] for symbol in sorted(self._signals)]

    @property
    def has_bar(self) -> bool:
        """Whether any candle was seen."""
        return bool(self._bars)

    def connections(self) -> list[ConnectionState]:
        """Ingest's connections."""
        found = []
        latest = self._latest()
        for name, counts in latest.items():
            if "connected" in counts:
                age_s = max(0.0, time.time() - counts["heard_ns"] / 1e9) if counts["heard_ns"] else -1.0
                rate = self._rate(name, "frames")
                delay_us = latest.get(name.partition("-")[0], {}).get("delay_us")
                delay_ms = None if delay_us is None else delay_us / 1e3
                state = ConnectionState(name, bool(counts["connected"]), counts["reconnects"], rate, age_s, delay_ms)
                found.append(state._replace(wins=counts.get("wins", 0)))
        return sorted(found)

    def instruments(self) -> list[InstrumentState]:
        """All instruments that ingest or a bar named."""
        latest = self._latest()
        names = {name for name, counts in latest.items() if "trades" in counts} | {name for name, _ in self._bars}
        return [
            InstrumentState(
                name,
                latest.get(name, {}).get("trades", 0),
                self._rate(name, "trades"),
                self._bars.get((name, NS_PER_SECOND)),
                self._bars.get((name, NS_PER_MINUTE)),
            )
            for name in sorted(names)
        ]

    def silent(self) -> list[tuple[str, str]]:
        """Instruments that do not come, and why: refused by their venue, or subscribed and never sent."""
        marks = {"rejected": "refused by the venue", "unheard": "subscribed, but nothing came",
                 "silent": "silent for longer than is usual for it"}  # fmt: skip
        latest = sorted(self._latest().items())
        return [(name, why) for name, counts in latest for mark, why in marks.items() if counts.get(mark)]

    def _latest(self) -> dict[str, dict[str, int]]:
        return self._reports[-1].counts if self._reports else {}

    def _rate(self, name: str, what: str) -> float:
        if len(self._reports) < 2:
            return 0.0
        before, after = self._reports
        elapsed_s = (after.at_ns - before.at_ns) / 1e9
        grown = after.counts.get(name, {}).get(what, 0) - before.counts.get(name, {}).get(what, 0)
        return max(0.0, grown / elapsed_s) if elapsed_s > 0 else 0.0

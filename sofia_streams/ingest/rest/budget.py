"""How often a venue's REST is asked, whoever asks: within its rate, and not at all while it says no.

All processes of a data directory go by one budget, which is kept in a folder (`shared`) where one is named.

ccxt's own limiter stays on, since it spaces the requests that one of its calls makes by itself. It is not enough: it
belongs to one client, goes up to the venue's whole limit, and knows nothing of bans.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

from sofia_streams.core.feeds.budget import Bucket, Rate, grant
from sofia_streams.errors import DependencyDown
from sofia_streams.ingest.rest.shared import Closure, Moment, Shared

RATES = {
    "binance": Rate(2_500, 500),  # weight; 6,000 a minute are allowed
    "okx": Rate(210, 3),  # requests; 20 in 2 s are allowed on history-trades and on instruments
    "coinbase": Rate(300, 5),  # requests; 10 a second, 15 at once are allowed
    "bybit": Rate(1_200, 20),  # requests; 600 in 5 s are allowed
}
"""At most half of what the venues document, within any time they count by: other programs may share the address."""
WAIT_S_MAX = 20.0
"""A pause of a busy venue that is longer is an error for who asks, rather than a wait."""


class RestBudget:
    """The budget of one venue. All times by the monotonic clock, but those that a reader is told."""

    def __init__(self, venue: str, shared: Shared | None = None) -> None:
        self._venue, self._rate, self._bucket = venue, RATES[venue], Bucket()
        self._closed_until_ns, self._why, self._is_ban = 0, "", False
        self._shared = shared

    async def close(self, seconds: float, why: str, *, is_ban: bool) -> str:
        """No request for so long; a longer closure that stands stays. When it ends, in words."""
        until_ns = time.monotonic_ns() + int(seconds * 1e9)
        self._learn(until_ns, why, is_ban=is_ban)
        if self._shared is not None:
            await self._shared.close(Closure(Moment.at(until_ns), why, is_ban))
        return self._ends()

    async def admit(self, what: str, weight: int) -> None:
        """Wait until this may be sent. Raises DependencyDown, at once, during a ban or a pause too long to wait for."""
        while True:
            self._check(what)
            await _until(self._closed_until_ns)
            await _until(await self._granted(weight))
            self._look()
            if self._closed_until_ns <= time.monotonic_ns():
                return  # else it was closed meanwhile: who waited does not go at once with all others afterwards

    async def _granted(self, weight: int) -> int:
        """From when on it may be sent."""
        if self._shared is None:
            self._bucket, at_ns = grant(self._rate, self._bucket, weight, time.monotonic_ns())
            return at_ns
        async with self._shared.turn() as is_ours:
            self._bucket, at_ns = self._shared.grant(self._rate, self._bucket, weight, is_ours=is_ours)
        return at_ns

    def _learn(self, until_ns: int, why: str, *, is_ban: bool) -> None:
        if until_ns > self._closed_until_ns:
            self._closed_until_ns, self._why, self._is_ban = until_ns, why, is_ban

    def _look(self) -> None:
        """What other processes were told."""
        closure = self._shared.closure() if self._shared is not None else None
        if closure is not None:
            self._learn(closure.until.here_ns(), closure.why, is_ban=closure.is_ban)

    def _check(self, what: str) -> None:
        self._look()
        left_s = (self._closed_until_ns - time.monotonic_ns()) / 1e9
        if left_s > (0 if self._is_ban else WAIT_S_MAX):
            raise DependencyDown(
                f"{self._venue}: expected {what}, found that the venue said {self._why}. It is not asked before "
                f"{self._ends()}, so that this does not get worse."
            )

    def _ends(self) -> str:
        left_s = (self._closed_until_ns - time.monotonic_ns()) / 1e9
        return f"{datetime.fromtimestamp(time.time() + left_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


async def _until(at_ns: int) -> None:
    await asyncio.sleep(max(0, at_ns - time.monotonic_ns()) / 1e9)


_budgets: dict[tuple[str, str | None, Path | None], RestBudget] = {}


def budget_of(venue: str, rest_url: str | None, folder: Path | None = None) -> RestBudget:
    """The one of this venue, of all processes that name this folder (None: of this process alone).

    What stands in for a venue has its own.
    """
    folder = folder.resolve() if folder is not None else None
    key = (venue, rest_url, folder)
    if key not in _budgets:
        _budgets[key] = RestBudget(venue, Shared(folder, venue, rest_url) if folder is not None else None)
    return _budgets[key]


def forget_budgets() -> None:
    """Every venue as if never asked; for tests, whose servers come and go on the same ports."""
    _budgets.clear()

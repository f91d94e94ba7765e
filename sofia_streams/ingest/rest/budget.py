"""How often a venue's REST is asked by this process, whoever asks: within its rate, and not at all while it says no.

ccxt's own limiter stays on, since it spaces the requests that one of its calls makes by itself. It is not enough: it
belongs to one client, goes up to the venue's whole limit, and knows nothing of bans.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from sofia_streams.core.budget import Bucket, Rate, grant
from sofia_streams.errors import DependencyDown

RATES = {
    "binance": Rate(2_500, 500),  # weight; 6,000 a minute are allowed
    "okx": Rate(300, 4),  # requests; 20 in 2 s are allowed on history-trades and on instruments
    "coinbase": Rate(300, 5),  # requests; 10 a second, 15 at once are allowed
    "bybit": Rate(1_200, 20),  # requests; 600 in 5 s are allowed
}
"""At most half of what the venues document: other programs may share the address."""
WAIT_S_MAX = 20.0
"""A pause of a busy venue that is longer is an error for who asks, rather than a wait."""


class RestBudget:
    """The budget of one venue. All times by the monotonic clock, but those that a reader is told."""

    def __init__(self, venue: str) -> None:
        self._venue, self._rate, self._bucket = venue, RATES[venue], Bucket()
        self._closed_until_ns, self._why, self._is_ban = 0, "", False

    def close(self, seconds: float, why: str, *, is_ban: bool) -> str:
        """No request for so long; a longer closure that stands stays. When it ends, in words."""
        until_ns = time.monotonic_ns() + int(seconds * 1e9)
        if until_ns > self._closed_until_ns:
            self._closed_until_ns, self._why, self._is_ban = until_ns, why, is_ban
        return self._ends()

    async def admit(self, what: str, weight: int) -> None:
        """Wait until this may be sent. Raises DependencyDown, at once, during a ban or a pause too long to wait for."""
        while True:
            self._check(what)
            await _until(self._closed_until_ns)
            self._bucket, at_ns = grant(self._rate, self._bucket, weight, time.monotonic_ns())
            await _until(at_ns)
            if self._closed_until_ns <= time.monotonic_ns():
                return  # else it was closed meanwhile: who waited does not go at once with all others afterwards

    def _check(self, what: str) -> None:
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


_budgets: dict[tuple[str, str | None], RestBudget] = {}


def budget_of(venue: str, rest_url: str | None) -> RestBudget:
    """The one of this venue in this process; what stands in for a venue has its own."""
    return _budgets.setdefault((venue, rest_url), RestBudget(venue))


def forget_budgets() -> None:
    """Every venue as if never asked; for tests, whose servers come and go on the same ports."""
    _budgets.clear()

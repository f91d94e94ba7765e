"""What venues charge, at their lowest tier, dated. Charged in the quote currency, also where a venue takes the base.

Sources: ccxt 4.5.90's tables and the venues' fee pages, read 2026-11-23; regional entities have others. `PAPER_FEES`
says otherwise for an account.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from sofia_streams.core.oms.money import BPS
from sofia_streams.core.oms.rules import Rules


class Schedule(NamedTuple):
    """Rates as fractions of the notional, and the name that every fill keeps."""

    maker: Decimal
    taker: Decimal
    name: str


_NONE = Schedule(Decimal(0), Decimal(0), "none")
SCHEDULES = {
    "binance": Schedule(Decimal("0.0010"), Decimal("0.0010"), "binance-vip0-2026-11"),
    "okx": Schedule(Decimal("0.0008"), Decimal("0.0010"), "okx-lv1-2026-11"),
    "bybit": Schedule(Decimal("0.0010"), Decimal("0.0010"), "bybit-vip0-2026-11"),
    "coinbase": Schedule(Decimal("0.0060"), Decimal("0.0120"), "coinbase-intro1-2026-11"),
}


def schedules_of(rules: Rules) -> dict[str, Schedule]:
    """By venue: the account's own where it has one, else the dated one."""
    own = {venue: Schedule(maker * BPS, taker * BPS, f"{venue}-configured") for venue, maker, taker in rules.fees}
    return SCHEDULES | own


def schedule_of(schedules: dict[str, Schedule], venue: str) -> Schedule:
    """Of a venue; of one that is not known nothing is charged, and its fills say "none"."""
    return schedules.get(venue, _NONE)

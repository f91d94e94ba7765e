"""The stretch of the log that is compared: in whole minutes, so that no bar is cut."""

from __future__ import annotations

import time

from sofia_streams.model import NS_PER_MINUTE
from sofia_streams.ops.times import ago_or_utc_ns, check_order
from sofia_streams.ops.verify.log import Span


def span_of(start: str | None, end: str | None, now_ns: int | None = None) -> Span:
    """From the minute in which `start` lies to the end of that of `end`; None: no bound. Raises ConfigError."""
    at_ns = time.time_ns() if now_ns is None else now_ns
    from_ns = None if start is None else ago_or_utc_ns(start, "--from", at_ns) // NS_PER_MINUTE * NS_PER_MINUTE
    until_ns = None if end is None else -(-ago_or_utc_ns(end, "--to", at_ns) // NS_PER_MINUTE) * NS_PER_MINUTE
    check_order(from_ns, until_ns, start, end)
    return Span(from_ns, until_ns)

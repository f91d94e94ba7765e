"""Runs the exchange simulator: a generated market, or recordings, on one port until it is stopped."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from websockets.asyncio.server import serve

from sofia_streams.capture import CapturedFrame
from sofia_streams.errors import BadFrame, ConfigError
from sofia_streams.model import Control
from sofia_streams.ops.replay import merged_frames
from sofia_streams.simulator.market import Market, Plan
from sofia_streams.simulator.server import Exchanges, Sent, encoded
from sofia_streams.venues.registry import VENUES, check_venue

HOST = "127.0.0.1"
Listed = dict[tuple[str, str], frozenset[str]]


def check_plan(plan: Plan) -> None:
    """Raise ConfigError for an unknown venue, a rate that is not positive, or no symbols."""
    for venue in plan.venues:
        check_venue(venue)
    if plan.rate <= 0 or not plan.symbols:
        raise ConfigError(f"simulate: expected a rate above 0 and symbols, found {plan.rate} and {plan.symbols}")


async def simulate_generated(
    plan: Plan, *, port: int, faults: Mapping[str, float], say: Callable[[str], None], host: str = HOST
) -> None:
    """Serve a generated market from now on, for ever. Raises ConfigError, OSError where the port is taken."""
    check_plan(plan)
    market = Market(plan, time.time_ns())
    listed: dict[tuple[str, str], set[str]] = defaultdict(set)
    for (venue, _), instrument in market.instruments.items():
        listed[venue, "spot"].add(instrument.listing)
    await _serve(_frozen(listed), encoded(market.events()), port, faults, plan.seed, say, host)


async def simulate_recorded(
    paths: Sequence[Path],
    *,
    port: int,
    speed: float,
    faults: Mapping[str, float],
    say: Callable[[str], None],
    host: str = HOST,
) -> None:
    """Serve recorded frames at a multiple of their pace, until they end. Raises BadCapture, OSError."""
    listed: dict[tuple[str, str], set[str]] = defaultdict(set)
    for frame in merged_frames(paths):
        listed[frame.venue, frame.market].update(_listings(frame))
    await _serve(_frozen(listed), _paced(merged_frames(paths), speed), port, faults, 1, say, host)


def _frozen(listed: Mapping[tuple[str, str], set[str]]) -> Listed:
    return {place: frozenset(names) for place, names in listed.items()}


def _listings(frame: CapturedFrame) -> set[str]:
    if frame.direction == "out":
        return set()
    try:
        found = VENUES[frame.venue].parse(frame.frame.encode("utf-8", "surrogatepass"), received_ns=frame.received_ns)
    except BadFrame:
        return set()
    return {record.venue_symbol for record in found if not isinstance(record, Control)}


def _paced(frames: Iterable[CapturedFrame], speed: float) -> Iterator[Sent]:
    start_ns, first_ns = time.time_ns(), 0
    for frame in frames:
        first_ns = first_ns or frame.received_ns
        if frame.direction == "in":
            at_ns = start_ns + int((frame.received_ns - first_ns) / speed)
            yield Sent(at_ns, frame.venue, frame.market, None, [frame.frame])


async def _serve(
    listed: Listed,
    market: Iterator[Sent],
    port: int,
    faults: Mapping[str, float],
    seed: int,
    say: Callable[[str], None],
    host: str,
) -> None:
    exchanges = Exchanges(listed, faults, seed)
    async with serve(exchanges.serve, host, port, compression=None) as server:
        found = next(iter(server.sockets)).getsockname()[1]
        for venue, market_name in sorted(listed):
            say(f"ws://{host}:{found}/{venue}/{market_name} lists {len(listed[venue, market_name])} instruments")
        await exchanges.run(market)

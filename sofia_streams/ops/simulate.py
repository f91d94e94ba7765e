"""Runs the exchange simulator: a generated market, a tape, or recordings, on one port until it ends or is stopped."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

from websockets.asyncio.server import serve

from sofia_streams.capture import merged_frames
from sofia_streams.embedded.ports import HOST
from sofia_streams.errors import BadCapture, ConfigError, DependencyDown, NotWritten
from sofia_streams.model import NS_PER_MS
from sofia_streams.settings.values import unified_name
from sofia_streams.simulator.control import SKEW_S_MAX
from sofia_streams.simulator.faults import Fault
from sofia_streams.simulator.history import Path as PricePath
from sofia_streams.simulator.ledger import Ledger
from sofia_streams.simulator.market import Market, Plan, skewed
from sofia_streams.simulator.playback import Listed, in_a_row, listed_in, paced, played
from sofia_streams.simulator.rest import Rest
from sofia_streams.simulator.sent import Sent, encoded
from sofia_streams.simulator.server import Exchanges
from sofia_streams.simulator.tape import TapeMarket, read_reels
from sofia_streams.venues.registry import check_venue

TAPE = Path(__file__).parents[1] / "simulator" / "data" / "binance-spot-btcusdt-20240808-trades.jsonl.gz"
"""The tape of the demo; its source and licence stand beside it."""
_SPEED_MIN, _SPEED_MAX = 0.01, 1e9
_RATE_MAX = 1_000_000.0


class Source(NamedTuple):
    """What is served. A recording waits for subscribers, at full speed for slow ones as well; it has no REST."""

    listed: Listed
    sent: Callable[[], Iterator[Sent]]
    is_recording: bool = False
    is_patient: bool = False
    skew_ns: dict[str, int] | None = None
    rest: Rest | None = None


def checked_market(market: str | None, paths: Sequence[Path]) -> str:
    """What to serve. Raises ConfigError where captures are missing or not meant."""
    found = market or ("recorded" if paths else "generated")
    if (found == "recorded" and not paths) or (found == "generated" and paths):
        wanted = "captures" if found == "recorded" else "no captures"
        raise ConfigError(f"simulate: --market {found}: expected {wanted}, found {len(paths)}. Leave --market out.")
    return found


def checked_speed(text: str) -> float | None:
    """A multiple of the recorded pace, None for `max`. Raises ConfigError."""
    try:
        speed = None if text == "max" else float(text)
    except ValueError:
        speed = 0.0
    if speed is not None and not _SPEED_MIN <= speed <= _SPEED_MAX:
        raise ConfigError(f"simulate: --speed: expected max or a number from {_SPEED_MIN}, found {text[:40]!r}")
    return speed


def checked_plan(venues: str, symbols: str, rate: float, seed: int = 1, *, even: bool = False) -> Plan:
    """A plan from comma lists. Raises ConfigError: an unknown venue, a symbol that is no pair, a rate out of bounds."""
    names = [name.strip() for name in venues.split(",") if name.strip()]
    for name in names:
        check_venue(name)
    try:
        pairs = [unified_name(name.strip()) for name in symbols.split(",") if name.strip()]
    except ValueError as error:
        raise ConfigError(f"simulate: --symbols: {error}") from error
    if not 0 < rate <= _RATE_MAX or not names or not pairs:
        raise ConfigError(
            f"simulate: expected venues, symbols and a rate above 0 and up to {_RATE_MAX:.0f}, "
            f"found {venues!r}, {symbols!r} and {rate}"
        )
    return Plan(tuple(dict.fromkeys(names)), tuple(dict.fromkeys(pairs)), rate, seed, even)


def generated(plan: Plan, *, skew_s: float = 0.0) -> Source:
    """A generated market from now on, for ever. Raises ConfigError."""
    start_ns = time.time_ns()
    return _of_market(Market(plan, start_ns), plan, start_ns, skew_s)


def taped(plan: Plan, paths: Sequence[Path] = (), *, skew_s: float = 0.0) -> Source:
    """The tape of these captures (none: the one shipped) from now on, for ever. Raises BadCapture, ConfigError."""
    reels = read_reels(merged_frames(list(paths) or [TAPE]))
    start_ns = time.time_ns()
    return _of_market(TapeMarket(plan, reels, start_ns), plan, start_ns, skew_s)


def recorded(paths: Sequence[Path], *, speed: float | None = 1.0, loop: bool = False) -> Source:
    """Recorded frames as they are, at a multiple of their pace or (None) as fast as clients read.

    All of it is read once before anything is served. Raises BadCapture.
    """
    listed = listed_in(merged_frames(paths))
    if not listed:
        names = ", ".join(map(str, paths))
        raise BadCapture(f"{names}: expected trades or tickers of an instrument, found none. Give another capture.")

    def sent() -> Iterator[Sent]:
        runs: Iterable[None] = repeat(None) if loop else [None]
        return paced(in_a_row(played(merged_frames(paths)) for _ in runs), time.time_ns(), speed)

    return Source(listed, sent, is_recording=True, is_patient=speed is None)


def _of_market(market: Market | TapeMarket, plan: Plan, start_ns: int, skew_s: float) -> Source:
    if not -SKEW_S_MAX <= skew_s <= SKEW_S_MAX:
        raise ConfigError(f"simulate: expected a skew of at most a day either way, found {skew_s} s")
    listed: dict[tuple[str, str], set[str]] = defaultdict(set)
    for (venue, _), instrument in market.instruments.items():
        listed[venue, "spot"].add(instrument.listing)
    frozen = {place: frozenset(names) for place, names in listed.items()}
    skew_ns = {venue: round(skew_s * 1e9) for venue, _ in listed}
    opened_ms = (start_ns + round(skew_s * 1e9)) // NS_PER_MS  # by the venues' clocks
    paths = {
        one.symbol: PricePath(one.symbol, one.opens_at, opened_ms, plan.seed) for one in market.instruments.values()
    }
    rest = Rest(market.instruments.values(), paths)
    return Source(frozen, lambda: encoded(skewed(market.events(), skew_ns)), skew_ns=skew_ns, rest=rest)


async def simulate(
    source: Source,
    *,
    port: int,
    faults: Mapping[str, Fault],
    say: Callable[[str], None],
    seed: int = 1,
    host: str = HOST,
    opened: Callable[[int], None] = lambda port: None,
    control: bool = False,
    ledger: Path | None = None,
) -> dict[str, Any]:
    """Serve until the source ends, SIGINT or SIGTERM; the counts. `opened` is told the port.

    `control` lets clients make faults over HTTP; every trade of a made market is written to `ledger`. Raises
    DependencyDown where the port is taken, BadCapture where a file changes meanwhile, NotWritten, ConfigError.
    """
    book = checked_ledger(ledger, source)
    exchanges = Exchanges(source.listed, faults, seed, source.skew_ns, source.rest, control=control, ledger=book)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        async with serve(exchanges.serve, host, port, compression=None, process_request=exchanges.plain_http) as server:
            found = next(iter(server.sockets)).getsockname()[1]
            _announce(source, f"{host}:{found}", say)
            opened(found)
            await _first(_run(exchanges, source, say), stop.wait())
            return exchanges.stats()
    except NotWritten:
        raise
    except OSError as error:
        raise DependencyDown(
            f"simulate: expected to listen on {host}:{port}, found {error.strerror or error}. Give another --port."
        ) from error
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        if book:
            book.close()


def checked_ledger(path: Path | None, source: Source) -> Ledger | None:
    """The ledger, if one is wanted. Raises ConfigError for a recording, and a file that cannot be written."""
    if path is None:
        return None
    if source.is_recording:
        raise ConfigError(
            "--ledger: expected a generated market or a tape, found recordings. They are their own truth."
        )
    return Ledger(path)


def _announce(source: Source, address: str, say: Callable[[str], None]) -> None:
    for (venue, market), names in sorted(source.listed.items()):
        say(f"ws://{address}/{venue}/{market} lists {len(names)} instruments")
    say(f"counts: http://{address}/stats   ingest: SIMULATOR_URL=ws://{address}")


async def _run(exchanges: Exchanges, source: Source, say: Callable[[str], None]) -> None:
    if source.is_recording:
        say("the recording begins with the first subscription")
        await exchanges.settled()
    await exchanges.run(source.sent(), patient=source.is_patient)


async def _first(*works: Any) -> None:
    """Until one of them ends; its error is raised, the others are cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()

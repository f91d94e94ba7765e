"""Beside live ingest, once after its start: does every venue list what is configured? Warns; stops and delays nothing.

Run as a module it is the process that asks, because ccxt is large and its work would hold up frames:
`python -m sofia_streams.ingest.rest.listing_check` prints one JSON object. That process cannot outlive who started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

import msgspec
import structlog

from sofia_streams.embedded import launch
from sofia_streams.ingest.rest.instruments import Instrument, Place, Unlisted, survey
from sofia_streams.obs import metrics
from sofia_streams.settings import Settings, load_settings, worker_environment

_log = structlog.get_logger("instruments")
_SETTLE_S = 5.0
"""The first seconds belong to the sockets."""
_PATIENCE_S = 180.0


class Found(msgspec.Struct):
    """What the asking process says; `notes` are lines for a reader."""

    instruments: list[Instrument]
    unlisted: list[Unlisted]
    failed: dict[str, str]
    notes: list[str]


async def check_listings(settings: Settings, settle_s: float = _SETTLE_S) -> Found | None:
    """Ask, warn of every pair that a venue does not list or does not trade now, and count them. Raises nothing."""
    await asyncio.sleep(settle_s)
    try:
        found = await _asked(settings)
    except (OSError, TimeoutError, msgspec.MsgspecError) as error:
        _log.warning("what the venues list could not be checked; trades go on", reason=str(error) or repr(error))
        return None
    for text in (*found.failed.values(), *found.notes):
        _log.warning("what a venue lists could not be checked now; trades go on", reason=text)
    for one in found.unlisted:
        _log.warning("configured, but not listed", venue=one.venue, symbol=one.symbol, near=", ".join(one.near))
    resting = [one for one in found.instruments if not one.active]
    for instrument in resting:
        _log.warning("listed, but not trading now", venue=instrument.venue, symbol=instrument.symbol)
    venues = [one.venue for one in found.unlisted] + [instrument.venue for instrument in resting]
    for name in settings.crypto_exchanges:
        if name not in found.failed:
            metrics.UNLISTED.labels(name).set(venues.count(name))
    return found


async def _asked(settings: Settings) -> Found:
    """Raises OSError, TimeoutError, MsgspecError where the process fails, hangs or says something else."""
    command = [sys.executable, launch.__file__, str(os.getpid()), "0", sys.executable, "-m", __name__]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **worker_environment(settings)},
        start_new_session=True,  # Ctrl-C is for the worker, which ends this one
    )
    try:
        async with asyncio.timeout(_PATIENCE_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        raise OSError(f"expected an answer, found that the asking process ended with {process.returncode}")
    return msgspec.json.decode(said, type=Found)


async def _ask_all(settings: Settings) -> Found:
    notes: list[str] = []
    place = Place.of(settings, notes.append)
    found = await survey(settings, settings.crypto_exchanges, settings.crypto_symbols, place)
    return Found(*found, notes)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_ask_all(load_settings()))))

"""`sofia doctor`: is everything there that a run needs? Each failure comes with its cure. Changes nothing."""

from __future__ import annotations

import asyncio
import resource
import shutil
import socket
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from sofia_streams import topics
from sofia_streams.core.scoring import trees
from sofia_streams.embedded import java
from sofia_streams.embedded.ports import HOST
from sofia_streams.embedded.stack import Ports
from sofia_streams.errors import BadModel, SofiaError
from sofia_streams.settings import Settings
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.stores.redis_streams import EVICTION_CURE, RedisStreams
from sofia_streams.training.registry import Registry
from sofia_streams.venues.registry import VENUES

_DISK_GB_MIN = 2.0
_CONNECT_S = 5.0
_CLOCK_MS_MAX = 1_000.0
_OPEN_FILES_MIN = 4_096


class Finding(NamedTuple):
    """One check. `state` is ok, warning, failed or skipped."""

    check: str
    state: str
    found: str
    cure: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """All checks, one after the other; none raises."""
    checks: list[tuple[str, Callable[[Settings], Awaitable[Finding]]]] = [
        ("broker", _broker),
        ("topics", _topics),
        ("questdb", _questdb),
        ("fallback", _fallback),
        ("redis", _redis),
        ("models", _models),
        ("java", _java),
        ("disk", _disk),
        ("open files", _open_files),
        ("ports", _ports),
        ("clock", _clock),
    ]
    findings = []
    for name, check in checks:
        try:
            findings.append(await check(settings))
        except (SofiaError, KafkaError, OSError, ValueError, TimeoutError) as error:
            findings.append(Finding(name, "failed", str(error)[:300], "See the error; `sofia logs` has more."))
    return [*findings, *await asyncio.gather(*(_venue(venue, settings) for venue in settings.crypto_exchanges))]


async def _broker(settings: Settings) -> Finding:
    if settings.broker_url is None:
        return Finding("broker", "skipped", "no BROKER_URL and nothing runs here", "`sofia up` starts one.")
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.broker_address(), request_timeout_ms=5_000)
    try:
        await admin.start()
        return Finding("broker", "ok", settings.broker_url)
    except KafkaError as error:
        cure = "Start the broker, or correct BROKER_URL; leave it out to use the embedded one."
        return Finding("broker", "failed", f"{settings.broker_url}: {error}", cure)
    finally:
        await admin.close()


async def _topics(settings: Settings) -> Finding:
    if settings.broker_url is None:
        return Finding("topics", "skipped", "no broker")
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.broker_address(), request_timeout_ms=5_000)
    try:
        await admin.start()
        there = set(await admin.list_topics())
    finally:
        await admin.close()
    missing = [
        name for topic in topics.TOPICS.values() if (name := topics.wire_name(topic, settings.namespace)) not in there
    ]
    if missing:
        return Finding("topics", "failed", f"missing: {', '.join(missing)}", "sofia topics apply")
    return Finding("topics", "ok", f"{len(topics.TOPICS)} topics")


async def _questdb(settings: Settings) -> Finding:
    if settings.questdb_host is None:
        return Finding("questdb", "skipped", "no QUESTDB_HOST and nothing runs here", "`sofia up` starts one.")
    store = QuestDb(settings.questdb_address(), settings.table_prefix())
    tables = await asyncio.to_thread(store.query, "SELECT name, suspended FROM wal_tables()")
    suspended = [str(name) for name, is_suspended in tables if is_suspended]
    if suspended:
        cure = f"Free disk space, then in QuestDB: ALTER TABLE '{suspended[0]}' RESUME WAL; see its log for the cause."
        return Finding("questdb", "failed", f"does not apply what it takes for: {', '.join(suspended)}", cure)
    doubling = await asyncio.to_thread(store.doubling)
    if doubling:
        cure = "Restart timeseries_writer, which switches DEDUP on; `sofia verify` names the rows that are doubled."
        return Finding("questdb", "failed", f"keeps a row written again twice in: {', '.join(doubling)}", cure)
    return Finding("questdb", "ok", settings.questdb_address())


async def _models(settings: Settings) -> Finding:
    try:
        await asyncio.to_thread(trees.package)
    except BadModel as error:
        return Finding("models", "failed", str(error), "Install it, then restart the worker `signals`.")
    registry, damaged = Registry(settings.models_folder()), []
    for name in (names := registry.names()):
        try:
            registry.load(name).scorer()
        except BadModel:
            damaged.append(name)
    if damaged:
        cure = "`sofia models list` says what is wrong with each; delete its folder, or restore it."
        return Finding("models", "warning", f"{len(damaged)} of {len(names)} are damaged: {', '.join(damaged)}", cure)
    return Finding("models", "ok", f"{len(names)} in {settings.models_folder()}")


async def _fallback(settings: Settings) -> Finding:
    url = settings.fallback_url()
    if url is None:
        return Finding("fallback", "skipped", "none is configured: while QuestDB is down, rows wait in the log")
    from sofia_streams.stores.postgres import Postgres

    store = Postgres(url)
    try:
        kinds = await asyncio.to_thread(store.query, "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")
    finally:
        store.close()
    return Finding("fallback", "ok", "TimescaleDB" if kinds else "PostgreSQL without the timescaledb extension")


async def _redis(settings: Settings) -> Finding:
    if settings.redis_url is None:
        return Finding("redis", "skipped", "no REDIS_URL and nothing runs here", "`sofia up` starts one.")
    streams = RedisStreams(settings.redis_address(), settings.redis_maxlen)
    try:
        found = await streams.counts(settings.stream_prefix() or "trades")
        eviction = await streams.eviction()
    finally:
        await streams.close()
    entries = f"{sum(found.values())} entries in {len(found)} streams"
    if eviction:
        return Finding("redis", "failed", f"it drops entries when it is full: {eviction}; {entries}", EVICTION_CURE)
    if eviction is None:
        cure = "See that its maxmemory-policy is noeviction; it may not be asked."
        return Finding("redis", "warning", f"{entries}; whether it drops any when it is full is not known", cure)
    return Finding("redis", "ok", entries)


async def _java(settings: Settings) -> Finding:
    if settings.broker_url and settings.questdb_host:
        return Finding("java", "skipped", "not needed: broker and QuestDB are configured")
    found = java.find_java()
    return Finding("java", "ok", f"{found.path} (Java {found.major})")


async def _disk(settings: Settings) -> Finding:
    place = settings.data_dir.resolve()
    while not place.exists():
        place = place.parent
    free_gb = shutil.disk_usage(place).free / 1e9
    found = f"{free_gb:.1f} GB free at {settings.data_dir}"
    if free_gb < _DISK_GB_MIN:
        return Finding("disk", "failed", found, f"Free {_DISK_GB_MIN:.0f} GB, or set DATA_DIR to another disk.")
    return Finding("disk", "ok", found)


async def _open_files(settings: Settings) -> Finding:
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= limit < _OPEN_FILES_MIN:
        cure = f"ulimit -n {_OPEN_FILES_MIN} before `sofia up`; the broker and QuestDB keep many files open."
        return Finding("open files", "warning", f"at most {limit} a process (could be {most})", cure)
    return Finding("open files", "ok", f"at most {limit} a process")


async def _ports(settings: Settings) -> Finding:
    if settings.broker_url:
        return Finding("ports", "skipped", "servers run already")
    usual = Ports()._asdict() | ({} if settings.fallback_enabled else {"postgres": 0})
    taken = [port for port in usual.values() if port and _is_taken(port)]
    if taken:
        return Finding("ports", "warning", f"taken: {taken}", "Nothing to do: free ones are chosen, and shown.")
    return Finding("ports", "ok", "the usual ones are free")


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


async def _clock(settings: Settings) -> Finding:
    before_ns, began_ns = time.time_ns(), time.monotonic_ns()
    await asyncio.sleep(0.2)
    jumped_ms = abs((time.time_ns() - before_ns) - (time.monotonic_ns() - began_ns)) / 1e6
    if jumped_ms > _CLOCK_MS_MAX:
        return Finding("clock", "failed", f"it jumped by {jumped_ms:.0f} ms", "Let NTP slew it, not step.")
    return Finding("clock", "ok", f"steady; it says {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}")


async def _venue(venue: str, settings: Settings) -> Finding:
    name = f"exchange {venue}"
    url = settings.simulator_url or VENUES[venue].url(settings.crypto_market)
    place = urlsplit(url)
    port = place.port or (443 if place.scheme == "wss" else 80)
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(place.hostname, port), _CONNECT_S)
    except (OSError, TimeoutError) as error:
        cure = "Check network, firewall and region; the others go on without it, or leave it out of CRYPTO_EXCHANGES."
        return Finding(name, "failed", f"{place.hostname}:{port}: {error or 'no answer'}", cure)
    writer.close()
    return Finding(name, "ok", f"{place.hostname}:{port}")

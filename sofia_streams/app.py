"""Makes the Faust app of one worker: broker, raw codecs, partitions, timeouts, metrics page, set once.

And what agents share: a topic's channel, pages of a table, quarantine, feeding a sink. What it does not do: make topics
(`ops.topics` does, before any worker starts), hold an agent of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import faust
import structlog
from faust.web import Response, View

from sofia_streams import codec, topics
from sofia_streams.crash_points import passing
from sofia_streams.errors import BadRecord, DependencyDown
from sofia_streams.limits import check_open_files
from sofia_streams.model import Quarantined, TradeBatch
from sofia_streams.obs import logs, metrics
from sofia_streams.obs.waits import say_when_asked
from sofia_streams.settings import Settings
from sofia_streams.worker.acks import Acknowledger
from sofia_streams.worker.broken_sends import mend_sends
from sofia_streams.worker.deferred import DeferredTable, ReadableTopic
from sofia_streams.worker.log_check import LogCheck
from sofia_streams.worker.loop_watch import LoopWatch
from sofia_streams.worker.sink import Item, Sink
from sofia_streams.worker.transport import CALM, Pace, PromptTransport

try:
    import uvloop
except ImportError:  # not on every platform
    uvloop = None

_log = structlog.get_logger("app")
_SESSION_S = 6.0
_SLEPT_S_MAX = _SESSION_S - 1.0
_BROKER_WITHIN_S, _LOOK_S = 10.0, 0.5
_RECORD_BYTES_MAX = topics.TRADES.record_bytes_max


class _App(faust.App):
    """Makes its whole folder; Faust itself makes only the last part of the path. `begin` runs before all else."""

    begin: Callable[[], Awaitable[None]] | None = None

    def _create_directories(self) -> None:
        self.conf.datadir.mkdir(parents=True, exist_ok=True)
        super()._create_directories()

    async def on_start(self) -> None:
        """Refuse to begin on topics that do not fit."""
        say_when_asked(asyncio.get_running_loop())
        await self._wait_for_topics()
        if self.begin is not None:
            await self.begin()
        LoopWatch(asyncio.get_running_loop(), None if self.producer_only else _SLEPT_S_MAX).start()
        await super().on_start()

    async def _wait_for_topics(self) -> None:
        """For a while: a broker that ended with this worker is back a few seconds later."""
        until_s = time.monotonic() + _BROKER_WITHIN_S
        while True:
            try:
                return await self.log_check.topics_fit()
            except DependencyDown as error:
                if time.monotonic() > until_s:
                    raise
                _log.warning("waiting for the broker", error=str(error))
                await asyncio.sleep(_LOOK_S)

    async def _on_partitions_revoked(self, revoked: Any) -> None:
        if revoked:  # none at the first join
            passing("rebalance")
        await super()._on_partitions_revoked(revoked)


class _Worker(faust.Worker):
    """Logs go by LOG_LEVEL alone; Faust's own command line would drop all that is less than a warning."""

    def on_setup_root_logger(self, logger: Any, level: int) -> None:
        """Instead of Faust's, which sets the level of the handler; and draws a spinner."""
        self.spinner = None


_SAME: dict[str, Any] = {
    "Worker": _Worker,
    "store": "memory://",
    "key_serializer": "raw",
    "value_serializer": "raw",
    "topic_replication_factor": 1,
    "topic_disable_leader": True,
    "broker_session_timeout": _SESSION_S,
    "broker_heartbeat_interval": 2.0,
    "broker_commit_interval": 0.5,
    "broker_request_timeout": 30.0,
    "consumer_auto_offset_reset": "earliest",
    "consumer_metadata_max_age_ms": 10_000,  # a topic made anew, or with more partitions, is seen soon
    "consumer_max_fetch_size": _RECORD_BYTES_MAX,
    "producer_acks": -1,
    "producer_max_request_size": _RECORD_BYTES_MAX,
    "stream_wait_empty": False,
    "worker_redirect_stdouts": False,
    "autodiscover": False,
    "agent_supervisor": "mode.CrashingSupervisor",  # else Faust goes on behind the record that failed
    "Table": DeferredTable,
    "Topic": ReadableTopic,
}
"""What is the same for every worker."""


def create_app(worker: str, settings: Settings, *, reads_log: bool = True, pace: Pace = CALM) -> faust.App:
    """The app of one worker; one that does not read the log has no consumer group.

    Raises ConfigError when no broker address is set, or the system allows too few open files.
    """
    if uvloop is not None:
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # a tenth less CPU a record than asyncio's own loop
        mend_sends()
    check_open_files()
    logging_config = logs.configure(settings.log_level, as_json=settings.log_json)
    app = _App(
        topics.app_id(worker, settings.namespace),
        broker=settings.broker(),
        topic_partitions=settings.topic_partitions,
        web_host=settings.web_host,
        web_bind=settings.web_host,  # where it listens; `web_host` is only what it calls itself
        web_port=settings.web_port or 6066,
        web_enabled=settings.web_port > 0,
        logging_config=logging_config,
        datadir=settings.data_dir / "faust",
        producer_linger=pace.linger_s,
        **_SAME,
    )
    app.pace = pace
    app.log_check = LogCheck(settings, app.conf.id)
    app.transport = PromptTransport(app.conf.broker_consumer, app)
    app.producer_only = not reads_log

    @app.page("/metrics")
    class Metrics(View):
        async def get(self, request: Any) -> Response:
            return self.bytes(metrics.text(), content_type="text/plain")

    return app


def add_table_pages(app: faust.App, name: str, listed: Callable[[], Any], one: Callable[[str], Any]) -> None:
    """`/tables/<name>/` shows `listed()`, `/tables/<name>/<key>` shows `one(key)`, or 404 where that is None. JSON."""

    @app.page(f"/tables/{name}/")
    class Listed(View):
        async def get(self, request: Any) -> Response:
            return self.bytes(codec.encode(listed()), content_type="application/json")

    @app.page(f"/tables/{name}/{{key:.+}}")
    class One(View):
        async def get(self, request: Any, key: str) -> Response:
            found = one(key)
            body = codec.encode(
                found if found is not None else {"error": f"expected a key of {name}, found {key[:100]!r}"}
            )
            return self.bytes(body, content_type="application/json", status=200 if found is not None else 404)


def topic_on(app: faust.App, topic: topics.Topic, settings: Settings, *others: topics.Topic) -> Any:
    """The Faust channel of a topic of the catalogue, or of several as one."""
    return app.topic(
        *(topics.wire_name(one, settings.namespace) for one in (topic, *others)),
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
    )


def add_acknowledger(
    app: faust.App, write: Callable[[Any], Awaitable[Any]] | None = None, *, forget: Callable[[], None] | None = None
) -> Acknowledger:
    """What lets an agent's offsets be committed once outputs, and rows by `write`, are in the log. Runs with the app.

    Before partitions go to another worker everything under way is finished, then `forget` called: what an agent knows
    of them is read back when they return.
    """
    acknowledger = Acknowledger(write or (lambda row: asyncio.sleep(0)))

    async def hand_over(*_: Any, **__: Any) -> None:
        await acknowledger.drain()
        if forget is not None:
            forget()

    app.task(acknowledger.run)
    app.on_partitions_revoked.connect(hand_over)
    return acknowledger


def was_given_up(app: faust.App, message: Any) -> bool:
    """Whether the partition of a message was given up since it was read: then its next owner has the message too."""
    return bool(message.generation_id != app.consumer_generation_id)


def sink_agent(
    app: faust.App,
    settings: Settings,
    channel: Any,
    decode: Callable[[bytes | None], Any],
    sink: Sink,
    *,
    name: str,
    prepare: Callable[[Any, int], Any] | None = None,
    before: Callable[[Any], Awaitable[None]] | None = None,
) -> None:
    """An agent that hands every record of a topic to a sink, which acknowledges it; unreadable ones are quarantined.

    `prepare(record, offset)` turns a record into what the sink writes, once, before it is queued; `before(message)` is
    awaited before that.
    """

    sink.refused = lambda item, error: quarantine(app, settings, item.event, error)

    @app.agent(channel, name=name)
    async def feed(stream: Any) -> None:
        async for event in stream.noack().events():
            item = None
            if before is not None:
                await before(event.message)
            async with set_aside(app, settings, event):
                record = decode(event.value)
                # its time: receipt when live; in a replay, whose receipts are old, the append to the log
                received_ns = int(event.message.timestamp * 1e9) if hasattr(record, "received_ns") else 0
                rows = len(record.trades) if isinstance(record, TradeBatch) else 1
                found = prepare(record, event.message.offset) if prepare else record
                item = Item(event, received_ns, found, rows)
            if item is not None:
                await sink.put(item)


@asynccontextmanager
async def set_aside(app: faust.App, settings: Settings, event: Any) -> AsyncIterator[None]:
    """Inside, one record is read and folded; where that raises, it goes to `quarantine`, acknowledged.

    What is done inside must follow from records alone, so that what failed once fails for ever: a worker that ended
    instead would come back to the same record. MemoryError is not the record's fault, and ends the worker.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if not isinstance(error, BadRecord):
            _log.exception("a record cannot be handled; it is set aside", offset=event.message.offset)
        await quarantine(app, settings, event, error)
        event.ack()


async def quarantine(app: faust.App, settings: Settings, event: Any, error: Exception) -> None:
    """Put a record that cannot be read into `quarantine`, acknowledged, with its place and the reason."""
    message = event.message
    record = Quarantined(
        source=message.topic,
        reason=str(error) if isinstance(error, BadRecord) else f"{type(error).__name__}: {error}",
        data=bytes(message.value or b"")[:65_536].decode("utf-8", "replace"),
        received_ns=int(message.timestamp * 1e9),
        place=topics.place_of(message),
    )
    metrics.QUARANTINED.labels(message.topic).inc()
    channel = topic_on(app, topics.QUARANTINE, settings)
    await (await channel.send(key=message.topic.encode(), value=codec.encode(record)))

"""Kafka, QuestDB, a Redis-protocol server and PostgreSQL together: started at once, each waited for, stopped at once.

Does not watch the servers; `children` tells, and whoever supervises calls `restart`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from sofia_streams.embedded import jars, java, kafka, postgres, process, questdb, redis
from sofia_streams.embedded.lock import DataDirLock
from sofia_streams.embedded.ports import HOST, pick_ports
from sofia_streams.errors import ConfigError, DependencyDown

READY_DEADLINE_S = 60.0
STOP_GRACE_S = 8.0
_POLL_S = 0.05
_SAY_EVERY_JARS = 10
_STOP_SIGNALS = {"postgres": postgres.STOP_SIGNAL}


class Addresses(NamedTuple):
    """Where the started servers listen; "" for one that was not asked for."""

    kafka: str  # host:port
    questdb_http: str  # host:port
    questdb_pg: str  # host:port
    redis_url: str  # redis://host:port/0
    postgres_url: str = ""  # postgresql://user:password@host:port/database: a secret


class Needs(NamedTuple):
    """Which servers to start here; False for one that the user has configured an address of."""

    kafka: bool = True
    questdb: bool = True
    redis: bool = True
    postgres: bool = False


class Ports(NamedTuple):
    """The ports to use when they are free; 0 means any."""

    kafka: int = 9092
    questdb_http: int = 9000
    questdb_pg: int = 8812
    redis: int = 6379
    postgres: int = 5432


class _Server(NamedTuple):
    child: process.Child
    ready: Callable[[int], bool]
    command: tuple[list[str], Path]


def _silent(message: str) -> None:
    """Say nothing."""


class Stack:
    """The embedded servers of one data directory. A context manager, or `start` and `stop` by hand.

    Call `start` from the main thread and keep that thread alive: the servers end with it, even by SIGKILL.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        kafka: bool = True,
        questdb: bool = True,
        redis: bool = True,
        postgres: bool = False,
        preferred_ports: Ports = Ports(),  # noqa: B008
        say: Callable[[str], None] = _silent,
        progress: jars.Progress | None = None,
    ) -> None:
        self._data_dir = data_dir.resolve()
        self._needs = Needs(kafka, questdb, redis, postgres)
        self._preferred = preferred_ports
        self._say, self._progress = say, progress
        self._servers: dict[str, _Server] = {}
        self._lock = DataDirLock(self._data_dir)

    def __enter__(self) -> Self:
        """Start; `addresses` has where."""
        self.addresses = self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def start(self) -> Addresses:
        """Start what is needed and wait until each answers. Raises AlreadyRunning, BadJar, ConfigError, DependencyDown.

        After an error nothing of it is left running.
        """
        self._make_folders()
        self._lock.acquire()
        try:
            for name in process.stop_leftovers(self._data_dir):
                self._say(f"stopped a {name} left over from an earlier run")
            questdb.clear_unpacked(self._data_dir)
            addresses = self._start_all()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return addresses

    def stop(self) -> None:
        """Stop all servers, after STOP_GRACE_S by force, and wait for their end. Harmless when none runs."""
        for name in process.stop([server.child for server in self._servers.values()], grace_s=STOP_GRACE_S):
            self._say(f"{name} did not stop within {STOP_GRACE_S:.0f} s and was killed")
        self._servers.clear()
        self._lock.release()

    def alive(self) -> dict[str, bool]:
        """For each started server, whether its process runs."""
        return {name: server.child.exit_code() is None for name, server in self._servers.items()}

    def restart(self, name: str) -> None:
        """Start a server that has ended once more, on its port and its data; does not wait until it answers."""
        server = self._servers[name]
        process.stop([server.child], grace_s=0)
        self._launch(name, server.command, server.child.port, server.ready)

    def children(self) -> dict[str, process.Child]:
        """The process of each started server."""
        return {name: server.child for name, server in self._servers.items()}

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each started server."""
        return {name: server.child.pid for name, server in self._servers.items()}

    def _make_folders(self) -> None:
        try:
            self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._data_dir.chmod(0o700)
            for name in ("run", "log", "tmp"):
                (self._data_dir / name).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            found = f"{error.filename or self._data_dir}: {error.strerror or error}"
            raise ConfigError(
                f"DATA_DIR: expected a folder of our own that is there or can be made, {self._data_dir}, "
                f"found {found}. Name another folder in DATA_DIR, or give us the right to write there."
            ) from None

    def _pick_ports(self) -> Sequence[int]:
        """Kafka, its controller, QuestDB's HTTP and PostgreSQL wire, Redis, PostgreSQL; says which are unusual."""
        needs, usual = self._needs, self._preferred
        preferred = {
            "kafka": usual.kafka if needs.kafka else 0,
            "kafka's controller": 0,
            "questdb": usual.questdb_http if needs.questdb else 0,
            "questdb's PostgreSQL wire": usual.questdb_pg if needs.questdb else 0,
            "redis": usual.redis if needs.redis else 0,
            "postgres": usual.postgres if needs.postgres else 0,
        }
        ports = pick_ports(list(preferred.values()))
        for (name, wanted), port in zip(preferred.items(), ports, strict=True):
            if wanted not in (0, port):
                self._say(f"port {wanted} is taken; {name} uses {port}")
        return ports

    def _start_all(self) -> Addresses:
        kafka_port, controller_port, http_port, pg_port, redis_port, postgres_port = self._pick_ports()
        addresses = Addresses("", "", "", "")
        if self._needs.postgres:
            command = postgres.prepare(self._data_dir, port=postgres_port)
            self._launch("postgres", command, postgres_port, postgres.ready)
            addresses = addresses._replace(postgres_url=postgres.url(self._data_dir, postgres_port))
        if self._needs.redis:
            self._launch("redis", redis.prepare(self._data_dir, port=redis_port), redis_port, redis.ready)
            addresses = addresses._replace(redis_url=f"redis://{HOST}:{redis_port}/0")
        if self._needs.questdb:
            command = questdb.prepare(
                java.find_java(), self._jars("questdb"), self._data_dir, http_port=http_port, pg_port=pg_port
            )
            self._launch("questdb", command, http_port, questdb.ready)
            addresses = addresses._replace(questdb_http=f"{HOST}:{http_port}", questdb_pg=f"{HOST}:{pg_port}")
        if self._needs.kafka:
            command = kafka.prepare(
                java.find_java(),
                self._jars("kafka"),
                self._data_dir,
                port=kafka_port,
                controller_port=controller_port,
            )
            self._launch("kafka", command, kafka_port, kafka.ready)
            addresses = addresses._replace(kafka=f"{HOST}:{kafka_port}")
        return addresses

    def _jars(self, server: str) -> list[Path]:
        def lines(count: int, total: int, name: str) -> None:
            if count % _SAY_EVERY_JARS == 0 or count == total:
                self._say(f"fetched {count} of {total} jars of {server} (once; kept in {jars.jars_dir()})")

        return jars.class_path(server, progress=self._progress or lines)

    def _launch(self, name: str, command: tuple[list[str], Path], port: int, ready: Callable[[int], bool]) -> None:
        arguments, folder = command
        child = process.start(name, arguments, port=port, data_dir=self._data_dir, cwd=folder)
        child.stop_signal = _STOP_SIGNALS.get(name, child.stop_signal)
        self._servers[name] = _Server(child, ready, command)

    def _wait_until_ready(self) -> None:
        began_s = time.monotonic()
        waiting = dict(self._servers)
        while waiting:
            for name, server in list(waiting.items()):
                elapsed_s = time.monotonic() - began_s
                if _is_ready(server):
                    del waiting[name]
                    self._say(f"{name} is ready on port {server.child.port} after {elapsed_s:.1f} s")
                elif server.child.exit_code() is not None or elapsed_s > READY_DEADLINE_S:
                    raise _not_ready(server.child, elapsed_s)
            if waiting:
                time.sleep(_POLL_S)  # between two questions to the servers


def _is_ready(server: _Server) -> bool:
    try:
        return server.child.exit_code() is None and server.ready(server.child.port)
    except OSError:
        return False


def _not_ready(child: process.Child, elapsed_s: float) -> DependencyDown:
    code = child.exit_code()
    found = "no answer" if code is None else f"it ended with code {code}"
    return DependencyDown(
        f"{child.name}: expected an answer on port {child.port} within {READY_DEADLINE_S:.0f} s, found {found} after "
        f"{elapsed_s:.1f} s. The end of its log, {child.log}, says:\n{child.log_tail()}"
    )

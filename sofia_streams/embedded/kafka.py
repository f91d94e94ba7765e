"""Apache Kafka as one KRaft node: its settings, first formatting, command, and when it is ready. Starts no server."""

from __future__ import annotations

import base64
import socket
import struct
import subprocess
import uuid
from pathlib import Path

from sofia_streams.embedded import java, ports
from sofia_streams.errors import DependencyDown

HEAP_MIB = 512
_LEAN = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""A broker moves bytes: without the second compiler and the concurrent collector it needs half the CPU of two cores."""
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
_FORMAT_TIMEOUT_S = 60
_METADATA, _METADATA_VERSION = 3, 4

# A broker that was killed is let in again once its own earlier session is over: with the default of 9 s it answers 11 s
# after its start, with 3 s after 4.4 s.
_SETTINGS = """\
# Written by sofia on every start; edits are lost.
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/logs
auto.create.topics.enable=false
message.max.bytes={message_bytes_max}
replica.fetch.max.bytes={message_bytes_max}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
offsets.retention.minutes=5256000
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=33554432
"""

_LOGGING = """\
# Written by sofia on every start; edits are lost.
appenders=console
appender.console.type=Console
appender.console.name=CONSOLE
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %c{1} %m%n
rootLogger.level=WARN
rootLogger.appenderRefs=console
rootLogger.appenderRef.console.ref=CONSOLE
"""


def prepare(
    runtime: java.Java, jars: list[Path], data_dir: Path, *, port: int, controller_port: int
) -> tuple[list[str], Path]:
    """Write the settings, format the storage when it is new; the command to start and the folder to start it in."""
    folder = data_dir / "kafka"
    folder.mkdir(mode=0o700, exist_ok=True)
    settings, logging = folder / "server.properties", folder / "log4j2.properties"
    settings.write_text(
        _SETTINGS.format(
            host=ports.HOST,
            port=port,
            controller_port=controller_port,
            folder=folder,
            message_bytes_max=MESSAGE_BYTES_MAX,
        )
    )
    logging.write_text(_LOGGING)
    command = [
        *java.options(runtime, data_dir / "tmp", HEAP_MIB),
        *_LEAN,
        f"-Dlog4j2.configurationFile={logging}",
        "-cp",
        ":".join(map(str, jars)),
    ]
    if not (folder / "logs" / "meta.properties").exists():  # the formatter writes that file last
        _format(command, settings)
    return [*command, "kafka.Kafka", str(settings)], folder


def _format(command: list[str], settings: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    done = subprocess.run(
        [*command, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--config", str(settings)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_FORMAT_TIMEOUT_S,
        umask=0o077,
    )
    if done.returncode:
        raise DependencyDown(
            f"kafka: expected to format the new storage in {settings.parent}, found exit code {done.returncode}: "
            f"{(done.stderr + done.stdout).strip()}. Check that the disk has room and the folder is writable."
        )


def ready(port: int) -> bool:
    """Whether the broker lists itself as alive, that is, it has joined its own cluster and serves clients."""
    # Metadata request, version 4: no client id, no topics, no creation of topics.
    request = struct.pack(">hhihib", _METADATA, _METADATA_VERSION, 1, -1, 0, 0)
    with socket.create_connection((ports.HOST, port), timeout=2) as sock:
        sock.sendall(struct.pack(">i", len(request)) + request)
        answer = _read_exactly(sock, struct.unpack(">i", _read_exactly(sock, 4))[0])
    _correlation, _throttle_ms, broker_count = struct.unpack_from(">iii", answer)
    return bool(broker_count == 1)


def _read_exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        if not chunk:
            raise ConnectionResetError("the broker closed the connection")
        data += chunk
    return data

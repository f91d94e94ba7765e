"""QuestDB: its settings, its command, and when it is ready. Starts no server, knows no table."""

from __future__ import annotations

import http.client
from pathlib import Path

from sofia_streams.embedded import java, ports

HEAP_MIB = 1024
_UNPACKED = "libquestdb*.so"

_SETTINGS = """\
# Written by sofia on every start; edits are lost.
http.bind.to={host}:{http_port}
pg.net.bind.to={host}:{pg_port}
http.min.enabled=false
line.tcp.enabled=false
line.udp.enabled=false
telemetry.enabled=false
shared.network.worker.count=1
shared.query.worker.count=1
shared.write.worker.count=1
{patience}"""

_POOLS = ("shared", "http", "http.min", "pg", "wal.apply", "export", "mat.view.refresh", "view.compiler")
_PATIENCE = "".join(f"{pool}.worker.nap.threshold=50\n{pool}.worker.sleep.threshold=500\n" for pool in _POOLS)
"""An idle worker looks so many times for work before it naps and sleeps. By default it yields 7,000 times: on two cores
that is 45,000 context switches a second, and it leaves a third of the rows a second."""

_LOGGING = """\
# Written by sofia on every start; edits are lost.
writers=stdout
w.stdout.class=io.questdb.log.LogConsoleWriter
w.stdout.level=CRITICAL,ERROR,ADVISORY
"""


def prepare(
    runtime: java.Java, jars: list[Path], data_dir: Path, *, http_port: int, pg_port: int
) -> tuple[list[str], Path]:
    """Write the settings; the command to start and the folder to start it in."""
    folder = data_dir / "questdb"
    (folder / "conf").mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = _SETTINGS.format(host=ports.HOST, http_port=http_port, pg_port=pg_port, patience=_PATIENCE)
    (folder / "conf" / "server.conf").write_text(settings)
    (folder / "conf" / "log.conf").write_text(_LOGGING)
    command = [
        *java.options(runtime, data_dir / "tmp", HEAP_MIB),
        "-cp",
        ":".join(map(str, jars)),
        "io.questdb.ServerMain",
        "-d",
        str(folder),
    ]
    return command, folder


def clear_unpacked(data_dir: Path) -> None:
    """Remove the libraries that one that was killed had unpacked. None of this data directory may run."""
    for path in (data_dir / "tmp").glob(_UNPACKED):
        path.unlink(missing_ok=True)


def ready(http_port: int) -> bool:
    """Whether it answers a query."""
    connection = http.client.HTTPConnection(ports.HOST, http_port, timeout=2)
    try:
        connection.request("GET", "/exec?query=select%201")
        return connection.getresponse().status == http.client.OK
    except http.client.HTTPException:
        return False
    finally:
        connection.close()

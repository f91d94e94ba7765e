"""Chooses ports on 127.0.0.1: the preferred one when free, else any free one. Keeps none open.

What one process of a user has chosen, no other chooses while it runs: the server that is to listen there may take
seconds until it does. A lock a port says so, in one file, and ends with its process.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Sequence

from sofia_streams.embedded.cache import cache_dir

HOST = "127.0.0.1"
_TRIES = 20


def pick_ports(preferred: Sequence[int]) -> list[int]:
    """One port for each preferred one, all different. A preferred port of 0 means any.

    The ports are free when this returns; start the servers at once, for a program that is not ours may take one.
    """
    held: list[socket.socket] = []
    try:
        for port in preferred:
            held.append(_bind(port))
        return [int(sock.getsockname()[1]) for sock in held]
    finally:
        for sock in held:
            sock.close()


def _bind(port: int) -> socket.socket:
    for candidate in (port, *[0] * _TRIES):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT counts as free
        try:
            sock.bind((HOST, candidate))
            sock.listen(1)  # SO_REUSEADDR lets two sockets share a port until one of them listens
            if _reserve(int(sock.getsockname()[1])):
                return sock
        except OSError:
            sock.close()
            if candidate == 0:
                raise
        else:
            sock.close()
    raise OSError(errno.EADDRINUSE, f"expected a free port on {HOST}, found {_TRIES} that others have just chosen")


class _Reservations:
    """The file, once it is open; closing it would give up every lock."""

    file: int | None = None


def _reserve(port: int) -> bool:
    """Whether no other process of this user has chosen it; then it is ours. True where the system has no such locks."""
    if _Reservations.file is None:
        path = cache_dir() / "ports.lock"
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            _Reservations.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if _Reservations.file is None:
        return True
    try:
        fcntl.lockf(_Reservations.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN)
    return True

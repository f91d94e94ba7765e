"""Chooses ports on 127.0.0.1: the preferred one when free, else any free one. Keeps none open."""

from __future__ import annotations

import socket
from collections.abc import Sequence

HOST = "127.0.0.1"


def pick_ports(preferred: Sequence[int]) -> list[int]:
    """One port for each preferred one, all different. A preferred port of 0 means any.

    The ports are free when this returns; start the servers at once, for another program may take one.
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
    for candidate in (port, 0):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT counts as free
        try:
            sock.bind((HOST, candidate))
            sock.listen(1)  # SO_REUSEADDR lets two sockets share a port until one of them listens
        except OSError:
            sock.close()
            if candidate == 0:
                raise
        else:
            return sock
    raise AssertionError("unreachable: the last candidate returns or raises")

"""Becomes a program that refuses to run as root. A script, `rootless.py COMMAND...`; imports no package.

As root on Linux it enters a user namespace of its own in which root's number is another one. There it owns what root
owns and has none of root's capabilities, so no user must be made and no folder opened to others. Not as root it only
runs the command. The death signal of `launch` stays set.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_ID = 1000


def main(command: list[str]) -> None:
    """Leave root behind, then replace this process by `command`."""
    if os.geteuid() == 0:
        _enter_namespace()
    os.execv(command[0], command)  # noqa: S606


def _enter_namespace() -> None:
    """Exits with the cure where the system does not allow it."""
    uid, gid = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        why = os.strerror(ctypes.get_errno())
        sys.exit(
            f"PostgreSQL does not run as root, and a user namespace is not allowed here ({why}). Run sofia as another "
            "user, or set TIMESCALE_URL to a database that runs, or leave FALLBACK_ENABLED out."
        )
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_ID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{_ID} {gid} 1")


if __name__ == "__main__":
    main(sys.argv[1:])

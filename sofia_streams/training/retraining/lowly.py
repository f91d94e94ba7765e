"""Becomes a program that gives way to all others. A script, `lowly.py PARENT_PID BYTES COMMAND...`; imports no package.

Lowest priority, at most so many bytes of address space; on Linux it is the first to be ended where memory runs out, and
it ends with the process that started it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
_NICE = 19


def main(parent_pid: int, bytes_max: int, command: list[str]) -> None:
    """Bound this process, then replace it by `command`."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # the parent died before the line above took effect
        sys.exit(1)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("1000")
    resource.setrlimit(resource.RLIMIT_AS, (bytes_max, bytes_max))
    os.nice(_NICE)
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

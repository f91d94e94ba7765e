"""Becomes a server that cannot outlive its parent. A script, `launch.py PARENT_PID COMMAND...`; imports no package.

On Linux the kernel kills this process when the thread that started it ends (PR_SET_PDEATHSIG), and that survives exec.
Elsewhere only the orderly stop, or the next start's clean-up, ends it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent_pid: int, command: list[str]) -> None:
    """Set the death signal, then replace this process by `command`; new files are readable by their owner only."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # the parent died before the line above took effect
        sys.exit(1)
    os.umask(0o077)
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])

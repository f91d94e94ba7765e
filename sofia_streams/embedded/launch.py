"""Becomes a program that cannot outlive its parent. A script, `launch.py PARENT_PID NICENESS COMMAND...`; imports no
package.

On Linux the kernel kills this process when the thread that started it ends (PR_SET_PDEATHSIG), and that survives exec.
Elsewhere only the orderly stop, or the next start's clean-up, ends it. Niceness is 0, as the parent, to 19, which gives
way to all others. Linux may share the processor between sessions first (autogroups, sched(7)): then niceness counts
among sessions only where the session's group has it too.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
_TRIES, _PAUSE_S = 20, 0.1


def main(parent_pid: int, niceness: int, command: list[str]) -> None:
    """Set the death signal, then replace this process by `command`; new files are readable by their owner only."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # the parent died before the line above took effect
        sys.exit(1)
    os.umask(0o077)
    if niceness:
        give_way(niceness)
    os.execv(command[0], command)  # noqa: S606


def give_way(niceness: int) -> None:
    """Be so nice, or as nice as the parent is; and so the session's group, where there are such."""
    os.nice(max(0, niceness - os.nice(0)))
    for _ in range(_TRIES):
        try:
            with open("/proc/self/autogroup", "w") as file:  # noqa: PTH123
                file.write(str(niceness))
            return
        except BlockingIOError:  # the kernel takes ten a second from all who are not root
            time.sleep(_PAUSE_S)
        except OSError:
            return


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

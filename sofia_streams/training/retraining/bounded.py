"""Becomes a program of bounded memory. A script, `bounded.py BYTES COMMAND...`; imports no package.

At most so many bytes of address space, where the system can bound that; on Linux it is the first to be ended where
memory runs out.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys


def main(bytes_max: int, command: list[str]) -> None:
    """Bound this process, then replace it by `command`."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("1000")
    with contextlib.suppress(OSError, ValueError):  # macOS has the limit and refuses it: better unbounded than never
        resource.setrlimit(resource.RLIMIT_AS, (bytes_max, bytes_max))
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])

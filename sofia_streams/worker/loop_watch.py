"""A thread that says when the event loop does not turn, and what it is at; and ends a process that has slept too long.

A loop that is blocked reads nothing, answers no page and looks like a worker that stands still. Only another thread can
say where it hangs. A process that was stopped for longer than its group waits (SIGSTOP, a suspended machine) wakes with
rows that it is about to send, while another worker has taken over and gone on: an older row would stand behind newer
ones. So it ends before it does anything, and whoever keeps it starts it anew. Repairs nothing.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback

import structlog

from sofia_streams.errors import SLEPT_EXIT_CODE
from sofia_streams.obs import metrics

_log = structlog.get_logger("loop_watch")
_EVERY_S = 0.5
BLOCKED_S = 2.0
_SLEPT = (
    "expected to run without a break of {:.0f} s, found that this process was stopped for {:.1f} s: it ends, since "
    "another worker may have taken over. Start it again.\n"
)


class LoopWatch(threading.Thread):
    """Call `start` from the loop's own thread; it ends with the process, or when `stop` is called.

    `slept_s_max` is how long the whole process may have been stopped; None: as long as it likes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, slept_s_max: float | None = None) -> None:
        super().__init__(name="loop_watch", daemon=True)
        self._loop, self._thread = loop, threading.get_ident()
        self._slept_s_max = slept_s_max
        self._turned_s = time.monotonic()
        self._ended = threading.Event()

    def stop(self) -> None:
        """Watch no longer."""
        self._ended.set()

    def run(self) -> None:
        """Ask the loop for a turn, again and again."""
        said, looked_s = False, time.monotonic()
        while not self._ended.wait(_EVERY_S):
            slept_s, looked_s = time.monotonic() - looked_s, time.monotonic()
            if self._slept_s_max is not None and slept_s > self._slept_s_max:
                os.write(2, _SLEPT.format(self._slept_s_max, slept_s).encode())
                os._exit(SLEPT_EXIT_CODE)
            if slept_s > BLOCKED_S:
                self._turned_s = looked_s  # nobody turned, not the loop alone
            blocked_s = time.monotonic() - self._turned_s
            if blocked_s >= BLOCKED_S and not said:
                said = True
                metrics.LOOP_BLOCKED.inc()
                _log.warning("the event loop is blocked; it is here", seconds=round(blocked_s, 1), stack=self._stack())
            elif blocked_s < BLOCKED_S and said:
                said = False
                _log.warning("the event loop turns again")
            try:
                self._loop.call_soon_threadsafe(self._turned)
            except RuntimeError:
                return  # the loop is closed

    def _turned(self) -> None:
        self._turned_s = time.monotonic()

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._thread)
        return "".join(traceback.format_stack(frame)) if frame else ""

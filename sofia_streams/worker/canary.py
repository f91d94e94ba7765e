"""Defects on purpose, which the chaos suite must catch: an alarm that never rang is not known to ring.

A defect is in force only where SOFIA_CANARY names it and the namespace is that of a chaos run. Reads the environment of
this process and nothing else.
"""

from __future__ import annotations

import os

ACK_FIRST = "ack-first"
"""A sink acknowledges records before it has written them."""


def is_on(defect: str) -> bool:
    """Whether this process has the defect."""
    return os.environ.get("SOFIA_CANARY") == defect and os.environ.get("NAMESPACE", "").startswith("chaos-")

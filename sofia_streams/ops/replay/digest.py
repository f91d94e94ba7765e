"""The hash by which what was said in two runs is compared: SHA-256 of canonical JSON lines. Chooses no records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec


def sha256_of(records: Iterable[object]) -> str:
    """Of these records in their order, each as JSON with its keys sorted, and a newline; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(msgspec.json.encode(record, order="deterministic") + b"\n")
    return digest.hexdigest()

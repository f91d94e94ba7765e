"""`sofia debug bundle`: what a bug report needs, in one file: redacted settings, versions, logs, status. No secrets."""

from __future__ import annotations

import io
import json
import platform
import re
import sys
import tarfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from sofia_streams.settings import Settings, shown

_LOG_BYTES_MAX = 256 * 1024
_PACKAGES = (
    *("faust-streaming", "aiokafka", "redis", "websockets", "questdb", "msgspec", "pydantic", "pydantic-settings"),
    *("numpy", "ccxt", "uvloop", "prometheus-client"),
)
_PASSWORD = re.compile(r"://[^/@\s]*@")


def write_bundle(settings: Settings, status: dict[str, Any], path: Path) -> list[str]:
    """Write the bundle; the names of what is in it. Raises OSError."""
    parts = {
        "settings.json": json.dumps({line.key: line.value for line in shown()}, indent=2),
        "versions.json": json.dumps(_versions(), indent=2),
        "status.json": json.dumps(status, indent=2, default=str),
    }
    for log in sorted((settings.data_dir / "log").glob("*.log*")):
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_BYTES_MAX))
            parts[f"log/{log.name}"] = _PASSWORD.sub("://***@", file.read().decode("utf-8", "replace"))
    with tarfile.open(path, "w:gz") as bundle:
        for name, text in parts.items():
            data = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), int(time.time())
            bundle.addfile(entry, io.BytesIO(data))
    return list(parts)


def _versions() -> dict[str, str]:
    found = {"python": sys.version, "platform": platform.platform(), "sofia-streams": "0.1.0"}
    for name in _PACKAGES:
        found[name] = metadata.version(name)
    return found

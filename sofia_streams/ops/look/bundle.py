"""`sofia debug bundle`: what a bug report needs, in one file: redacted settings, versions, logs, status, doctor.

No secrets: the values of secret settings and every password in an address are masked wherever they stand.
"""

from __future__ import annotations

import asyncio
import io
import json
import platform
import re
import sys
import tarfile
import time
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from pydantic import SecretStr

from sofia_streams.files import whole
from sofia_streams.ops.look.doctor import examine
from sofia_streams.ops.look.log_files import last_lines
from sofia_streams.ops.look.status import status
from sofia_streams.settings import Settings, shown

_LOG_LINES = 1_000
_PACKAGES = (
    *("faust-streaming", "aiokafka", "redis", "websockets", "questdb", "msgspec", "pydantic", "pydantic-settings"),
    *("numpy", "ccxt", "uvloop", "prometheus-client"),
)
_PASSWORD = re.compile(r"://[^/@\s\"']*@")
_SHORT = 4
"""A secret of fewer characters is masked only where it stands alone; else it would blank half the text."""


async def write_bundle(settings: Settings, path: Path) -> list[str]:
    """Write the bundle; the names of what is in it. Raises NotWritten."""
    found = await status(settings) if settings.broker_url else {"broker": "nothing runs"}
    checks = [finding._asdict() for finding in await examine(settings)]
    parts = {
        "settings.json": json.dumps({line.key: line.value for line in shown()}, indent=2),
        "versions.json": json.dumps(_versions(), indent=2),
        "status.json": json.dumps(found, indent=2, default=str),
        "doctor.json": json.dumps(checks, indent=2),
    }
    for log in sorted((settings.data_dir / "log").glob("*.log*")):
        parts[f"log/{log.name}"] = "\n".join(last_lines(log, _LOG_LINES))
    secrets = list(_secrets(settings))
    await asyncio.to_thread(_write, path, {name: masked(text, secrets) for name, text in parts.items()})
    return list(parts)


def _write(path: Path, parts: Mapping[str, str]) -> None:
    with whole(path) as partial:
        partial.touch(mode=0o600)
        _pack(partial, parts)


def _pack(path: Path, parts: Mapping[str, str]) -> None:
    with tarfile.open(path, "w:gz") as bundle:
        for name, text in parts.items():
            data = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), int(time.time())
            bundle.addfile(entry, io.BytesIO(data))


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text without these secrets and without passwords in addresses."""
    for secret in secrets:
        pattern = re.escape(secret) if len(secret) >= _SHORT else rf"(?<!\w){re.escape(secret)}(?!\w)"
        text = re.sub(pattern, "***", text)
    return _PASSWORD.sub("://***@", text)


def _secrets(settings: Settings) -> Iterable[str]:
    """Every secret value; of an address also the user and password alone."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr) and (text := value.get_secret_value()):
            user = re.search(r"://([^/@\s]*)@", text)
            if "://" not in text or name.endswith("webhook_url"):
                yield text
            if user:
                yield from (part for part in user[1].split(":") if part)


def _versions() -> dict[str, str]:
    found = {"python": sys.version, "platform": platform.platform()}
    for name in ("sofia-streams", *_PACKAGES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed as a package"
    return found

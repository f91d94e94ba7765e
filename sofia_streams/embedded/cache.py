"""Where this machine keeps what is fetched or shared once for a user, beside any data directory."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """The per-user folder, which may not exist yet; honours XDG_CACHE_HOME."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "sofia-streams"

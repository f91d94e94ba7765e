"""All settings in one place: `.env` and environment names are the upper-case field names. Read by `load_settings`.

Importing this module reads nothing. What it does not do: start servers where an address is missing (`embedded`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr, ValidationError

from sofia_streams.errors import ConfigError
from sofia_streams.settings.env_keys import Found, collect
from sofia_streams.settings.messages import expected, explain, redacted
from sofia_streams.settings.schema import Settings
from sofia_streams.settings.values import Exchange

__all__ = ["Exchange", "Settings", "ShownSetting", "load_settings", "shown", "worker_environment"]


class ShownSetting(NamedTuple):
    """One line of `sofia config show`; secrets are masked."""

    key: str
    value: str
    origin: str
    description: str


def load_settings(env_file: Path | None = Path(".env"), environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from a file, then the environment over it. Raises ConfigError that names every wrong key."""
    return _checked(_collect(env_file, environ))


def shown(env_file: Path | None = Path(".env"), environ: Mapping[str, str] | None = None) -> list[ShownSetting]:
    """Every setting as it is in force, and where it comes from. Raises ConfigError."""
    found = _collect(env_file, environ)
    settings = _checked(found)
    return [
        ShownSetting(
            name.upper(),
            redacted(_text(getattr(settings, name))),
            found.origins.get(name.upper(), "default"),
            f"{field.description} ({expected(field)})",
        )
        for name, field in Settings.model_fields.items()
    ]


def worker_environment(settings: Settings) -> dict[str, str]:
    """The environment from which `load_settings` makes equal settings in a child process; only what is not default."""
    chosen = {}
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if value != field.default:
            chosen[name.upper()] = value.get_secret_value() if isinstance(value, SecretStr) else _text(value)
    return chosen


def _text(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"  # str() may write 1E+4, which is refused
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else "" if value is None else str(value)


def _collect(env_file: Path | None, environ: Mapping[str, str] | None) -> Found:
    known = [name.upper() for name in Settings.model_fields]
    return collect(env_file, os.environ if environ is None else environ, known)


def _checked(found: Found) -> Settings:
    fields = Settings.model_fields
    problems = [
        f"{key}: unknown key in {source}; the nearest is {nearest}, {expected(fields[nearest.lower()])}. Rename it, "
        f"or {'unset it if it belongs to another program' if source == 'environment' else 'remove it'}; "
        "all keys stand in .env.example."
        for key, source, nearest in found.unknown
    ]
    try:
        settings = Settings.model_validate({key.lower(): value for key, value in found.values.items()})
    except ValidationError as error:
        problems += [explain(problem, fields) for problem in error.errors()]
    if problems:
        raise ConfigError("\n".join(problems))
    return settings

"""Keys and values as text: the lines of a .env file, the environment over it, and which unknown keys are our concern.

What it does not do: know a setting's type (`settings`), or say what a wrong value should have been (`messages`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from sofia_streams.errors import ConfigError

COMPOSE_PREFIXES = ("COMPOSE_", "REDPANDA_", "GRAFANA_", "PROMETHEUS_")
"""Keys that belong to docker-compose and may stand in the same .env."""
_OURS = (
    *("BROKER_", "REDIS_", "QUESTDB_", "CRYPTO_", "SYMBOL_", "SIMULATOR_", "TOPIC_", "RETENTION_", "WRITER_"),
    *("TIMESCALE_", "FALLBACK_", "FAILOVER_"),
    *("WATCHDOG_", "WHALE_", "TELEGRAM_", "PAPER_", "AI_MODEL_", "AI_MIN_", "SIGNALS_", "TRAIN_"),
)
_NEAR = 0.85
_BYTES_MAX = 1024 * 1024
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<value>.*?)(?P=quote)\s*(#.*)?""")


class UnknownKey(NamedTuple):
    """A key that is no setting; `nearest` is the setting most like it."""

    key: str
    source: str
    nearest: str


class Found(NamedTuple):
    """Values and origins by key, and the unknown keys that are ours to refuse."""

    values: dict[str, str]
    origins: dict[str, str]
    unknown: list[UnknownKey]


def collect(env_file: Path | None, environ: Mapping[str, str], known: Iterable[str]) -> Found:
    """What is set, the environment over the file; an empty value counts as not set. Raises ConfigError.

    Every unknown key of the file is refused, of the environment only those that look like a misspelt setting.
    """
    keys = list(known)
    found = Found({}, {}, [])
    for source, pairs in ((str(env_file), read_env_file(env_file) if env_file else {}), ("environment", environ)):
        for key, value in pairs.items():
            if key in keys:
                if value.strip():
                    found.values[key], found.origins[key] = value, source
            elif not key.startswith(COMPOSE_PREFIXES) and (source != "environment" or _looks_ours(key.upper(), keys)):
                nearest = difflib.get_close_matches(key.upper(), keys, n=1, cutoff=0)[0]
                found.unknown.append(UnknownKey(key, source, nearest))
    return found


def _looks_ours(key: str, keys: list[str]) -> bool:
    return key.startswith(_OURS) or bool(difflib.get_close_matches(key, keys, n=1, cutoff=_NEAR))


def read_env_file(path: Path) -> dict[str, str]:
    """KEY=VALUE lines, {} without a file; # comments; quotes around a value are taken off; a key stands there once.

    Raises ConfigError, with the line number; a line is never shown, since it may hold a password.
    """
    pairs: dict[str, str] = {}
    stands: dict[str, int] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        key, equals, value = text.removeprefix("export ").partition("=")
        if not equals or _KEY.fullmatch(key.strip()) is None:
            raise ConfigError(
                f"{path}: line {number}: expected KEY=VALUE with a key of letters, digits and _, found something else "
                "(not shown, it may be a secret). Correct the line or put # before it."
            )
        name = key.strip()
        if name in pairs:
            raise ConfigError(
                f"{path}: line {number}: expected each key once, found {name} again, which stands in line "
                f"{stands[name]} as well. Remove one of them, or put # before it."
            )
        pairs[name], stands[name] = _unquoted(value.strip()), number
    return pairs


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_BYTES_MAX + 1)
        if len(data) > _BYTES_MAX:
            raise ConfigError(f"{path}: expected settings of at most {_BYTES_MAX} bytes, found more. Is this the file?")
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"{path}: expected a file that can be read, found: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: expected UTF-8 text, found byte {error.object[error.start]:#04x} at {error.start}. "
            "Save the file as UTF-8."
        ) from None


def _unquoted(value: str) -> str:
    if quoted := _QUOTED.fullmatch(value):
        return quoted["value"]
    return "" if value.startswith("#") else re.split(r"\s#", value, maxsplit=1)[0].rstrip()

"""Environments of the contestants: a venv each under the user's cache folder, made on first use from a pinned list.

Optional: a library that cannot be installed here is reported with the reason and never given a figure.
"""

from __future__ import annotations

import hashlib
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from sofia_streams.embedded.cache import cache_dir
from sofia_streams.errors import SofiaError

PEERS = Path(__file__).parent / "peers"
ROOT = Path(__file__).resolve().parents[1]
_INSTALL_S_MAX = 900
_MAY_COMPILE = {"cryptofeed"}  # has no wheel for Python 3.11; a C compiler makes one in a minute


class Unavailable(SofiaError):
    """A contestant cannot be installed on this machine; the text says why."""


def python_of(name: str, say: Callable[[str], None]) -> str:
    """The interpreter of the environment of `peers/<name>.txt`; made when it is missing. Raises Unavailable."""
    wanted = (PEERS / f"{name}.txt").read_bytes()
    digest = hashlib.sha256(wanted).hexdigest()[:12]
    folder = cache_dir() / "bench" / f"{name}-py{sys.version_info[0]}{sys.version_info[1]}-{digest}"
    python = folder / "bin" / "python"
    if python.exists():
        return str(python)
    say(f"{name}: making its environment, once, in {folder}")
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
    try:
        _run([sys.executable, "-m", "venv", str(partial)], name)
        say(f"{name}: installing the versions of bench/peers/{name}.txt; this may take a minute")
        install = [str(partial / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input", *_certificates()]
        options = ["--disable-pip-version-check", "--require-hashes", "--no-deps", "-r", str(PEERS / f"{name}.txt")]
        if name not in _MAY_COMPILE:
            options.append("--only-binary=:all:")
        _run([*install, *options], name)
        partial.rename(folder)  # only its python is run, by path, so moving it breaks nothing
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return str(python)


def _run(command: list[str], name: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_S_MAX)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{name}: {error}") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        reason = next((line for line in lines if "ERROR" in line), lines[-1] if lines else "no output")
        raise Unavailable(f"{name} could not be installed for Python {sys.version.split()[0]}: {reason.strip()[:300]}")


def _certificates() -> list[str]:
    """The operating system's trust store for pip; its own where none is found."""
    bundle = ssl.get_default_verify_paths().cafile
    return ["--cert", bundle] if bundle and Path(bundle).is_file() else []

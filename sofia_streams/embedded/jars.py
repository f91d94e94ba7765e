"""The jars of the embedded servers: fetched once by Maven coordinates, checked against jars.sha256 on every start.

Does not resolve dependency trees: the list in this folder is complete, and nothing outside it reaches a class path.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sofia_streams.embedded.cache import cache_dir
from sofia_streams.errors import DependencyDown, SofiaError

Progress = Callable[[int, int, str], None]
"""Called after each fetched jar with: jars fetched so far, jars to fetch, the file name."""

_FETCH_THREADS = 8
_FETCH_TIMEOUT_S = 60


class BadJar(SofiaError):
    """A jar is not in the list, or is not the file the list promises."""


class Pin(NamedTuple):
    """One line of the list."""

    sha256: str
    path: PurePosixPath  # group/parts/artifact/version/file, as in a local Maven repository

    @property
    def coordinates(self) -> str:
        """The Maven coordinates `group:artifact:version` that the path names."""
        *group, artifact, version, _ = self.path.parts
        return f"{'.'.join(group)}:{artifact}:{version}"


def jars_dir() -> Path:
    """The folder for jars, of this user."""
    return cache_dir() / "jars"


def read_pins(text: str | None = None) -> dict[str, list[Pin]]:
    """The list by server name ("kafka", "questdb"); without `text`, the list shipped in this package."""
    if text is None:
        text = resources.files(__package__).joinpath("jars.sha256").read_text()
    pins: dict[str, list[Pin]] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("#"):
            section = line.removeprefix("#").strip()
        elif line.strip():
            digest, path = line.split(maxsplit=1)
            pins.setdefault(section, []).append(Pin(digest, PurePosixPath(path)))
    return pins


def check(path: Path, pin: Pin) -> None:
    """Raise BadJar unless the file's SHA-256 is the pinned one."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != pin.sha256:
        raise BadJar(
            f"{pin.path.name}: expected sha256 {pin.sha256}, found {found} in {path}. The file was damaged or replaced "
            f"and was not run. Delete it and start again; if the sum differs once more, what the registry serves for "
            f"{pin.coordinates} has changed: do not use it."
        )


def check_listed(path: Path, cache: Path, pins: list[Pin]) -> None:
    """Raise BadJar unless `path`, inside `cache`, is on the list and has the listed SHA-256."""
    name = PurePosixPath(path.relative_to(cache).as_posix())
    pin = next((pin for pin in pins if pin.path == name), None)
    if pin is None:
        raise BadJar(
            f"{path.name}: expected one of the {len(pins)} jars listed in sofia_streams/embedded/jars.sha256, found "
            f"{path}, which is not listed and was not run. Remove it, or add its sum and path to the list."
        )
    check(path, pin)


def class_path(server: str, *, cache: Path | None = None, progress: Progress | None = None) -> list[Path]:
    """Every jar of `server`, "kafka" or "questdb": fetched if absent, each checked. Raises BadJar, DependencyDown."""
    cache = cache or jars_dir()
    pins = read_pins()[server]
    absent = [pin for pin in pins if not (cache / pin.path).exists()]
    if absent:
        _fetch_all(absent, cache, progress)
    paths = [cache / pin.path for pin in pins]
    for path in paths:
        check_listed(path, cache, pins)
    return paths


@contextmanager
def os_trust_store() -> Iterator[None]:
    """Inside, certificates are checked against the operating system's trust store, with no environment variable."""
    import truststore

    truststore.inject_into_ssl()
    try:
        yield
    finally:
        truststore.extract_from_ssl()


def _fetch_all(pins: list[Pin], cache: Path, progress: Progress | None) -> None:
    """Fetch into a private folder beside the jars, check, then move each into place: a cut-off fetch leaves no jar."""
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = Path(tempfile.mkdtemp(prefix=".fetching-", dir=cache))
    try:
        with os_trust_store(), ThreadPoolExecutor(_FETCH_THREADS) as threads:
            jobs = threads.map(lambda pin: _fetch(pin, partial, cache), pins)
            for count, name in enumerate(jobs, start=1):
                if progress:
                    progress(count, len(pins), name)
    except (OSError, RuntimeError) as error:  # what requests and jgo raise
        raise DependencyDown(
            f"expected to fetch {len(pins)} jars of the embedded servers from the Maven registry, found: {error}. "
            f"Check the network and the system's certificates, then start again; what was fetched is kept."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fetch(pin: Pin, partial: Path, cache: Path) -> str:
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=partial, local_repos=[], timeout=_FETCH_TIMEOUT_S)
    fetched = Path(context.create_dependency(pin.coordinates).artifact.resolve())
    check(fetched, pin)
    target = cache / pin.path
    target.parent.mkdir(parents=True, exist_ok=True)
    fetched.replace(target)
    return pin.path.name

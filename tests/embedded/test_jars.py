"""The jar list: complete, well formed, and enforced. No network, no server."""

import hashlib
from pathlib import Path, PurePosixPath

import pytest

from sofia_streams.embedded import jars

GOOD = b"not really a jar, but these very bytes are listed"
PATH = "org/example/thing/1.0/thing-1.0.jar"
LIST = f"# thing\n{hashlib.sha256(GOOD).hexdigest()}  {PATH}\n"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pins = jars.read_pins(LIST)
    monkeypatch.setattr(jars, "read_pins", lambda: pins)
    (tmp_path / PATH).parent.mkdir(parents=True)
    return tmp_path


def test_a_listed_jar_is_used(cache: Path) -> None:
    (cache / PATH).write_bytes(GOOD)
    assert jars.class_path("thing", cache=cache) == [cache / PATH]


@pytest.mark.parametrize("damage", [b"", GOOD[:-1], GOOD + b"\0", GOOD.replace(b"jar", b"jaR")])
def test_a_tampered_jar_is_refused_with_both_sums(cache: Path, damage: bytes) -> None:
    (cache / PATH).write_bytes(damage)
    with pytest.raises(jars.BadJar) as refused:
        jars.class_path("thing", cache=cache)
    text = str(refused.value)
    assert hashlib.sha256(GOOD).hexdigest() in text
    assert hashlib.sha256(damage).hexdigest() in text
    assert "org.example:thing:1.0" in text
    assert "Delete it" in text


def test_an_unlisted_jar_is_refused(cache: Path) -> None:
    stranger = cache / "org/example/thing/1.0/thing-1.1.jar"
    stranger.write_bytes(GOOD)
    with pytest.raises(jars.BadJar, match="not listed and was not run"):
        jars.check_listed(stranger, cache, jars.read_pins()["thing"])


def test_the_shipped_list_is_well_formed() -> None:
    pins = jars.read_pins()
    assert set(pins) == {"kafka", "questdb"}
    every = [pin for section in pins.values() for pin in section]
    assert len({pin.path for pin in every}) == len(every)
    for pin in every:
        assert len(bytes.fromhex(pin.sha256)) == 32
        *_, artifact, version, file = pin.path.parts
        assert file == f"{artifact}-{version}.jar"
    assert "org.questdb:questdb:9.3.4" in {pin.coordinates for pin in every}
    assert "org.apache.kafka:kafka_2.13:4.1.1" in {pin.coordinates for pin in every}


def test_the_list_names_no_host() -> None:
    text = Path(jars.__file__).with_name("jars.sha256").read_text()
    assert "//" not in text.replace("\n", " ")


def test_cache_folder_follows_xdg_only_when_it_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert jars.jars_dir() == tmp_path / "xdg/sofia-streams/jars"
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert jars.jars_dir() == tmp_path / "home/.cache/sofia-streams/jars"


def test_coordinates_come_from_the_path() -> None:
    pin = jars.Pin("00", PurePosixPath("com/fasterxml/jackson/core/jackson-core/2.19.0/jackson-core-2.19.0.jar"))
    assert pin.coordinates == "com.fasterxml.jackson.core:jackson-core:2.19.0"


def test_the_trust_store_is_put_back() -> None:
    import ssl

    before = ssl.SSLContext
    with jars.os_trust_store():
        assert ssl.SSLContext is not before
    assert ssl.SSLContext is before

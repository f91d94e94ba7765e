"""Hosts, ports, labels and keys that no worker could use are refused by name, before anything starts."""

import pytest

from sofia_streams.errors import ConfigError
from sofia_streams.settings import load_settings


def refused(env=None, file=None):
    with pytest.raises(ConfigError) as caught:
        load_settings(file, env or {})
    return str(caught.value)


@pytest.mark.parametrize("key", ["WEB_HOST", "QUESTDB_HOST"])
@pytest.mark.parametrize("host", ["999.1.1.1", "1.2.3", "127.0.0.1.", "...", "a..b", "-", "a.-b", "[::1::]", "a" * 64])
def test_what_can_be_no_host_is_refused(key, host):
    said = refused({key: host})
    assert said.startswith(f"{key}: expected a host name, or an address like 127.0.0.1 or [::1], found '{host}'.")


@pytest.mark.parametrize("key", ["WEB_HOST", "QUESTDB_HOST"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "[::1]", "localhost", "my_db-1.example.", "db.1", "1a"])
def test_what_can_be_a_host_is_taken(key, host):
    assert getattr(load_settings(None, {key: host}), key.lower()) == host


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("BROKER_URL", "kafka://localhost:99999", "localhost:99999"),
        ("BROKER_URL", "kafka://localhost:0", "localhost:0"),
        ("BROKER_URL", "kafka://localhost:", "localhost:"),
        ("BROKER_URL", "kafka://localhost:abc", "localhost:abc"),
        ("BROKER_URL", "kafka://999.1.1.1:9092", "999.1.1.1:9092"),
        ("BROKER_URL", "kafka://one:9092,two:99999", "two:99999"),
        ("BROKER_URL", "kafka://::1:9092", "::1:9092"),
        ("SIMULATOR_URL", "ws://user:hunter2@localhost:70000", "localhost:70000"),
        ("REPLAY_URL", "ws://localhost:70000/replay", "localhost:70000"),
    ],
)
def test_an_address_with_a_host_or_port_that_is_none_is_refused(key, value, found):
    said = refused({key: value})
    assert said.startswith(f"{key}: expected host:port with a port from 1 to 65535 after the //, found '{found}'.")
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("REDIS_URL", "redis://localhost:99999/0"),
        ("REDIS_URL", "redis://localhost:9999999999/0"),
        ("REDIS_URL", "redis://:hunter2@localhost:abc"),
        ("REDIS_URL", "redis://[::1]:/0"),
        ("REDIS_URL", "redis://:hunter2@localhost:99999"),
        ("TIMESCALE_URL", "postgresql://sofia:hunter2@localhost:99999/sofia"),
        ("WHALE_WEBHOOK_URL", "https://example.com:0/hunter2"),
    ],
)
def test_a_secret_address_with_a_port_that_is_none_is_refused_and_not_shown(key, value):
    said = refused({key: value})
    assert said.startswith(f"{key}: expected a text like ") and said.endswith("found a value that is not shown.")


@pytest.mark.parametrize(
    "value",
    [
        *("redis://me:70000@localhost/0", "redis://me:a@[::1]/0", "redis://:p@70000/0@localhost:1"),
        *(
            "redis://:p#a@localhost/0",
            "redis://:p/a@localhost:1",
            "unix:///a:70000",
            "unix:///a@b:c",
            "redis://localhost/@me:there",
        ),
    ],
)
def test_what_stands_behind_a_colon_in_a_password_host_or_path_is_no_port(value):
    assert load_settings(None, {"REDIS_URL": value}).redis_address() == value


def test_of_several_servers_of_a_secret_address_one_may_have_no_port():
    value = "postgresql://sofia@one:5432,two/sofia"
    assert load_settings(None, {"TIMESCALE_URL": value}).fallback_url() == value


@pytest.mark.parametrize("value", ["kafka://one", "kafka://one:9092,two:9093", "kafka://[::1]:9092"])
def test_addresses_that_a_client_can_use_are_taken(value):
    assert load_settings(None, {"BROKER_URL": value}).broker() == value


@pytest.mark.parametrize("label", ["-", "--", "-a", "a-", "a" * 41])
def test_a_label_of_nothing_but_what_joins_it_to_names_is_refused(label):
    assert refused({"NAMESPACE": label}) == f"NAMESPACE: expected a text like demo-2, found '{label}'."


@pytest.mark.parametrize("label", ["a", "0", "a-b", "a--b", "a" * 40])
def test_other_labels_are_taken(label):
    assert load_settings(None, {"NAMESPACE": label}).namespace == label


@pytest.mark.parametrize("second", ["WEB_PORT=7001", "export WEB_PORT = 7000", "WEB_PORT="])
def test_a_key_that_stands_twice_in_the_file_is_refused_with_both_lines(tmp_path, second):
    path = tmp_path / ".env"
    path.write_text(f"WEB_PORT=7000\n# WEB_PORT=1\nLOG_LEVEL=info\n{second}\n")
    said = refused(file=path)
    assert said.startswith(f"{path}: line 4: expected each key once, found WEB_PORT again, which stands in line 1")

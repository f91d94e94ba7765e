"""The deployment files without Docker: services, commands, keys, ports, images and health checks against the code."""

import ast
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from sofia_streams import topics
from sofia_streams.app import create_app
from sofia_streams.cli.__main__ import load
from sofia_streams.obs import metrics
from sofia_streams.ops.workers import INPUTS, check_name
from sofia_streams.settings import Settings, load_settings
from sofia_streams.settings.env_keys import COMPOSE_PREFIXES, read_env_file

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
DEMO = read_env_file(ROOT / "deploy" / "demo.env")
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def redpanda_file(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "redpanda" / name).read_text())
    return found


def filled_in(text: str, env: dict[str, str]) -> str:
    """As Compose does: ${NAME:-default} and $$."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda m: env.get(m[1]) or m[2], text).replace("$$", "$")


def command_of(name: str, env: dict[str, str]) -> list[str]:
    return [filled_in(word, env) for word in SERVICES[name]["command"]]


def environment_of(name: str, env: dict[str, str]) -> dict[str, str]:
    return {key: filled_in(value, env) for key, value in SERVICES[name]["environment"].items()}


def ports() -> list[str]:
    return [port for service in SERVICES.values() for port in service.get("ports", [])]


# == the services


def test_every_worker_has_a_service_and_nothing_else_of_ours_runs():
    workers = {command[1] for name in OURS if (command := SERVICES[name]["command"])[0] == "worker"}
    assert workers == set(INPUTS)
    assert set(OURS) == {*INPUTS, "topics", "simulator"}


@pytest.mark.parametrize("env", [{}, DEMO, {"CRYPTO_EXCHANGES": "okx", "CRYPTO_SYMBOLS": "SOL/USDT"}])
@pytest.mark.parametrize("name", OURS)
def test_the_command_line_takes_the_services_command(name, env):
    words = command_of(name, env)
    command: Any = typer.main.get_command(load(words[0]))
    context = command.make_context("sofia", list(words))
    while hasattr(command, "resolve_command"):
        _, command, words = command.resolve_command(context, words)
        context = command.make_context(command.name, list(words), parent=context)
    if command.name == "worker":
        check_name(context.params["name"])
    if command.name == "simulate":
        chosen = load_settings(None, environment_of(name, env))
        assert context.params["venues"].split(",") == list(chosen.crypto_exchanges)
        assert context.params["symbols"].split(",") == list(chosen.crypto_symbols)
        assert f":{context.params['port']}" in DEMO["SIMULATOR_URL"]


@pytest.mark.parametrize("name", OURS)
def test_every_key_a_service_gets_is_a_setting_and_its_values_load(name):
    assert {key.lower() for key in SERVICES[name]["environment"]} <= set(Settings.model_fields)
    settings = load_settings(None, environment_of(name, {}))
    assert (settings.namespace, settings.simulator_url) == ("", None)
    assert settings.crypto_exchanges == Settings().crypto_exchanges
    demo = load_settings(None, environment_of(name, DEMO))
    assert (demo.namespace, demo.simulator_url) == ("demo", "ws://simulator:8765")


def test_the_demo_file_holds_settings_and_compose_keys_that_name_services():
    assert {key for key in DEMO if key.lower() not in Settings.model_fields} == {"COMPOSE_PROFILES"}
    assert "COMPOSE_PROFILES".startswith(COMPOSE_PREFIXES)
    assert [name for name in SERVICES if SERVICES[name].get("profiles") == [DEMO["COMPOSE_PROFILES"]]] == ["simulator"]


def test_addresses_name_services_and_the_ports_they_listen_on():
    settings = load_settings(None, environment_of("ohlcv", {}))
    internal, external = redpanda_file("redpanda.yaml")["redpanda"]["advertised_kafka_api"]
    assert settings.broker() == f"kafka://{internal['address']}:{internal['port']}"
    assert f"127.0.0.1:{external['port']}:{external['port']}" in SERVICES["redpanda"]["ports"]
    assert external["address"] == "127.0.0.1"
    assert redpanda_file("console.yaml")["kafka"]["brokers"] == [f"{internal['address']}:{internal['port']}"]
    assert {settings.questdb_address().split(":")[0], settings.redis_address().split("/")[2].split(":")[0]} <= {
        *SERVICES
    }


def test_workers_start_after_the_topics_and_what_they_write_to():
    for name in INPUTS:
        assert SERVICES[name]["depends_on"]["topics"]["condition"] == "service_completed_successfully"
    assert "questdb" in SERVICES["timeseries_writer"]["depends_on"]
    assert "redis" in SERVICES["redis_bridge"]["depends_on"]
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_started_again_stopped_in_time_and_bounded(name):
    service = SERVICES[name]
    assert service["restart"] == ("no" if name == "topics" else "unless-stopped")
    assert service["init"] is True
    assert service["stop_grace_period"]
    assert service["mem_limit"]
    assert name == "topics" or service["healthcheck"]["test"]


@pytest.mark.parametrize("name", OURS)
def test_what_is_ours_runs_without_rights(name):
    service = SERVICES[name]
    user = service["user"]
    assert user != "0:0" and f"USER {user}" in DOCKERFILE
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert Path("/tmp") in Path(service["environment"]["DATA_DIR"]).parents and service["tmpfs"] == ["/tmp"]


# == what the outside sees


def test_every_port_is_published_on_loopback_only_and_once():
    assert ports()
    assert not [port for port in ports() if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)]
    published = [port.split(":")[1] for port in ports()]
    assert len(set(published)) == len(published)


def test_every_port_stands_in_the_documentation():
    text = (ROOT / "docs" / "deploy.md").read_text()
    assert not [port for port in ports() if f"| {port.split(':')[1]} |" not in text]


def test_images_are_pinned_to_one_version():
    images = [service["image"] for service in SERVICES.values()] + re.findall(r"(?m)^FROM (\S+)", DOCKERFILE)
    assert len(images) == len(SERVICES) + 1
    assert not [image for image in images if not re.search(r":v?\d+\.\d+\.\d+", image)]


def test_the_database_is_the_version_that_the_tests_run():
    embedded = (ROOT / "sofia_streams" / "embedded" / "jars.sha256").read_text()
    version = SERVICES["questdb"]["image"].partition(":")[2]
    assert f"questdb-{version}.jar" in embedded


def test_volumes_are_declared_and_mounted_files_exist():
    mounts = [mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert {mount for mount in mounts if not mount.startswith("./")} == set(COMPOSE["volumes"])
    assert all((ROOT / mount).is_dir() for mount in mounts if mount.startswith("./"))


def test_the_broker_keeps_what_it_acknowledged():
    start = " ".join(SERVICES["redpanda"]["command"])
    assert "dev-container" not in start and "unsafe-bypass-fsync" not in start
    assert redpanda_file("redpanda.yaml")["redpanda"]["developer_mode"] is False
    cluster = redpanda_file("bootstrap.yaml")
    assert cluster["write_caching_default"] == "false"
    assert cluster["auto_create_topics_enabled"] is False
    assert cluster["kafka_batch_max_bytes"] >= max(topic.record_bytes_max for topic in topics.TOPICS.values())
    for name in ("redpanda.yaml", "bootstrap.yaml"):
        assert f"/config/{name} " in start


def test_the_broker_allows_the_session_that_workers_ask_for():
    made = create_app("ohlcv", Settings(broker_url="kafka://localhost:1"))
    assert redpanda_file("bootstrap.yaml")["group_min_session_timeout_ms"] <= made.conf.broker_session_timeout * 1000


@pytest.mark.parametrize(("host", "listens_on"), [(None, "127.0.0.1"), ("0.0.0.0", "0.0.0.0")])
def test_a_workers_pages_listen_on_loopback_unless_told_otherwise(host, listens_on):
    settings = load_settings(None, {"BROKER_URL": "kafka://localhost:1", "WEB_HOST": host or ""})
    assert create_app("ohlcv", settings).conf.web_bind == listens_on


# == the image


def test_the_image_holds_every_package_that_is_imported_and_no_secret_file():
    copied = set(re.findall(r"(?m)^COPY (\w+)/ \1/$", DOCKERFILE))
    needed, seen = {"sofia_streams", "agents", "tables"}, set()
    while rest := needed - seen:
        package = rest.pop()
        seen.add(package)
        for path in (ROOT / package).rglob("*.py"):
            needed |= {name for name in imported(path) if (ROOT / name / "__init__.py").exists()}
    assert copied == needed
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert allowed == copied | {"requirements.lock"}


def imported(path: Path) -> set[str]:
    """The first part of every name that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def test_the_image_installs_the_lock_by_hash_without_a_compiler():
    assert "--require-hashes --no-deps --only-binary=:all: -r requirements.lock" in DOCKERFILE
    assert 'ENTRYPOINT ["python", "-m", "sofia_streams.cli"]' in DOCKERFILE


# == health checks


@contextmanager
def serving(body: bytes) -> Iterator[int]:
    """A local HTTP server whose /metrics is `body`; its port."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/metrics" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def is_healthy(name: str, port: int) -> bool:
    kind, program, *words = SERVICES[name]["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "python")
    command = [sys.executable, *(filled_in(word, {}) for word in words)]
    done = subprocess.run(command, env={**os.environ, "WEB_PORT": str(port)}, capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("name", ["ohlcv", "timeseries_writer", "redis_bridge"])
def test_a_worker_is_healthy_while_it_answers_with_its_numbers(name):
    with serving(metrics.text()) as port:
        assert is_healthy(name, port)
    assert not is_healthy(name, port), "nothing listens any more"
    with serving(b"something else") as port:
        assert not is_healthy(name, port)


def test_ingest_is_healthy_while_a_venue_is_connected():
    metrics.CONNECTED.clear()  # other tests have connected, too
    metrics.CONNECTED.labels("okx").set(0)
    metrics.CONNECTED.labels("bybit").set(0)
    with serving(metrics.text()) as port:
        assert not is_healthy("crypto_ws", port)
    metrics.CONNECTED.labels("bybit").set(2)
    with serving(metrics.text()) as port:
        assert is_healthy("crypto_ws", port)


# == Compose itself


@pytest.mark.parametrize("options", [[], ["--env-file", "deploy/demo.env"], ["--env-file", ".env.example"]])
def test_compose_takes_the_file(options):
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("NOT CHECKED: `docker compose` is not installed, so Compose itself has not read docker-compose.yml")
    done = subprocess.run(
        [docker, "compose", *options, "config", "-q"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

"""The servers a command needs: embedded ones where no address is configured, and settings that point at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from sofia_streams.embedded.jars import Progress
from sofia_streams.embedded.stack import Addresses, Ports, Stack
from sofia_streams.settings import Settings


def make_stack(
    settings: Settings,
    data_dir: Path,
    *,
    say: Callable[[str], None],
    ports: Ports = Ports(),  # noqa: B008
    progress: Progress | None = None,
    stores: bool = True,
) -> Stack:
    """The embedded servers that `settings` has no address for; not started. Without `stores`, a broker at most."""
    return Stack(
        data_dir,
        kafka=settings.broker_url is None,
        questdb=stores and settings.questdb_host is None,
        redis=stores and settings.redis_url is None,
        postgres=stores and settings.fallback_enabled and settings.timescale_url is None,
        preferred_ports=ports,
        say=say,
        progress=progress,
    )


def addressed(settings: Settings, found: Addresses, data_dir: Path) -> Settings:
    """The settings with the addresses of the started servers."""
    update: dict[str, object] = {"data_dir": data_dir}
    if found.kafka:
        update["broker_url"] = f"kafka://{found.kafka}"
    if found.redis_url:
        update["redis_url"] = SecretStr(found.redis_url)
    if found.postgres_url:
        update["timescale_url"] = SecretStr(found.postgres_url)
    if found.questdb_http:
        host, _, http_port = found.questdb_http.partition(":")
        update["questdb_host"], update["questdb_http_port"] = host, int(http_port)
        update["questdb_port"] = int(found.questdb_pg.partition(":")[2])
    return settings.model_copy(update=update)


@contextmanager
def running_stack(
    settings: Settings,
    data_dir: Path,
    *,
    say: Callable[[str], None],
    ports: Ports = Ports(),  # noqa: B008
    progress: Progress | None = None,
    stores: bool = True,
) -> Iterator[Settings]:
    """Inside, broker and, with `stores`, database and Redis answer at the yielded settings' addresses.

    Raises as `Stack.start`.
    """
    with make_stack(settings, data_dir, say=say, ports=ports, progress=progress, stores=stores) as stack:
        yield addressed(settings, stack.addresses, data_dir)

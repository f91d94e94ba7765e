"""The servers a command needs: embedded ones where no address is configured, and settings that point at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from sofia_streams.embedded.stack import Ports, Stack
from sofia_streams.settings import Settings


@contextmanager
def running_stack(
    settings: Settings,
    data_dir: Path,
    *,
    say: Callable[[str], None],
    ports: Ports = Ports(),  # noqa: B008
) -> Iterator[Settings]:
    """Inside, broker, database and Redis answer at the yielded settings' addresses. Raises as `Stack.start`."""
    stack = Stack(
        data_dir,
        kafka=settings.broker_url is None,
        questdb=settings.questdb_host is None,
        redis=settings.redis_url is None,
        preferred_ports=ports,
        say=say,
    )
    with stack:
        found = stack.addresses
        update: dict[str, object] = {"data_dir": data_dir}
        if found.kafka:
            update["broker_url"] = f"kafka://{found.kafka}"
        if found.redis_url:
            update["redis_url"] = SecretStr(found.redis_url)
        if found.questdb_http:
            host, _, http_port = found.questdb_http.partition(":")
            update["questdb_host"], update["questdb_http_port"] = host, int(http_port)
            update["questdb_port"] = int(found.questdb_pg.partition(":")[2])
        yield settings.model_copy(update=update)

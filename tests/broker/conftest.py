"""A broker for the tests that need no other server, and namespaces on it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from sofia_streams.embedded.stack import Ports, Stack
from sofia_streams.ops.stack import addressed
from sofia_streams.ops.topics import apply_topics, delete_namespace
from sofia_streams.settings import Settings, load_settings

MakeNamespace = Callable[..., Awaitable[Settings]]


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings of a running broker. One for all files that this process runs."""
    data_dir = tmp_path_factory.mktemp("kafka") / "data"
    with Stack(data_dir, questdb=False, redis=False, preferred_ports=Ports(0, 0, 0, 0)) as stack:
        yield addressed(load_settings(None, {"LOG_LEVEL": "info"}), stack.addresses, data_dir)


@pytest.fixture
async def make_namespace(kafka: Settings, request: pytest.FixtureRequest) -> AsyncIterator[MakeNamespace]:
    """Call it with what differs from the broker's settings: topics and models of its own, removed after the test."""
    made: list[Settings] = []

    async def make(**own: Any) -> Settings:
        name = f"t{abs(hash(request.node.nodeid)) % 10**8}-{len(made)}"
        made.append(kafka.model_copy(update={"namespace": name, "models_dir": kafka.data_dir / name, **own}))
        await apply_topics(made[-1])
        return made[-1]

    yield make
    for one in made:
        await delete_namespace(one)

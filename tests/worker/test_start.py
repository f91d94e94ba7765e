"""A worker that starts while the broker is away waits for it, for a while."""

from types import SimpleNamespace

import pytest

from sofia_streams import app as app_module
from sofia_streams.errors import ConfigError, DependencyDown
from sofia_streams.settings import load_settings


def app_with(topics_fit):
    app = app_module.create_app("crypto_ws", load_settings(None, {"BROKER_URL": "kafka://127.0.0.1:1"}))
    app.log_check = SimpleNamespace(topics_fit=topics_fit)
    return app


async def test_it_begins_once_the_broker_is_there(monkeypatch):
    monkeypatch.setattr(app_module, "_LOOK_S", 0.0)
    answers = [DependencyDown("no broker"), DependencyDown("no topics yet"), None]

    async def topics_fit() -> None:
        if error := answers.pop(0):
            raise error

    await app_with(topics_fit)._wait_for_topics()
    assert answers == []


async def test_it_ends_with_the_reason_where_there_is_none_for_long(monkeypatch):
    monkeypatch.setattr(app_module, "_BROKER_WITHIN_S", -1.0)

    async def topics_fit() -> None:
        raise DependencyDown("no broker")

    with pytest.raises(DependencyDown, match="no broker"):
        await app_with(topics_fit)._wait_for_topics()


async def test_what_does_not_pass_by_itself_ends_it_at_once():
    async def topics_fit() -> None:
        raise ConfigError("other partitions")

    with pytest.raises(ConfigError):
        await app_with(topics_fit)._wait_for_topics()

"""What a venue says cannot move a terminal's cursor or forge a line; a worker's log has what LOG_LEVEL asks for."""

import logging

import pytest
import structlog

from sofia_streams.app import create_app
from sofia_streams.obs import logs
from sofia_streams.settings import load_settings


def test_control_and_direction_characters_are_shown_and_not_obeyed(capsys):
    logs.configure("info", as_json=False)
    said = "\x1b]0;gone\x07\x1b[2J\nlevel=error \u202eright to left"
    structlog.get_logger("test").warning("the venue says", detail=said)
    for handler in logging.getLogger().handlers:
        handler.flush()
    text = capsys.readouterr().err
    assert "gone" in text
    assert text.count("\n") == 1
    assert text.rstrip("\n").isprintable()


NAMES = ["debug", "info", "warning"]


@pytest.mark.parametrize(("level", "shown"), [("debug", NAMES), ("info", NAMES[1:]), ("warning", NAMES[2:])])
def test_a_worker_logs_what_its_level_lets_through_and_nothing_less(level, shown, capsys):
    """As its command starts it: Faust's own level, which is for warnings, is not asked."""
    app = create_app("ohlcv", load_settings(None, {"BROKER_URL": "kafka://127.0.0.1:1", "LOG_LEVEL": level}))
    app.Worker(loglevel="WARN")._setup_logging()
    for name in NAMES:
        getattr(structlog.get_logger("test"), name)(f"said as {name}")
    said = capsys.readouterr().err
    assert [name for name in NAMES if f"said as {name}" in said] == shown

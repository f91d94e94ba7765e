"""What a venue says cannot move a terminal's cursor or forge a line."""

import logging

import structlog

from sofia_streams.obs import logs


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

"""`.env.example`: every setting, its default and what it may be, as the code has them."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from sofia_streams.settings import Settings, load_settings
from sofia_streams.settings.messages import expected

EXAMPLE = Path(__file__).parents[2] / ".env.example"
PUBLISHED = [
    *("REDIS_URL", "QUESTDB_HOST", "QUESTDB_PORT", "CRYPTO_EXCHANGES", "CRYPTO_SYMBOLS", "AI_MODEL_TYPES"),
    *("AI_MIN_SIGNAL_CONFIDENCE", "PAPER_INITIAL_BALANCE", "PAPER_MAX_POSITION_SIZE_PCT", "WHALE_WEBHOOK_URL"),
    "TELEGRAM_BOT_TOKEN",
]


def example_lines() -> list[tuple[str, str, bool, str]]:
    """(key, value, in force, the comment above) of every setting that the file shows."""
    lines = EXAMPLE.read_text().splitlines()
    found = []
    for above, line in pairwise(lines):
        if match := re.fullmatch(r"(#?)([A-Z0-9_]+)=(.*)", line):
            found.append((match[2], match[3], not match[1], above))
    return found


def test_the_example_names_exactly_the_settings_published_names_first():
    keys = [key for key, *_ in example_lines()]
    assert sorted(keys) == sorted(name.upper() for name in Settings.model_fields)
    assert set(keys[: len(PUBLISHED)]) == set(PUBLISHED)


@pytest.mark.parametrize(("key", "value", "in_force", "above"), example_lines())
def test_the_example_shows_the_default_and_what_is_allowed(key, value, in_force, above):
    field = Settings.model_fields[key.lower()]
    assert above == f"# {field.description} ({expected(field)})"
    if field.default not in (None, "", ()):
        assert getattr(load_settings(None, {key: value}), key.lower()) == field.default
    else:
        assert not in_force, f"{key} has no default; the example may only show one"
        assert getattr(load_settings(None, {key: value}), key.lower())


def test_copying_the_example_changes_nothing_and_keeps_the_embedded_stack():
    assert load_settings(EXAMPLE, {}) == Settings()


def test_the_example_with_every_line_in_force_is_still_right(tmp_path):
    text = re.sub(r"(?m)^#([A-Z0-9_]+=)", r"\1", EXAMPLE.read_text())
    path = tmp_path / ".env"
    path.write_text(text)
    settings = load_settings(path, {})
    assert settings.broker() and settings.redis_address() and settings.questdb_address()

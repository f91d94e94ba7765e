"""Every reason code is explained in words, once, and docs/paper_trading.md has the same words."""

import re
from pathlib import Path

from sofia_streams.core.oms import reasons
from sofia_streams.core.oms.meanings import MEANINGS

CODES = {value for name, value in vars(reasons).items() if name.isupper()}
TEXT = (Path(__file__).parents[3] / "docs" / "paper_trading.md").read_text()


def test_every_code_has_a_meaning_and_nothing_else_has():
    assert {*MEANINGS} == CODES
    assert len({*MEANINGS.values()}) == len(CODES)


def test_the_documentation_has_the_table_word_for_word():
    table = TEXT[TEXT.index("| code | what it means |") :]
    assert dict(re.findall(r"^\| `([A-Z_]+)` \| (.+) \|$", table, re.MULTILINE)) == MEANINGS


def test_settings_that_a_meaning_names_are_settings():
    from sofia_streams.settings import Settings

    named = {name for text in MEANINGS.values() for name in re.findall(r"PAPER_[A-Z_]+", text)}
    assert named
    assert {name.lower() for name in named} <= {*Settings.model_fields}

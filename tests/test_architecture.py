"""Which room may import which; the table of ARCHITECTURE.md."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STANDARD = {"__future__", "bisect", "collections", "dataclasses", "datetime", "decimal", "functools", "json", "re", "typing"}
PURE = STANDARD | {"msgspec", "sofia_streams.model", "sofia_streams.errors"}
RULES = {
    "sofia_streams/model.py": STANDARD | {"msgspec"},
    "sofia_streams/errors.py": STANDARD,
    "sofia_streams/core": PURE | {"sofia_streams.core"},
    "sofia_streams/venues": PURE | {"sofia_streams.venues"},
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("room", RULES)
def test_a_room_imports_only_what_it_may(room):
    place = ROOT / room
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    assert files
    for path in files:
        strangers = {
            name for name in imports(path) if not any(name == ok or name.startswith(f"{ok}.") for ok in RULES[room])
        }
        assert not strangers, f"{path.relative_to(ROOT)} imports {strangers}"

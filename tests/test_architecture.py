"""Which room may import which (the table of ARCHITECTURE.md), and how big files and functions may be."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PURE = {
    *("__future__", "bisect", "collections", "contextlib", "datetime", "decimal", "functools", "hashlib"),
    *("heapq", "itertools", "json"),
    *("math", "operator", "re", "statistics", "typing", "msgspec"),
}
PURE_BUT_FOR = {"core.scoring": {"ctypes", "lightgbm"}}
"""What one pure room needs besides: LightGBM's library, which scores and nothing else."""
GROUND = (
    *("capture", "codec", "crash_points", "errors", "files", "limits", "model", "obs", "paper", "scored", "settings"),
    "topics",
)
ALLOWED = {
    "model": (),
    "errors": (),
    "scored": ("model",),
    "paper": ("model",),
    "core": ("model", "errors", "scored", "paper"),
    "venues": ("model", "errors"),
    "crash_points": (),
    "files": ("errors",),
    "limits": ("errors",),
    "capture": ("model", "errors"),
    "obs": ("model", "errors"),
    "topics": (),
    "codec_checks": ("model", "core", "scored", "paper"),
    "codec": ("model", "errors", "core", "scored", "paper", "codec_checks"),
    "settings": ("model", "errors", "venues"),
    "paper_rules": ("core", "model", "settings"),
    "logread": ("codec", "errors", "model", "settings", "topics"),
    "logwrite": ("codec", "model", "settings", "topics"),
    "stores": ("model", "errors", "core", "scored", "paper"),
    "embedded": ("model", "errors", "files"),
    "worker": (*GROUND, "logread", "logwrite", "core", "paper_rules", "stores"),
    "app": (*GROUND, "worker"),
    "ingest": (*GROUND, "logread", "logwrite", "core", "venues", "embedded"),
    "simulator": ("capture", "errors", "model", "venues"),
    "training": (*GROUND, "logread", "logwrite", "core", "stores", "embedded"),
    "ops": (
        *(*GROUND, "logread", "logwrite", "core", "paper_rules", "venues", "stores", "embedded", "ingest", "simulator"),
        "training",
    ),
    "tables": ("app", "topics", "model", "codec", "core"),
    "agents": (
        *(*GROUND, "logread", "core", "paper_rules", "venues", "stores", "embedded", "worker", "app", "ingest"),
        *("training", "tables"),
    ),
    "bench": (
        *(*GROUND, "logwrite", "core", "paper_rules", "venues", "stores", "embedded", "ingest", "simulator"),
        *("training", "ops"),
    ),
    "cli": (
        *(*GROUND, "core", "paper_rules", "venues", "stores", "embedded", "ingest", "simulator", "training", "ops"),
        "bench",
    ),
}
"""Rooms, from the ground up, and what each may import beside itself. No room imports an agent."""
INNER = {
    "core": (),
    "core.feeds": (),
    "core.bars": ("core.feeds",),
    "core.features": (),
    "core.scoring": (),
    "core.signals": ("core.features", "core.scoring"),
    "core.oms": ("core", "core.oms.account", "core.oms.market", "core.oms.policies"),
    "core.oms.account": ("core.oms",),
    "core.oms.market": ("core.oms",),
    "core.oms.policies": ("core.oms",),
    "core.performance": (),
    "core.monitoring": ("core.features", "core.scoring", "core.signals"),
    "ingest": (),
    "ingest.rest": ("ingest",),
    "ingest.sockets": ("ingest",),
    "training": (),
    "training.sources": ("training",),
    "training.fitting": ("training", "training.sources"),
    "training.retraining": ("training",),
    "ops": (),
    "ops.supervision": ("ops",),
    "ops.look": ("ops", "ops.supervision"),
    "ops.replay": ("ops",),
    "ops.verify": ("ops",),
    "ops.paper": ("ops", "ops.replay", "ops.report"),
    "ops.report": ("ops",),
    "ops.backtest": ("ops", "ops.replay", "ops.report"),
    "ops.chaos": ("ops", "ops.supervision", "ops.replay", "ops.verify"),
}
"""Rooms within a room, and which of them each may import; what stands beside the folders imports none of them."""
PURE_ROOMS = ("model", "scored", "paper", "core", "venues")
LINES_MAX, FUNCTION_LINES_MAX, AGENT_LINES_MAX = 300, 40, 88
PACKAGES = tuple(f"sofia_streams{room}" for room in ("", ".core", ".ingest", ".training", ".ops"))
"""What is imported from these is a module or a room."""
OURS = ("sofia_streams", "agents", "tables", "bench")


def files_of(room: str) -> list[Path]:
    for place in (ROOT / room, ROOT / "sofia_streams" / room):
        if place.is_dir():
            return sorted(place.rglob("*.py"))
    return [ROOT / "sofia_streams" / f"{room}.py"]


def imports(path: Path) -> set[str]:
    """Full names of what a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names} if module in PACKAGES else {module}
    return found


def room_of(name: str) -> str | None:
    """The room of an imported name; None where it is not ours."""
    first, _, rest = name.partition(".")
    return rest.partition(".")[0] if first == "sofia_streams" else first if first in OURS else None


def sources() -> list[Path]:
    return [path for top in OURS for path in sorted((ROOT / top).rglob("*.py"))]


def test_every_file_stands_in_a_room_of_the_table():
    placed = {path for room in ALLOWED for path in files_of(room)}
    assert set(sources()) - placed == {ROOT / "sofia_streams" / "__init__.py"}


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_it_may(room):
    files = files_of(room)
    assert files
    for path in files:
        found = {name for found in imports(path) if (name := room_of(found)) and name != room}
        assert found <= set(ALLOWED[room]), f"{path.relative_to(ROOT)} imports {found - set(ALLOWED[room])}"


def inner_room_of(name: str) -> str | None:
    """`ops.replay` of a name such as `sofia_streams.ops.replay.export`, `ops` of `sofia_streams.ops.stack`."""
    room = name.partition(".")[2]
    while room and room not in INNER:
        room = room.rpartition(".")[0]
    return room or None


def test_every_folder_within_a_divided_room_is_in_its_table():
    divided = {room.partition(".")[0] for room in INNER}
    folders = {path.parent for room in divided for path in files_of(room)}
    assert {".".join(path.relative_to(ROOT / "sofia_streams").parts) for path in folders} == set(INNER)


@pytest.mark.parametrize("room", INNER)
def test_a_room_within_a_room_imports_only_what_it_may(room):
    outer = room.partition(".")[0]
    for path in (ROOT / "sofia_streams" / room.replace(".", "/")).glob("*.py"):
        inner = {name for found in imports(path) if room_of(found) == outer and (name := inner_room_of(found))}
        strangers = inner - {room, *INNER[room]}
        assert not strangers, f"{path.relative_to(ROOT)} imports {strangers}"


def test_no_agent_imports_another():
    for path in files_of("agents"):
        assert not [name for name in imports(path) if name.startswith("agents.")], path


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_a_pure_room_has_no_clock_socket_randomness_or_log(room):
    for path in files_of(room):
        foreign = {name.partition(".")[0] for name in imports(path) if room_of(name) is None}
        strangers = foreign - PURE - PURE_BUT_FOR.get(f"{path.parent.parent.name}.{path.parent.name}", set())
        assert not strangers, f"{path.relative_to(ROOT)} imports {strangers}"


def test_files_and_functions_stay_small():
    for path in sources():
        text = path.read_text()
        limit = AGENT_LINES_MAX if path.parent.name == "agents" else LINES_MAX
        assert len(text.splitlines()) <= limit, f"{path.relative_to(ROOT)} has over {limit} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                assert lines <= FUNCTION_LINES_MAX, f"{path.relative_to(ROOT)}: {node.name} has {lines} lines"


def test_files_of_tests_stay_small_too():
    for path in (ROOT / "tests").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= LINES_MAX, f"{path.relative_to(ROOT)} has over {LINES_MAX} lines"

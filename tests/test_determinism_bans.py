"""What would make two runs differ is not used in the pure rooms: clocks, randomness, hash(), id(), the order of sets.

A line that is right all the same says why: `# det-ok: reason`. Written as code that reads code, and then as a run: the
same recording in processes with another hash seed, time zone and locale gives the same records in the same order.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for room in ("core", "venues") for path in (ROOT / "sofia_streams" / room).rglob("*.py"))
MODULES = {"time", "random", "secrets", "uuid", "os", "platform", "locale", "threading", "asyncio", "socket"}
CLOCKS = {"now", "utcnow", "today", "fromtimestamp", "localtime", "astimezone"}
BUILTINS = {"hash", "id", "input", "open", "eval", "exec"}
SET_MAKERS = {"set", "frozenset"}
SET_METHODS = {"union", "intersection", "difference", "symmetric_difference", "copy"}
ORDER_FREE = {"sorted", "min", "max", "any", "all", "len", "set", "frozenset"}
"""What takes a set and gives the same for any order. Not `sum`: decimals may be rounded on the way."""
ORDERED = {
    *("list", "tuple", "iter", "enumerate", "zip", "map", "filter", "reversed", "reduce", "deque", "sum"),
    *("join", "fromkeys", "extend"),
}
MARK = "# det-ok: "


class Bans(ast.NodeVisitor):
    """Collects (line, why) of one file. A name or attribute is a set where the file says so anywhere."""

    def __init__(self, tree):
        self.found = []
        self._sets = set()
        self._free = set()  # generators whose consumer does not care for order
        for _ in range(2):  # a set may be assigned from another one
            for node in ast.walk(tree):
                self._learn(node)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and name_of(node.func) in ORDER_FREE:
                self._free.update(id(argument) for argument in node.args)
            elif isinstance(node, ast.Set):
                self._free.update(id(element.value) for element in node.elts if isinstance(element, ast.Starred))
        self.visit(tree)

    def _learn(self, node):
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            target = node.arg if isinstance(node, ast.arg) else name_of(node.target)
            if ast.unparse(node.annotation).startswith(("set[", "frozenset[", "Set[", "AbstractSet[")):
                self._sets.add(target)
        elif isinstance(node, ast.Assign) and self.is_set(node.value):
            self._sets.update(name_of(target) for target in node.targets)

    def is_set(self, node):
        if isinstance(node, ast.Set | ast.SetComp):
            return True
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub | ast.BitXor):
            return self.is_set(node.left) or self.is_set(node.right)
        if isinstance(node, ast.IfExp):
            return self.is_set(node.body) or self.is_set(node.orelse)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return node.func.attr in SET_METHODS and self.is_set(node.func.value)
        if isinstance(node, ast.Call):
            return name_of(node.func) in SET_MAKERS
        return isinstance(node, ast.Name | ast.Attribute) and name_of(node) in self._sets

    def _ban(self, node, why):
        self.found.append((node.lineno, why))

    def visit_Import(self, node):
        for alias in node.names:
            if alias.name.partition(".")[0] in MODULES:
                self._ban(node, f"imports {alias.name}")

    def visit_ImportFrom(self, node):
        if (node.module or "").partition(".")[0] in MODULES:
            self._ban(node, f"imports {node.module}")

    def visit_Call(self, node):
        name = name_of(node.func)
        has_zone = name == "fromtimestamp" and len(node.args) + len(node.keywords) > 1
        if isinstance(node.func, ast.Attribute) and name in CLOCKS and not has_zone:
            self._ban(node, f"calls {ast.unparse(node.func)}()")
        if isinstance(node.func, ast.Name) and name in BUILTINS:
            self._ban(node, f"calls {name}()")
        if name in ORDERED and any(map(self.is_set, node.args)):
            self._ban(node, f"{name}() of a set")
        if isinstance(node.func, ast.Attribute) and name == "pop" and self.is_set(node.func.value) and not node.args:
            self._ban(node, "pop() of a set")
        self.generic_visit(node)

    def visit_For(self, node):
        if self.is_set(node.iter):
            self._ban(node, f"goes through a set: {ast.unparse(node.iter)[:60]}")
        self.generic_visit(node)

    def _comprehension(self, node):
        if id(node) not in self._free:
            for part in node.generators:
                if self.is_set(part.iter):
                    self._ban(node, f"goes through a set: {ast.unparse(part.iter)[:60]}")
        self.generic_visit(node)

    visit_ListComp = visit_DictComp = visit_GeneratorExp = _comprehension  # a set made of a set has no order either

    def _display(self, node):
        for element in node.elts:
            if isinstance(element, ast.Starred) and self.is_set(element.value):
                self._ban(node, f"a list of a set: {ast.unparse(element)[:60]}")
        self.generic_visit(node)

    visit_List = visit_Tuple = _display


def name_of(node):
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def bans(text):
    """(line, why) of what is not marked, and the lines whose mark has nothing to excuse."""
    lines = text.splitlines()
    found = Bans(ast.parse(text)).found
    marked = {number for number, line in enumerate(lines, 1) if MARK in line}
    return [one for one in found if one[0] not in marked], marked - {number for number, _ in found}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_that_differs_between_runs_is_used(path):
    found, idle = bans(path.read_text())
    assert found == []
    assert idle == set(), "marks that excuse nothing"


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from random import choice",
        "import os.path",
        "at = datetime.now()",
        "at = datetime.fromtimestamp(1)",
        "name = hash(record)",
        "name = id(record)",
        "for one in {1, 2}: pass",
        "for one in set(found): pass",
        "found = set(rows)\nfor one in found: pass",
        "found: set[str] = make()\nrows = [one for one in found]",
        "def f(found: frozenset[str]):\n    return {one: 1 for one in found}",
        "class C:\n    def __init__(self):\n        self.seen: set[str] = set()\n    def f(self): return [*self.seen]",
        "rows = list(found - {1})",
        "rows = list({1} | found)",
        "text = ','.join({one for one in rows})",
        "rows = dict.fromkeys(set(rows))",
        "total = sum(one for one in {1})",
        "found = set(rows)\nother = found\nfor one in other: pass",
        "found = set(rows)\none = found.pop()",
        "first = next(iter({1, 2}))",
    ],
)  # fmt: skip
def test_what_is_banned_is_found(text):
    assert bans(text)[0]


@pytest.mark.parametrize(
    "text",
    [
        "for one in sorted({1, 2}): pass",
        "newest = max(one for one in {1, 2})",
        "found = {one + 1 for one in {1, 2}}",
        "is_there = 1 in {1, 2}",
        "for one in dict(rows): pass",
        "for one in {1, 2}: pass  # det-ok: each is counted, in any order",
        "at = datetime(2020, 1, 1, tzinfo=UTC)",
        "at = datetime.fromtimestamp(1, UTC)",
        "found = {1, *(one for one in {2, 3})}",
    ],
)
def test_what_gives_the_same_in_any_order_is_not(text):
    assert bans(text) == ([], set())


RUN = """
import hashlib, sys
from pathlib import Path
from sofia_streams import codec
from sofia_streams.capture import read_capture
from sofia_streams.core.bars import candles
from sofia_streams.core.bars.windows import Rules
from sofia_streams.ingest.intake import Intake
from sofia_streams.model import Punctuation, TradeBatch
digest, rows, intake, offset, last_ns = hashlib.sha256(), {}, Intake(), 0, 0
def fold(records):
    global offset
    for record in records:
        digest.update(codec.encode(record))
        if isinstance(record, TradeBatch | Punctuation):
            step = candles.apply(rows, record, offset=offset, rules=Rules())
            offset += 1
            digest.update(codec.encode([step.bars, list(step.rows.items())]))
            candles.store(rows, step.rows)
for path in sys.argv[1:]:
    for frame in read_capture(Path(path)):
        last_ns = frame.received_ns
        fold(intake.captured(frame))
fold(intake.ended(last_ns))
print(digest.hexdigest(), offset)
"""


def test_every_record_bar_and_row_is_the_same_in_processes_that_differ_in_hash_seed_and_time_zone():
    captures = sorted(map(str, (ROOT / "tests" / "captures").glob("[co]*.jsonl.gz")))
    said = set()
    same = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    for seed, zone, locale in (("1", "UTC", "C"), ("2", "Asia/Kathmandu", "de_DE.UTF-8"), ("7", "EST5EDT", "C.UTF-8")):
        env = same | {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale}
        command = [sys.executable, "-c", RUN, *captures]
        said.add(subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout)
    assert len(said) == 1
    assert int(said.pop().split()[1]) > 100

"""Hostile variants of good input: of its JSON by its grammar, of its bytes by force. Pure; the draw is a parameter."""

import json
from random import Random

NUMBERS = (
    *("0", "-0", "-1", "1.5", "1e3", "1e400", "-1e400", "1e-400", "1e999999999", "NaN", "Infinity", "-Infinity"),
    *("00", "+1", ".5"),
    *(str(2**31), str(2**53 + 1), str(2**63 - 1), str(2**63), str(2**64), str(10**30), "9" * 400, "9" * 5_000),
    *("0." + "0" * 25 + "1", "1" * 21, "1672515782136", "1672515782136789", "1672515782136789123"),
)
TEXTS = (
    *("", " ", "NaN", "Infinity", "1_000", "１２", "٣", "0x10", "1e5", "5 ", "\u0000", "\ud800", "\ufeff"),
    *("\u202e", "é"),
    *("a|b", "a/b", "../../etc", "x" * 70, "x" * 100_000, "'; DROP TABLE trades", "\n", "\x1b[2J", "null", "true"),
    *("2262-04-11T23:47:16.854775808Z", "9999-12-31T23:59:59Z", "2016-12-31T23:59:60Z", "0001-01-01T00:00:00Z"),
)
WORDS = ("null", "true", "false", "[]", "{}", "[[]]", '[{"a":[]}]', "[null]", '{"":""}')
BYTES = (b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\x80", *(bytes([one]) for one in b'"\\{}[],:'))


class Raw(str):
    """JSON text that stands as it is."""


def mutated(data: bytes, others: list[bytes], draw: Random) -> bytes:
    """One hostile variant; `others` are inputs of the same kind to splice with."""
    for _ in range(draw.choice((1, 1, 1, 2, 3, 8))):
        tree = _tree(data) if draw.random() < 0.75 else None
        data = _by_grammar(tree, draw) if isinstance(tree, dict | list) else _by_force(data, others, draw)
    return data


def _tree(data: bytes) -> object:
    try:
        return json.loads(data, parse_int=Raw, parse_float=Raw, parse_constant=Raw)
    except (ValueError, RecursionError):
        return None


def _written(tree: object) -> str:
    """JSON of a tree whose `Raw` parts stand as they are; a tuple of pairs is an object that may have a key twice."""
    if isinstance(tree, Raw):
        return str(tree)
    if isinstance(tree, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_written(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, tuple):
        return "{" + ",".join(f"{json.dumps(key)}:{_written(value)}" for key, value in tree) + "}"
    if isinstance(tree, list):
        return "[" + ",".join(map(_written, tree)) + "]"
    return json.dumps(tree)


def _places(tree: object, found: list) -> list:
    """Every (container, key) below."""
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        found.append((tree, key))
        _places(tree[key], found)  # type: ignore[index]
    return found


def _by_grammar(tree: object, draw: Random) -> bytes:
    places = _places(tree, [])
    if not places:
        return draw.choice(WORDS).encode()
    container, key = draw.choice(places)
    value = container[key]
    what = draw.randrange(10)
    if what <= 2:
        container[key] = Raw(draw.choice(NUMBERS))
    elif what <= 4:
        container[key] = draw.choice(TEXTS)
    elif what == 5:
        container[key] = Raw(draw.choice(WORDS))
    elif what == 6:  # a number as text, a text as number
        container[key] = str(value) if isinstance(value, Raw) else Raw(value) if isinstance(value, str) else [value]
    elif what == 7:
        depth = draw.choice((1, 3, 100, 2_000))
        container[key] = Raw("[" * depth + _written(value) + "]" * depth)
    elif what == 8:
        del container[key]
    else:
        _again(container, key, places, draw)
    return _written(tree).encode("utf-8", "surrogatepass")


def _again(container: dict | list, key: object, places: list, draw: Random) -> None:
    """A row again, a key under another name, or a key twice in one object."""
    value = container[key]  # type: ignore[index, call-overload]
    if isinstance(container, list):
        container.extend([value] * draw.choice((1, 2, 3_000)))
        return
    other, name = draw.choice(places)
    if draw.random() < 0.5 and isinstance(other, dict):
        container[name] = value
    else:
        twice = (*container.items(), (key, value if draw.random() < 0.5 else Raw(draw.choice(NUMBERS))))
        container.clear()
        container["twice"] = Raw(_written(twice))


def _by_force(data: bytes, others: list[bytes], draw: Random) -> bytes:
    start, end = sorted((draw.randint(0, len(data)), draw.randint(0, len(data))))
    what = draw.randrange(6)
    if what == 0:
        return data[:start]
    if what == 1:
        return data[:start] + data[end:]
    if what == 2:
        return data[:start] + draw.choice(BYTES) + data[start:]
    if what == 3:
        return data[:start] + draw.randbytes(draw.randint(1, 8)) + data[end:]
    if what == 4:
        other = draw.choice(others)
        return data[:start] + other[draw.randint(0, len(other)) :]
    return data[:start] + data[start:end] * draw.choice((2, 3, 50)) + data[end:]

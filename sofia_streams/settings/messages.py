"""Says what a setting may be, and what was wrong with a value that it may not be. Shows no secret. Reads nothing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

_USER_INFO = re.compile(r"//[^/\s]*@")
_SHOWN_MAX = 100


def redacted(text: str) -> str:
    """The text without the user and password of an address in it."""
    return _USER_INFO.sub("//***@", text)


def members(field: FieldInfo) -> list[str]:
    """The allowed words of a setting that has a fixed set of them, else []."""
    return [str(word) for kind in _kinds(field.annotation) if get_origin(kind) is Literal for word in get_args(kind)]


def expected(field: FieldInfo) -> str:
    """What a value may be, in words: the allowed members, the bounds, or an example."""
    kinds = list(_kinds(field.annotation))
    words, listed = members(field), any(get_origin(kind) is tuple for kind in kinds)
    if words:
        return f"{'a comma list without repeats of' if listed else 'one of'} {', '.join(words)}"
    if listed:
        return f"a comma list without repeats, like {_example(field)}"
    if bool in kinds:
        return "true or false"
    for kind, noun in ((int, "a whole number"), (Decimal, "a number")):
        if kind in kinds:
            return f"{noun} {_bounds(field)}"
    return "a folder" if Path in kinds else f"a text like {_example(field)}"


def explain(problem: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> str:
    """One line for one entry of `ValidationError.errors()`: the key, what was expected, what was found."""
    if not problem["loc"]:
        return str(problem["ctx"]["error"])
    name = str(problem["loc"][0])
    key, field = name.upper(), fields[name]
    if problem["type"] == "value_error":  # a validator of ours, which says it all
        return redacted(f"{key}: {problem['ctx']['error']}.")
    if is_secret(field):
        return f"{key}: expected {expected(field)}, found a value that is not shown."
    value = redacted(str(problem["input"]))
    near = difflib.get_close_matches(value.lower(), members(field), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"{key}: expected {expected(field)}, found {value[:_SHOWN_MAX]!r}.{hint}"


def is_secret(field: FieldInfo) -> bool:
    """Whether a value of the setting must not be shown."""
    return SecretStr in _kinds(field.annotation)


def _kinds(annotation: Any) -> Iterator[Any]:
    """The annotation and all that stands inside it; what a Literal lists is not a type."""
    yield annotation
    if get_origin(annotation) is not Literal:
        for part in get_args(annotation):
            yield from _kinds(part)


def _example(field: FieldInfo) -> str:
    return str((field.examples or [""])[0])


def _bounds(field: FieldInfo) -> str:
    low, high = _bound(field, "ge"), _bound(field, "le")
    above = _bound(field, "gt")
    if low is not None and high is not None:
        return f"from {low} to {high}"
    words = [f"of at least {low}"] if low is not None else [f"above {above}"] if above is not None else []
    return " and ".join([*words, *([f"at most {high}"] if high is not None else [])])


def _bound(field: FieldInfo, name: str) -> Any:
    return next((getattr(mark, name) for mark in field.metadata if hasattr(mark, name)), None)

"""Rows of `sofia bench signals` for people: each figure with its spread, and each bar with whether it was met. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SCORING_P99_US_MAX, SCORING_AHEAD_MIN = 100.0, 10.0
SCORING_US_GOAL = {"p50": 10.0, "p99": 15.0}
INDICATORS_US_GOAL = 1.5
_LIVE_MS = {
    ("receipt_to_prediction_ms", "p95"): (150.0, ""),
    ("receipt_to_prediction_ms", "p99"): (50.0, " (goal)"),
}

Row = dict[str, Any]


def rows(result: Mapping[str, Any]) -> list[Row]:
    """Of the parts that the result has, in their order."""
    found: list[Row] = []
    for part, of in (("live", _live), ("scoring", _scoring), ("indicators", _indicators), ("training", _training)):
        if part in result:
            found += of(result[part])
    return found


def _row(
    figure: str, value: object, *, least: object = None, most: object = None, bar: str = "", met: str | None = None
) -> Row:
    return {"figure": figure, "value": value, "min": least, "max": most, "bar": bar, "met": met}


def _met(found: bool) -> str:
    return "yes" if found else "no"


def _live(part: Mapping[str, Any]) -> Iterator[Row]:
    titles = {
        "receipt_to_prediction_ms": "receipt of the closing record to prediction in the log",
        "bar_end_to_prediction_ms": "bar's end to prediction in the log",
    }
    for name, title in titles.items():
        for share in ("p50", "p95", "p99"):
            found, (limit, kind) = part[name][share], _LIVE_MS.get((name, share), (None, ""))
            yield _row(
                f"{title}, {share}, ms", found, bar="" if limit is None else f"< {limit:g}{kind}",
                met=None if limit is None else _met(found < limit),
            )  # fmt: skip
    if "rescored" in part:
        again = part["rescored"]
        wrong = again["missing"] + again["surplus"] + again["different"]
        title = f"records that differ when scored again, {part['swaps']} swaps of models"
        yield _row(title, wrong, most=again["computed"], bar="0", met=_met(wrong == 0))
    yield _row("bars timed, of which scored", part["receipt_to_prediction_ms"]["records"], most=part["scored_share"])


def _scoring(part: Mapping[str, Any]) -> Iterator[Row]:
    for name, title in part["contestants"].items():
        for share, found in part["us_a_row"][name].items():
            limit = SCORING_US_GOAL[share] if name == "sofia" else None
            yield _row(
                f"{title}: one row, {share}, µs", found["median"], least=found["min"], most=found["max"],
                bar="" if limit is None else f"<= {limit:g} (goal)",
                met=None if limit is None else _met(found["median"] <= limit),
            )  # fmt: skip
    p99 = part["us_a_row"]["sofia"]["p99"]["median"]
    yield _row("one row, p99, µs", p99, bar=f"< {SCORING_P99_US_MAX:g}", met=_met(p99 < SCORING_P99_US_MAX))
    for share, ahead in part["ratio"].items():
        yield _row(
            f"times ahead of scikit-learn, {share}", ahead, bar=f">= {SCORING_AHEAD_MIN:g}",
            met=_met(ahead >= SCORING_AHEAD_MIN),
        )  # fmt: skip
    yield _row(f"largest difference over {part['rows_compared']} rows", part["difference_max"])


def _indicators(part: Mapping[str, Any]) -> Iterator[Row]:
    for name, title in part["contestants"].items():
        found, limit = part["us_a_bar"][name], INDICATORS_US_GOAL if name == "sofia" else None
        yield _row(
            f"{title}: eight indicators, µs a bar", found["median"], least=found["min"], most=found["max"],
            bar="" if limit is None else f"<= {limit:g} (goal)",
            met=None if limit is None else _met(found["median"] <= limit),
        )  # fmt: skip
    for name, ahead in part["ratio"].items():
        is_bar = name == "river"
        yield _row(
            f"times ahead of {part['contestants'][name]}", ahead, bar="> 1" if is_bar else "",
            met=_met(ahead > 1.0) if is_bar else None,
        )  # fmt: skip
    for name, found in part["sets_us_a_bar"].items():
        yield _row(f"set {name}, written down, µs a bar", found["median"], least=found["min"], most=found["max"])


def _training(part: Mapping[str, Any]) -> Iterator[Row]:
    for key, title in (("same_text", "same model text"), ("same_predictions", "same predictions")):
        yield _row(f"LightGBM, one thread, {part['processes']} processes: {title}", _met(part[key]), bar="yes",
                   met=_met(part[key]))  # fmt: skip

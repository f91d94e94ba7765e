"""A model card for people, as Markdown. What it does not do: measure, decide (`judging`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sofia_streams.model import NS_PER_SECOND
from sofia_streams.training.card import Card
from sofia_streams.training.metrics import MEASURES, Interval

SYNTHETIC = "SYNTHETIC: trained on bars that no market made. None of its predictions means anything."
_BPS = 1e4


def page(card: Card) -> str:
    """The whole card; its first line is the verdict."""
    first = [card.verdict, *([SYNTHETIC] if card.is_synthetic else []), "", f"# {card.model_id}", ""]
    parts = (_about(card), _slices(card), _test(card), _following(card), _folds(card), _inputs(card), _reading())
    return "\n".join([*first, *(line for part in parts for line in part)]) + "\n"


def _about(card: Card) -> Iterable[str]:
    members = ", ".join(f"{name} {share:.2f}" for name, share in sorted(card.members.items()))
    yield f"- data: {card.data}; {card.bars} bars of {card.size_ns / NS_PER_SECOND:g} s of {', '.join(card.symbols)}"
    yield (
        f"- label: {card.label}, {card.horizon_bars} bars ahead, entry at the next bar's open, true beyond a cost of "
        f"{card.cost * _BPS:g} bps"
    )
    yield f"- members and their learned weights: {members}; isotonic calibration on a slice of its own"
    yield f"- scores bars that end until {_time(card.expires_ns)}"
    yield f"- bars without a row: {', '.join(f'{why} {count}' for why, count in card.left_out.items()) or 'none'}"
    yield ""


def _slices(card: Card) -> Iterable[str]:
    yield "## Slices, in order of time"
    yield ""
    yield from _table(
        ("slice", "from", "until", "rows", "base rate"),
        (
            (name, _time(one.from_ns), _time(one.until_ns), str(one.rows), f"{one.base_rate:.4f}")
            for name, one in card.slices.items()
        ),
    )


def _test(card: Card) -> Iterable[str]:
    yield "## On the untouched test slice"
    yield ""
    yield from _table(("", *MEASURES), ((name, *map(_shown, found.values())) for name, found in card.test.items()))
    yield "![reliability](reliability.png)"
    yield ""


def _following(card: Card) -> Iterable[str]:
    yield f"## Following it, after {card.fee * _BPS:g} bps a round trip"
    yield ""
    yield "Long for the label's time where the probability is above the threshold, one unit each time; returns in bps."
    yield ""
    yield from _table(
        ("threshold", "who", "trades", "a trade", "all"),
        (
            (threshold, name, str(one.trades), _shown(one.per_trade, _BPS, 2), _shown(one.net, _BPS, 0))
            for threshold, found in card.following.items()
            for name, one in found.items()
        ),
    )


def _folds(card: Card) -> Iterable[str]:
    if not card.folds:
        return
    yield "## Walking forward, before the test slice"
    yield ""
    yield from _table(
        ("from", "until", "rows", "base rate", "accuracy", "auc", "brier", "ece",
         *(f"gain on the {name}" for name in card.gains)),
        (
            (_time(one.test.from_ns), _time(one.test.until_ns), str(one.test.rows), f"{one.test.base_rate:.4f}",
             *(_shown(one.measures[name]) for name in ("accuracy", "auc", "brier", "ece")),
             *(_shown(found, 1.0, 5) for found in one.gains.values()))
            for one in card.folds
        ),
    )  # fmt: skip


def _inputs(card: Card) -> Iterable[str]:
    yield "## Features, by importance"
    yield ""
    yield from _table(("feature", "share"), ((one.name, f"{one.importance:.3f}") for one in card.inputs))


def _reading() -> Iterable[str]:
    yield "Brackets are 95 % intervals of a block bootstrap. How each figure is made: docs/models.md."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _shown(one: Interval, scale: float = 1.0, digits: int = 4) -> str:
    value, low, high = (f"{number * scale:.{digits}f}" for number in one)
    return f"{value} [{low}, {high}]"


def _time(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC):%Y-%m-%d %H:%M:%S}"

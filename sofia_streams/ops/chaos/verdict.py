"""Compares what was printed with what is held: trades lost, declared, doubled, altered; bars that differ. Pure.

A trade is lost when it is neither in the log nor in a gap that is open: a gap that says it is closed covers nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from sofia_streams.model import Bar, Gap
from sofia_streams.ops.chaos.truth import Candle, Print

_EXAMPLES = 3


class Watched(NamedTuple):
    """What of the ledger must not be lost: bytes from, and to before; and when the exchanges were stopped.

    Gaps that were found after that are about the stop.
    """

    first: int
    last: int
    stopped_ns: int

    def holds(self, one: Print) -> bool:
        """Whether this print must not be lost."""
        return self.first <= one.place < self.last


class Held(NamedTuple):
    """A trade as somebody holds it."""

    price: Decimal
    quantity: Decimal
    side: str
    exchange_ns: int


@dataclass
class Tally:
    """Counts over everything that was compared, and the first few of what is wrong, in words.

    trades       printed while the run was watched
    lost         neither in the log nor in an open gap; `unkept` of them stand in a gap that says it is closed
    declared     not in the log, but in an open gap
    invented     in the log, and never printed;  altered: not as printed
    repeats      log records that say a trade again, which readers must leave out
    overstated   bars that lack a trade that was printed, and say neither `gap` nor `stale`
    computed     features, predictions and signals that follow from the log; `scored`: predictions that have a score
    signals_unequal   of them those that the log does not have, has beside them, or has otherwise
    missing, surplus, doubled   against the log's distinct trades, by store
    """

    trades: int = 0
    lost: int = 0
    unkept: int = 0
    declared: int = 0
    invented: int = 0
    altered: int = 0
    repeats: int = 0
    backfilled: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    surplus: Counter[str] = field(default_factory=Counter)
    doubled: Counter[str] = field(default_factory=Counter)
    bars: int = 0
    bars_unequal: int = 0
    overstated: int = 0
    computed: int = 0
    scored: int = 0
    signals_unequal: int = 0
    sums: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    noted: Counter[str] = field(default_factory=Counter)

    def note(self, kind: str, text: str) -> None:
        """An example; only the first few of a kind are kept."""
        self.noted[kind] += 1
        if self.noted[kind] <= _EXAMPLES:
            self.examples.append(text)

    def failures(self) -> list[str]:
        """What did not hold, in words; empty where all did."""
        found = {
            "trades lost": self.lost,
            "of them in gaps said to be closed": self.unkept,
            "trades in the log that were never printed": self.invented,
            "trades altered": self.altered,
            "bars unequal": self.bars_unequal,
            "bars that claim trades they lack": self.overstated,
            "features, predictions or signals that do not follow from the log": self.signals_unequal,
            **{f"missing in {store}": count for store, count in self.missing.items()},
            **{f"surplus in {store}": count for store, count in self.surplus.items()},
            **{f"doubled in {store}": count for store, count in self.doubled.items()},
            **{f"trades too many or too few in {sums}": count for sums, count in self.sums.items()},
        }
        return [f"{count} {what}" for what, count in found.items() if count]


def covers(gap: Gap, one: Print) -> bool:
    """Whether this trade is one of those that the gap is about."""
    if gap.first_id:
        return int(gap.first_id) <= int(one.trade_id) <= int(gap.last_id)
    return gap.from_ns <= one.exchange_ns and (gap.until_ns is None or one.exchange_ns <= gap.until_ns)


def judge_log(
    tally: Tally,
    name: str,
    printed: Mapping[str, Print],
    watched: Watched,
    logged: Mapping[str, Held],
    gaps: Sequence[Gap],
    history: Container[str] = (),
) -> None:
    """One instrument: its prints, which of them were watched, what the log holds, its gaps.

    `history` is what the log has as told again on subscribing, which is in no bar.
    """
    closed, still_open = ([gap for gap in gaps if gap.state == state] for state in ("closed", "open"))
    for one in printed.values():
        if not watched.holds(one):
            continue
        tally.trades += 1
        if one.trade_id in logged:
            continue
        if any(covers(gap, one) for gap in still_open):
            tally.declared += 1
            continue
        tally.lost += 1
        unkept = any(covers(gap, one) for gap in closed)
        tally.unkept += unkept
        why = "its gap says it is closed" if unkept else f"no gap says so; {_nearest(gaps, one)}"
        where = "only as history in the log" if one.trade_id in history else "not in the log"
        tally.note("lost", f"{name} trade {one.trade_id} at {one.exchange_ns} is {where}, and {why}")
    for trade_id, held in logged.items():
        truth = printed.get(trade_id)
        if truth is None:
            tally.invented += 1
            tally.note("invented", f"{name} trade {trade_id} is in the log and was never printed")
        elif held != (truth.price, truth.quantity, truth.side, truth.exchange_ns):
            tally.altered += 1
            tally.note("altered", f"{name} trade {trade_id}: expected {truth}, found {held}")


def _nearest(gaps: Sequence[Gap], one: Print) -> str:
    """The gap whose edge is nearest, in words: where a hole was found too late or closed too early."""
    if not gaps:
        return "there is none of this instrument"
    edges = [(abs(edge_ns - one.exchange_ns), gap) for gap in gaps for edge_ns in (gap.from_ns, gap.until_ns or 0)]
    gap = min(edges, key=lambda edge: edge[0])[1]
    until = "it lasts" if gap.until_ns is None else f"ends {(gap.until_ns - one.exchange_ns) / 1e9:+.3f} s"
    return f"the nearest, {gap.gap_id} ({gap.state}), begins {(gap.from_ns - one.exchange_ns) / 1e9:+.3f} s, {until}"


def judge_store(tally: Tally, store: str, name: str, wanted: Iterable[str], held: Sequence[str]) -> None:
    """One instrument in a store: each of the log's distinct trades once, history too, and nothing else."""
    counts, expected = Counter(held), set(wanted)
    missing, surplus = expected - counts.keys(), counts.keys() - expected
    doubled = sum(count - 1 for count in counts.values())
    for kind, found in ((tally.missing, len(missing)), (tally.surplus, len(surplus)), (tally.doubled, doubled)):
        kind[store] += found
    if missing:
        text = f"{name}: {len(missing)} trades are not in {store}, the first is {min(missing)}"
        tally.note(f"missing in {store}", text)
    if doubled:
        tally.note(f"doubled in {store}", f"{name}: {doubled} trades stand more than once in {store}")


def judge_bars(tally: Tally, name: str, wanted: Mapping[int, Candle], bars: Mapping[int, Bar]) -> None:
    """One instrument and size: the last revision of each bar, against candles of the log's distinct trades."""
    for start_ns in sorted(wanted.keys() | bars.keys()):
        candle, bar = wanted.get(start_ns), bars.get(start_ns)
        tally.bars += 1
        found = None if bar is None else Candle(*(getattr(bar, part) for part in Candle._fields))
        if candle != found and not (candle is None and bar is not None and bar.trade_count == 0):
            tally.bars_unequal += 1
            tally.note("bars", f"{name} bar of {start_ns}: expected {candle}, found {bar}")
    printed = sum(candle.trade_count for candle in wanted.values())
    tally.sums[f"bars of {name.partition('|')[0]}"] += abs(printed - sum(bar.trade_count for bar in bars.values()))


def judge_claims(
    tally: Tally, name: str, missed: Iterable[Print], size_ns: int, bars: Mapping[int, Bar]
) -> None:
    """One instrument and size: bars that lack any of these prints, which the log does not have, must say so."""
    for start_ns in sorted({one.exchange_ns // size_ns * size_ns for one in missed}):
        bar = bars.get(start_ns)
        if bar is not None and bar.quality not in ("gap", "stale"):
            tally.overstated += 1
            tally.note("claims", f"{name} bar of {start_ns} says {bar.quality} and lacks trades")


Window = tuple[object, ...]
"""size_ns, venue, market, symbol, start_ns."""


def judge_copies(tally: Tally, store: str, wanted: Mapping[Window, object], held: Mapping[Window, object]) -> None:
    """Bars of a store against the last revisions of the log, by window."""
    tally.missing[store] += len(wanted.keys() - held.keys())
    tally.surplus[store] += len(held.keys() - wanted.keys())
    differing = [key for key in wanted.keys() & held.keys() if wanted[key] != held[key]]
    tally.bars_unequal += len(differing)
    for key in differing:
        tally.note(store, f"{store} {key}: expected {wanted[key]}, found {held[key]}")


def quantile(values: Sequence[float], share: float) -> float | None:
    """The nearest rank; None of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

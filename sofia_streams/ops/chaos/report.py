"""What a run found: whether it held, the ledger in numbers, for people and as JSON. Measures nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sofia_streams.ops.chaos.checks import LOG, VERIFY, Compared
from sofia_streams.ops.chaos.converging import Healing
from sofia_streams.ops.chaos.hurting import Outcome, State
from sofia_streams.ops.chaos.keeper import Figure
from sofia_streams.ops.chaos.plan import Plan
from sofia_streams.ops.chaos.verdict import quantile

_DIGITS = 2


@dataclass
class Report:
    """One run; `failures` says what did not hold."""

    plan: Plan
    compared: Compared
    outcomes: Sequence[Outcome]
    healing: Healing
    unfinished: str
    simulated: Mapping[str, int]
    figures: Mapping[str, Figure]
    restarts: Mapping[str, int]
    given_up: Mapping[str, str]
    standstill_s: Mapping[str, float]
    orphans: Sequence[str] = field(default_factory=list)
    elapsed_s: float = 0.0
    logs: str = ""

    def failures(self) -> list[str]:
        """In words; empty where everything held."""
        states = Counter(one.state for one in self.outcomes)
        stuck = [one.fault.target for one in self.outcomes if one.is_stuck]
        found = [f"{states[state]} faults {why}" for state, why in _UNPROVEN.items() if states[state]]
        found += [f"{', '.join(stuck)} did not get on after a fault"] if stuck else []
        if not self.healing.is_done:
            found.append(f"not converged within {self.plan.heal_s:.0f} s: {self.healing.waits_for}")
        found += [f"left down: {why}" for why in self.given_up.values()]
        found += [f"not at rest: {self.unfinished}"] if self.unfinished else []
        found += [f"left behind: {', '.join(self.orphans)}"] if self.orphans else []
        found += [f"not compared: {what}: {why}" for what, why in self.compared.uncompared.items()]
        found += [f"sofia verify finds a difference: {one}" for one in self.compared.differs]
        if self.plan.fallback and not self.compared.fallback_rows and VERIFY not in self.compared.uncompared:
            found.append("nothing of the outage is in the fallback")
        return [*found, *self.compared.tally.failures()]

    def as_json(self) -> dict[str, Any]:
        """The keys of docs/cli.md."""
        recovered = [one.recovery_s for one in self.outcomes if one.recovery_s is not None]
        return {
            "scenario": self.plan.name,
            "seed": self.plan.seed,
            "held": not self.failures(),
            "failures": self.failures(),
            "uncompared": dict(self.compared.uncompared),
            "examples": self.compared.tally.examples,
            "faults": [_fault(one) for one in self.outcomes],
            "fired": sum(one.state == "fired" for one in self.outcomes),
            "unknown": sum(one.state == "unknown" for one in self.outcomes),
            "kills": sum(one.kills for one in self.outcomes),
            "simulated": dict(self.simulated),
            **self._compared(),
            "recovery_s": _quantiles(recovered),
            "gap_to_truth_s": _quantiles(self.compared.found_to_closed_s),
            "missed_to_truth_s": _quantiles(self.compared.missed_to_closed_s),
            "stall_s": self.compared.stall_s,
            "healthy_stall_s": self.compared.healthy_stall_s,
            "standstill_s": dict(self.standstill_s),
            "converged_s": self.healing.seconds,
            "restarts": dict(self.restarts),
            "processes": {name: figure._asdict() for name, figure in self.figures.items()},
            "elapsed_s": self.elapsed_s,
            "logs": self.logs or None,
        }

    def _compared(self) -> dict[str, Any]:
        """What was counted by comparing; None of what could not be compared."""
        compared, tally = self.compared, self.compared.tally
        verified = VERIFY not in compared.uncompared
        counts = {
            "trades": tally.trades,
            "lost": tally.lost,
            "declared": tally.declared,
            "backfilled": tally.backfilled,
            "repeated": tally.repeats,
            "duplicated": dict(tally.doubled),
            "missing": dict(tally.missing),
            "bars": {"compared": tally.bars, "unequal": tally.bars_unequal, "overstated": tally.overstated},
            "signals": {"computed": tally.computed, "scored": tally.scored, "unequal": tally.signals_unequal},
            "verify": {"equal": not compared.differs, "differs": compared.differs} if verified else None,
            "fallback_rows": compared.fallback_rows if verified else None,
            "gaps": {"found": compared.gaps, "open": compared.gaps_open},
        }
        return dict.fromkeys(counts) if LOG in compared.uncompared else counts

    def lines(self) -> list[str]:
        """The ledger, for people."""
        found = self.as_json()
        fired = f"{found['fired']} of {len(self.outcomes)}, {found['unknown']} unknown"
        truth, missed = _words(found["gap_to_truth_s"]), _words(found["missed_to_truth_s"])
        rows = {
            "faults fired": f"{fired}; by the exchanges {_counts(self.simulated, least=1) or 'none'}",
            "kills": f"{found['kills']}, restarts {sum(self.restarts.values())}",
            **self._compared_rows(),
            "recovery": _words(found["recovery_s"]),
            "gap to truth": f"{truth}; from the first missed trade {missed}",
            "longest stall": _seconds(self.compared.stall_s),
            "while healthy": _seconds(self.compared.healthy_stall_s),
            "longest standstill": _seconds(self.standstill_s),
            "converged": f"after {self.healing.seconds} s",
            "seed": self.plan.seed,
        }
        width = max(map(len, rows))
        lines = [f"{name:{width}}  {value}" for name, value in rows.items()]
        lines += [f"example: {text}" for text in self.compared.tally.examples]
        lines += [f"FAILED: {text}" for text in self.failures()] or ["held"]
        return lines + ([f"logs: {self.logs}"] if self.logs else [])

    def _compared_rows(self) -> dict[str, object]:
        """The lines of what was counted by comparing."""
        compared, tally = self.compared, self.compared.tally
        if LOG in compared.uncompared:
            return {"trades, bars, gaps": "not compared"}
        verified = VERIFY not in compared.uncompared
        return {
            "trades in": tally.trades,
            "lost": tally.lost,
            "declared": f"{tally.declared} (in gaps that are open)",
            "backfilled": tally.backfilled,
            "missing": _counts(tally.missing) or "not compared",
            "duplicated": f"{_counts(tally.doubled)} (the log says {tally.repeats} again, left out by its readers)",
            "bars": f"{tally.bars} compared, {tally.bars_unequal} unequal, {tally.overstated} claim trades they lack",
            "signals": f"{tally.computed} records again, {tally.scored} scores, {tally.signals_unequal} unequal",
            "sofia verify": ("; ".join(compared.differs) or "clean") if verified else "not compared",
            "in the fallback": f"{compared.fallback_rows} rows" if verified else "not compared",
            "gaps": f"{compared.gaps} found, {compared.gaps_open} open",
        }


_UNPROVEN: dict[State, str] = {"idle": "found nothing to hurt: the system was not busy", "refused": "could not be done"}


def _fault(one: Outcome) -> dict[str, Any]:
    recovery_s = None if one.recovery_s is None else round(one.recovery_s, _DIGITS)
    return {
        "kind": one.fault.kind, "target": one.fault.target, "seconds": round(one.fault.seconds, _DIGITS),
        "trades": one.fault.trades, "of": one.fault.detail, "state": one.state, "at_s": round(one.at_s, _DIGITS),
        "records_per_s": one.busy.records_per_s if one.busy else None, "lag": one.busy.lag if one.busy else None,
        "recovery_s": recovery_s, "answer": one.detail,
    }  # fmt: skip


def _quantiles(values: Sequence[float]) -> dict[str, float | int | None]:
    p50, p99 = (None if (found := quantile(values, share)) is None else round(found, _DIGITS) for share in (0.5, 0.99))
    return {"p50": p50, "p99": p99, "count": len(values)}


def _words(found: Mapping[str, float | None]) -> str:
    return f"p50 {found['p50']} s, p99 {found['p99']} s of {found['count']}" if found["count"] else "none"


def _seconds(times: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in times.items())


def _counts(counts: Mapping[str, int], least: int = 0) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count >= least)

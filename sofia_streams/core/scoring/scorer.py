"""The scorer of one model: weighted mean of its members, then calibrated. Checked on stored rows, then fast.

What it does not do: decide whether a bar may be scored, or which model is in force (`core.signals`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from math import isclose
from typing import NamedTuple

from sofia_streams.core.scoring.document import FORMAT, Document
from sofia_streams.core.scoring.isotonic import Isotonic
from sofia_streams.core.scoring.logistic import Logistic
from sofia_streams.core.scoring.trees import Trees
from sofia_streams.errors import BadModel

_TOLERANCE = 1e-12
CHECKS_MIN, HORIZON_BARS_MAX = 16, 10_000


class Score(NamedTuple):
    """Of one row: the members' weighted mean, and the calibrated probability. Both 0 to 1."""

    raw: float
    calibrated: float


class Scorer:
    """One model, ready to score. Not for several threads at a time."""

    def __init__(self, document: Document, trees: str | None) -> None:
        """`trees` is LightGBM's text, where the model has some.

        Raises BadModel: another format, parts that are missing or of other lengths, or a stored row on which this
        scorer differs by more than 1e-12 from the objects that were trained.
        """
        self.document = document
        if document.format != FORMAT:
            raise _bad(document, f"format {FORMAT}", f"{document.format}", "Another version made it: train again.")
        if not 1 <= document.horizon_bars <= HORIZON_BARS_MAX or not 0.0 <= document.cost < 1.0:
            found = f"{str(document.horizon_bars)[:20]} bars ahead, cost {document.cost}"
            raise _bad(document, f"1 to {HORIZON_BARS_MAX} bars ahead and a cost from 0 to 1", found)
        if not 0 <= document.expires_ns < 2**63:
            raise _bad(document, "an end from 1970 to 2262", f"{str(document.expires_ns)[:40]} ns")
        try:
            self._members = _members(document, trees)
        except BadModel:
            raise
        except (ArithmeticError, ValueError) as error:
            raise _unable(document, error) from error
        self._only = self._members[0][1] if len(self._members) == 1 else None
        self._calibrate = Isotonic(document.calibration.scores, document.calibration.values).at
        self._check()

    def score(self, row: Sequence[float]) -> Score:
        """Of the model's inputs, in its order; none of them missing.

        Raises BadModel where they lead to no number: then no row is safe with this model.
        """
        try:
            if self._only is not None:
                raw = self._only(row)
            else:
                raw = 0.0
                for weight, at in self._members:
                    raw += weight * at(row)
            calibrated = self._calibrate(raw)
        except BadModel:
            raise
        except (ArithmeticError, ValueError) as error:
            raise _unable(self.document, error) from error
        if not 0.0 <= calibrated <= 1.0:  # also where it is no number
            raise _bad(self.document, "a probability", f"{calibrated!r} of a raw score of {raw!r}")
        return Score(raw, calibrated)

    def _check(self) -> None:
        document = self.document
        if len(document.checks) < CHECKS_MIN:
            raise _bad(document, f"at least {CHECKS_MIN} stored rows", f"{len(document.checks)}", "Train again.")
        for number, check in enumerate(document.checks):
            if len(check.inputs) != len(document.inputs):
                raise _bad(document, f"{len(document.inputs)} inputs in stored row {number}", f"{len(check.inputs)}")
            found = self.score(check.inputs)
            for ours, theirs in ((found.raw, check.raw), (found.calibrated, check.calibrated)):
                if not isclose(ours, theirs, rel_tol=0.0, abs_tol=_TOLERANCE):
                    raise _bad(document, f"{theirs!r} on stored row {number}", f"{ours!r}")


def _members(document: Document, trees: str | None) -> list[tuple[float, Callable[[Sequence[float]], float]]]:
    width, found = len(document.inputs), list[tuple[float, Callable[[Sequence[float]], float]]]()
    for kind, weight in sorted(document.members.items()):
        if kind == "lightgbm" and trees is not None:
            found_sha256 = hashlib.sha256(trees.encode()).hexdigest()
            if found_sha256 != document.trees_sha256:  # LightGBM's parser does not survive every damaged text
                raise _bad(document, f"trees with the hash {document.trees_sha256}", found_sha256)
            found.append((weight, Trees(trees, width).at))
        elif kind == "logistic" and (linear := document.linear) is not None and len(linear.weights) == width:
            found.append((weight, Logistic.scaled(linear.weights, linear.bias, linear.means, linear.scales).at))
        else:
            raise _bad(document, f"the parts of its {kind} member for {width} inputs", "none, or of another length")
    weights = [weight for weight, _ in found]
    if not weights or min(weights) < 0.0 or not isclose(sum(weights), 1.0, abs_tol=1e-9):
        raise _bad(document, "members whose weights sum to 1", f"{weights}")
    return found


def _unable(document: Document, error: Exception) -> BadModel:
    return _bad(document, "numbers that can be added up", str(error))


def _bad(document: Document, expected: str, found: str, cure: str = "Train again, or activate another.") -> BadModel:
    return BadModel(f"model {document.model_id[:40]}: expected {expected}, found {found}. {cure}")

"""What was said behind every consolidated bar of a replay, and the hashes by which two runs are compared. Does no I/O.

`Folded` makes it with the steps of the signals worker. Bars are scored at their first revision, so these hashes are
over what was scored, and those of `BarBook` over what the bars became. What it does not do: read the log, find models.
"""

from __future__ import annotations

import msgspec

from sofia_streams.codec import InSignals
from sofia_streams.core.bars.windows import SIZES_NS
from sofia_streams.core.features.sets import sets_of
from sofia_streams.core.signals.steps import Steps
from sofia_streams.model import Bar
from sofia_streams.ops.replay.digest import sha256_of
from sofia_streams.scored import Activation, Features, Prediction, Silence
from sofia_streams.settings import Settings
from sofia_streams.training.registry import Stored

_Key = tuple[str, str, int]


class ScoredBook:
    """Features and predictions behind bars of one size; one of each a bar."""

    def __init__(self, size_ns: int) -> None:
        self.size_ns = size_ns
        self._features: dict[_Key, Features] = {}
        self._predictions: dict[_Key, Prediction] = {}

    def add(self, record: object) -> None:
        """Features or a prediction, one that is written again replaces itself; anything else is left out."""
        if isinstance(record, Features):
            self._features[_key(record)] = record
        elif isinstance(record, Prediction):
            self._predictions[_key(record)] = record

    def features(self) -> list[Features]:
        """By market, symbol and time."""
        return [self._features[key] for key in sorted(self._features)]

    def predictions(self) -> list[Prediction]:
        """By market, symbol and time."""
        return [self._predictions[key] for key in sorted(self._predictions)]

    def hashes(self) -> dict[str, str]:
        """SHA-256 of all `features` and of all `predictions`, as canonical JSON lines.

        Without the place of the bar, which another log has elsewhere.
        """
        placeless = (msgspec.structs.replace(one, place="") for one in self.predictions())
        return {"features": sha256_of(self.features()), "predictions": sha256_of(placeless)}


class Folded:
    """Scores bars as the signals worker does, in this process."""

    def __init__(self, settings: Settings, stored: Stored | None = None) -> None:
        """`stored` is the model in force from the first bar on; None: none. Raises BadModel."""
        size_ns = SIZES_NS[settings.signals_bar_size]
        sets = sets_of(size_ns)
        models = {} if stored is None else {stored.document.model_id: stored.model(sets)}
        self.book = ScoredBook(size_ns)
        confidence_min = float(settings.ai_min_signal_confidence)
        self._steps = Steps(sets, lambda activation: models[activation.model_id], confidence_min=confidence_min)
        if stored is not None:
            model_id = stored.document.model_id
            self._steps.apply(Activation(model_id, model_id, stored.sha256, 0, 0, "replay"), 0, "")

    def take(self, said: Bar | Silence) -> InSignals | None:
        """The next record of `bars`, in the order of the log; what `signals` has behind it."""
        step = self._steps.apply(said, 0, "")
        if step.outputs is None:
            return step.silence
        for record in step.outputs:
            self.book.add(record)
        return step.outputs[2]


def _key(record: Features | Prediction) -> _Key:
    return record.market, record.symbol, record.start_ns

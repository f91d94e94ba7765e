"""Records of `bars` in, features, predictions and signals out, for all symbols of a worker or of a replay.

The same steps run in the agent, in replays and in backtests. State is what `rows` gives back: the caller stores it, and
steps made from stored rows go on as if never stopped. What it does not do: read the log, load models (`load` does).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from sofia_streams.core.features.sets import FeatureSet
from sofia_streams.core.signals.in_force import ChosenRow, chosen_key, in_force, with_activation, with_refusal
from sofia_streams.core.signals.predicting import Model, predict, signal_of
from sofia_streams.core.signals.rolling import Closed, OpenRow, Rolling, RollingRow
from sofia_streams.errors import BadModel
from sofia_streams.model import CONSOLIDATED, Bar
from sofia_streams.scored import Activation, Features, History, Prediction, Signal, Silence

Row = RollingRow | OpenRow | ChosenRow
Load = Callable[[Activation], Model]
"""Gives an activated model, the same object each time; raises BadModel."""


class Refused(NamedTuple):
    """A model that was in force and cannot be loaded, or fails on a bar: the one before it goes on."""

    activation: Activation
    error: BadModel


class Step(NamedTuple):
    """What one record gave: one of each output behind a consolidated bar that is new, rows to store in their order (a
    crash between two of them does no harm), models refused; a silence is handed on behind what came before it.
    """

    outputs: tuple[Features, Prediction, Signal] | None
    rows: dict[str, Row]
    refused: list[Refused]
    silence: Silence | None = None


def symbol_key(market: str, symbol: str) -> str:
    """Key of a symbol's row in the table `rolling_features`; with "|open", of the one beside it."""
    return f"{market}|{symbol}"


class Steps:
    """`stored` are the rows of earlier steps, read when a symbol or partition is first met."""

    def __init__(
        self, sets: Sequence[FeatureSet], load: Load, *, confidence_min: float, stored: Mapping[str, object] = {}
    ) -> None:
        self.sets, self._load, self._confidence_min, self._stored = sets, load, confidence_min, stored
        self._symbols: dict[str, Rolling] = {}
        self._chosen: dict[int, ChosenRow] = {}

    def forget(self) -> None:
        """What is stored may have changed: another process had the partitions meanwhile."""
        self._symbols.clear()
        self._chosen.clear()

    def apply(self, record: Bar | Activation | History | Silence, partition: int, place: str) -> Step:
        """One record of a partition of `bars`, in the order of the log; `place` is its "topic/partition/offset"."""
        if isinstance(record, Activation):
            return self._activate(record, partition)
        if isinstance(record, Silence):
            return Step(None, {}, [], record)
        key = symbol_key(record.market, record.symbol)
        rolling = self._rolling(key)
        if isinstance(record, History):
            return Step(None, {key: rolling.row()} if rolling.learn(record) else {}, [])
        if not rolling.is_new(record):
            return Step(None, {}, [])
        features = rolling.take(record)
        open_rows: dict[str, Row] = {f"{key}|open": rolling.open_row()}
        if features is None:
            return Step(None, open_rows, [])
        prediction, refused = self._predict(features, partition, place)
        signal = signal_of(prediction, record.close, confidence_min=self._confidence_min)
        rows: dict[str, Row] = {key: rolling.row()} | open_rows  # this order: with the second alone closes are lost
        if refused:
            rows[chosen_key(partition)] = self._row_of(partition)
        return Step((features, prediction, signal), rows, refused)

    def score(self, closed: Closed, place: str = "") -> tuple[Features, Prediction, list[Refused]] | None:
        """As `apply` does with a consolidated bar of partition 0, for bars of files and stores: nothing is to be
        stored. None behind one that is not new.
        """
        features = self._rolling(symbol_key(closed.market, closed.symbol)).take_candle(closed)
        return None if features is None else (features, *self._predict(features, 0, place))

    def needed(self, record: Bar | Activation | History | Silence, partition: int) -> Activation | None:
        """The model that applying this record will want: of an activation itself, of a bar that is to be scored."""
        if isinstance(record, Activation):
            return record
        if not isinstance(record, Bar) or record.venue != CONSOLIDATED:
            return None
        is_new = self._rolling(symbol_key(record.market, record.symbol)).is_new(record)
        return in_force(self._row_of(partition), record.start_ns + record.size_ns) if is_new else None

    def _activate(self, activation: Activation, partition: int) -> Step:
        row = with_activation(self._row_of(partition), activation)
        self._chosen[partition] = row
        return Step(None, {chosen_key(partition): row}, [])

    def _rolling(self, key: str) -> Rolling:
        found = self._symbols.get(key)
        if found is None:
            row, open_row = self._stored.get(key), self._stored.get(f"{key}|open")
            rows = row if isinstance(row, RollingRow) else None, open_row if isinstance(open_row, OpenRow) else None
            try:
                found = Rolling(self.sets, *rows)
            except ValueError:  # memory that this version does not understand: it begins anew, and warms up
                found = Rolling(self.sets)
            self._symbols[key] = found
        return found

    def _row_of(self, partition: int) -> ChosenRow:
        if partition not in self._chosen:
            row = self._stored.get(chosen_key(partition))
            self._chosen[partition] = row if isinstance(row, ChosenRow) else ChosenRow()
        return self._chosen[partition]

    def _predict(self, features: Features, partition: int, place: str) -> tuple[Prediction, list[Refused]]:
        """By the model in force at the bar's end; one that cannot be loaded, or fails on the bar, is refused now."""
        refused: list[Refused] = []
        while (activation := in_force(self._row_of(partition), features.end_ns)) is not None:
            try:
                return predict(features, self._load(activation), place), refused
            except BadModel as error:
                refused.append(Refused(activation, error))
                self._chosen[partition] = with_refusal(self._row_of(partition), activation.activation_id)
        return predict(features, None, place, is_refused=bool(self._row_of(partition).refused)), refused

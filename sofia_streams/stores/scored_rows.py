"""The tables behind bars: features, predictions, signals, quality of models; their rows, and records from rows.

Floats are stored as they were computed, bit for bit. A feature's column is its name, so a row of another schema than
this version's has its schema and no values: they would mean something else. What it does not do: open a store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sofia_streams.core.features.sets import sets_of
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND
from sofia_streams.scored import Candle, Features, FeatureValues, ModelQuality, Prediction, Scored, Signal
from sofia_streams.stores.columns import Kind, Table, Value

FEATURE_TABLES_NS = {"features_1s": NS_PER_SECOND, "features_1m": NS_PER_MINUTE}
_KINDS: dict[str, type[Prediction | Signal | ModelQuality]] = {
    "predictions": Prediction, "signals": Signal, "model_quality": ModelQuality,
}  # fmt: skip
_NAMES = {size_ns: name for name, size_ns in FEATURE_TABLES_NS.items()}
_INSTRUMENT: dict[str, Kind] = {"start_ns": "time", "market": "label", "symbol": "label"}
_OWN = ("start_ns", "market", "symbol")
_PRICES = ("open", "high", "low", "close")
_AMOUNTS = ("volume", "quote_volume", "buy_volume")
_FLAGS = ("is_complete", "is_quiet")


def _features(size_ns: int) -> Table:
    sets = sets_of(size_ns)
    columns: dict[str, Kind] = {
        **_INSTRUMENT, "quality": "label", **dict.fromkeys((*_PRICES, *_AMOUNTS), "number"), "trade_count": "count",
        **dict.fromkeys(_FLAGS, "flag"), "venues": "text",
        **{f"{one.name}_schema": "label" for one in sets}, **{f"{one.name}_ready": "flag" for one in sets},
        **{feature.name: "number" for one in sets for feature in one.features},
    }  # fmt: skip
    return Table(columns, time="start_ns", key=_OWN)


SCORED_TABLES = {
    **{name: _features(size_ns) for name, size_ns in FEATURE_TABLES_NS.items()},
    "predictions": Table(
        {
            **_INSTRUMENT, "size_ns": "count", "model_type": "label", "model_id": "label", "label": "label",
            "horizon_bars": "count", "raw_score": "number", "calibrated_score": "number", "prediction_class": "label",
            "confidence": "number", "abstention": "label", "is_synthetic": "flag", "place": "text",
        },
        time="start_ns",
        key=(*_OWN, "size_ns"),
    ),
    "signals": Table(
        {
            **_INSTRUMENT, "size_ns": "count", "action": "label", "reason": "text", "close": "value",
            "confidence": "number", "model_id": "label", "place": "text", "is_synthetic": "flag",
        },
        time="start_ns",
        key=(*_OWN, "size_ns"),
    ),
    "model_quality": Table(
        {
            "start_ns": "time", "symbol": "label", "model_id": "label", "role": "label", "labels": "count",
            "accuracy": "number", "brier": "number", "ece": "number", "base_rate": "number", "log_loss": "number",
            "drift_psi": "number", "is_synthetic": "flag",
        },
        time="start_ns",
        key=("start_ns", "symbol", "model_id", "role"),
    ),
}  # fmt: skip
"""By name. One row a consolidated bar; of `model_quality` one a matured label, model and role."""


def scored_table(record: Scored) -> str:
    """The table that a record's row goes to. Raises KeyError for features of a size that has no table."""
    if isinstance(record, Features):
        return _NAMES[record.size_ns]
    return next(name for name, kind in _KINDS.items() if isinstance(record, kind))


def scored_row(record: Scored) -> tuple[Value, ...]:
    """The row of a record, values in the order of the table's columns. Raises KeyError as `scored_table`."""
    if isinstance(record, Features):
        return _features_row(record)
    return tuple(getattr(record, name) for name in SCORED_TABLES[scored_table(record)].columns)


def scored_record(name: str, row: Mapping[str, Any]) -> Scored:
    """The record of a row, by column; the other way round."""
    if name in FEATURE_TABLES_NS:
        return _features_record(FEATURE_TABLES_NS[name], row)
    kind: type[Scored] = _KINDS[name]
    return msgspec.convert(row, kind)


def _features_row(record: Features) -> tuple[Value, ...]:
    candle, names = record.candle, (*_PRICES, *_AMOUNTS, "trade_count")
    numbers = [None if candle is None else getattr(candle, name) for name in names]
    flags = [candle is not None and getattr(candle, name) for name in _FLAGS]
    venues = None if candle is None else msgspec.json.encode(candle.venues).decode()
    sets = sets_of(record.size_ns)
    found = [record.sets.get(one.name) for one in sets]
    schemas = [None if one is None else one.schema for one in found]
    ready = [one is not None and one.is_ready for one in found]
    values: list[Value] = []
    for declared, one in zip(sets, found, strict=True):
        is_ours = one is not None and one.schema == declared.schema and len(one.values) == len(declared.features)
        values += one.values if one is not None and is_ours else [None] * len(declared.features)
    own = (record.start_ns, record.market, record.symbol, record.quality)
    return *own, *numbers, *flags, venues, *schemas, *ready, *values


def _features_record(size_ns: int, row: Mapping[str, Any]) -> Features:
    candle = None
    if row["open"] is not None:
        known = {name: row[name] for name in (*_PRICES, *_AMOUNTS, "trade_count", *_FLAGS)}
        candle = Candle(**known, venues=msgspec.json.decode(row["venues"], type=dict[str, float]))
    sets = feature_values(size_ns, row)
    return Features(row["market"], row["symbol"], size_ns, row["start_ns"], row["quality"], candle, sets)


def feature_values(size_ns: int, row: Mapping[str, Any]) -> dict[str, FeatureValues]:
    """By set, of a row of features by column; of another schema than this version's without values."""
    sets: dict[str, FeatureValues] = {}
    for one in sets_of(size_ns):
        schema = row[f"{one.name}_schema"]
        if schema is not None:
            values = [row[feature.name] for feature in one.features] if schema == one.schema else []
            sets[one.name] = FeatureValues(schema, values, row[f"{one.name}_ready"])
    return sets

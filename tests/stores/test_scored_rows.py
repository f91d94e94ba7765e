"""Rows of features, predictions, signals and model quality: each record comes back from its own as it was."""

import msgspec
import pytest

from sofia_streams.core.features.sets import sets_of
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND
from sofia_streams.scored import Candle, Features, FeatureValues, ModelQuality, Prediction, Signal
from sofia_streams.settings import Settings
from sofia_streams.stores.base import TABLES, rows_of, table_of
from sofia_streams.stores.postgres import _by_table
from sofia_streams.stores.scored_rows import SCORED_TABLES, scored_record

CANDLE = Candle(0.1 + 0.2, 2.0, 5e-324, 4.0, 5.0, 6.0, None, 8, is_complete=False, venues={"okx": 0.1}, is_quiet=True)


def features(size_ns: int = NS_PER_SECOND, candle: Candle | None = CANDLE) -> Features:
    """Every value another one; the last of each set is not known."""
    found = {}
    for one in sets_of(size_ns):
        values = [*(place / 7 for place in range(len(one.features) - 1)), None]
        found[one.name] = FeatureValues(one.schema, values, is_ready=one.name == "flow")
    return Features("spot", "BTC/USDT", size_ns, 60 * NS_PER_SECOND, "gap", candle, found)


SCORED = Prediction("spot", "BTC/USDT", NS_PER_SECOND, 7, "t/0/1", "ensemble", "m", "forward", 15, 0.1, 0.2, "up", 0.3)
RECORDS = [
    features(),
    features(NS_PER_MINUTE),
    features(candle=None),
    SCORED,
    Prediction("spot", "BTC/USDT", NS_PER_SECOND, 7, "t/0/1", abstention="gap"),
    Signal("spot", "BTC/USDT", NS_PER_SECOND, 7, "hold", "not up", None, 0.25, "m", "t/0/1", is_synthetic=True),
    ModelQuality("BTC/USDT", "m", "champion", 7, 9, 0.5, 0.25, 0.1, 0.5, 0.7),
]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_comes_back_from_its_row(record):
    name = table_of(record)
    (row,) = rows_of(record)
    assert scored_record(name, dict(zip(TABLES[name].columns, row, strict=True))) == record


@pytest.mark.parametrize("size_ns", [NS_PER_SECOND, NS_PER_MINUTE])
def test_a_feature_stands_in_the_column_of_its_name(size_ns):
    record = features(size_ns)
    name = table_of(record)
    (row,) = rows_of(record)
    named = dict(zip(TABLES[name].columns, row, strict=True))
    declared = [(feature.name, value) for one in sets_of(size_ns)
                for feature, value in zip(one.features, record.sets[one.name].values, strict=True)]  # fmt: skip
    assert len(TABLES[name].columns) == 19 + len(declared)  # no name hides another one
    assert {column: named[column] for column, _ in declared} == dict(declared)


def test_values_of_another_schema_are_not_put_into_columns_that_mean_something_else():
    ours = features()
    strange = msgspec.structs.replace(ours.sets["base"], schema="0" * 16)
    record = msgspec.structs.replace(ours, sets={**ours.sets, "base": strange})
    (row,) = rows_of(record)
    named = dict(zip(TABLES["features_1s"].columns, row, strict=True))
    base, flow = sets_of(NS_PER_SECOND)
    assert (named["base_schema"], named["flow_schema"]) == ("0" * 16, flow.schema)
    assert {named[feature.name] for feature in base.features} == {None}
    assert [named[feature.name] for feature in flow.features] == ours.sets["flow"].values
    (again,) = rows_of(scored_record("features_1s", named))
    assert again == row


def test_a_record_written_again_is_one_row_and_another_size_or_role_is_another():
    champion, challenger = RECORDS[-1], msgspec.structs.replace(RECORDS[-1], role="challenger")
    minute = msgspec.structs.replace(SCORED, size_ns=NS_PER_MINUTE)
    found = _by_table([SCORED, SCORED, minute, champion, champion, challenger, *RECORDS[:1] * 2])
    assert {name: len(rows) for name, rows in found.items()} == {
        "predictions": 2, "model_quality": 2, "features_1s": 1,
    }  # fmt: skip


@pytest.mark.parametrize(("size", "days"), [("1s", 30), ("1m", 0)])
def test_what_is_said_behind_bars_is_kept_as_long_as_they_are(size, days):
    found = Settings(signals_bar_size=size).retention_days()
    assert (found["features_1s"], found["features_1m"]) == (found["bars_1s"], found["bars_1m"]) == (30, 0)
    assert {found[name] for name in SCORED_TABLES if not name.startswith("features")} == {days}

"""A scorer equals the objects it was built of, and one that does not is refused."""

import msgspec
import numpy as np
import pytest
from scored_models import WIDTH, a_model, data, stock_raw, trained

from sofia_streams.core.scoring.document import Calibration, Document
from sofia_streams.core.scoring.isotonic import Isotonic
from sofia_streams.core.scoring.logistic import Logistic
from sofia_streams.core.scoring.scorer import Scorer
from sofia_streams.core.scoring.trees import Trees
from sofia_streams.errors import BadModel

ROWS = data(500, 99)[0]


def test_a_scorer_equals_the_stock_objects():
    scorer = Scorer(*a_model())
    raw = stock_raw(trained(), ROWS)
    found = [scorer.score(row.tolist()) for row in ROWS]
    assert np.abs(np.array([one.raw for one in found]) - raw).max() < 1e-12
    assert np.abs(np.array([one.calibrated for one in found]) - trained()[3].predict(raw)).max() < 1e-12


def test_trees_are_bit_equal_to_the_booster_with_unknown_inputs_too():
    trees = Trees(a_model()[1], WIDTH)
    rows = ROWS.copy()
    rows[::3, 4] = np.nan
    assert [trees.at(row.tolist()) for row in rows] == trained()[0].predict(rows, num_threads=1).tolist()


def test_calibration_is_bit_equal_to_isotonic_regression_within_and_outside_its_knots():
    isotonic = trained()[3]
    scores = np.random.default_rng(1).uniform(-0.5, 1.5, 4_000)
    ours = Isotonic(isotonic.X_thresholds_.tolist(), isotonic.y_thresholds_.tolist())
    assert [ours.at(float(score)) for score in scores] == isotonic.predict(scores).tolist()


def test_a_far_input_does_not_overflow():
    assert Logistic([1.0], 0.0).at([-1e6]) == 0.0
    assert Logistic([1.0], 0.0).at([1e6]) == 1.0


def test_a_document_survives_its_file():
    document = a_model()[0]
    assert msgspec.json.decode(msgspec.json.encode(document), type=Document) == document


def changed(**changes):
    return msgspec.structs.replace(a_model()[0], **changes)


def nudged(document):
    checks = [*document.checks]
    checks[5] = msgspec.structs.replace(checks[5], raw=checks[5].raw + 1e-11)
    return checks


def huge(weight, scale, sign=-1):
    weights = [weight * sign**at for at in range(WIDTH)]
    return msgspec.structs.replace(a_model()[0].linear, weights=weights, scales=[scale] * WIDTH)


BAD = {
    "another format": lambda: (changed(format=2), a_model()[1]),
    "a stored row that it scores otherwise": lambda: (changed(checks=nudged(a_model()[0])), a_model()[1]),
    "no stored rows": lambda: (changed(checks=[]), a_model()[1]),
    "no trees": lambda: (a_model()[0], None),
    "trees that end too early": lambda: (a_model()[0], a_model()[1][: len(a_model()[1]) // 2]),
    "something that is no trees": lambda: (a_model()[0], "import os"),
    "trees of other features": lambda: (changed(inputs=["base.f0"]), a_model()[1]),
    "no linear part": lambda: (changed(linear=None), a_model()[1]),
    "weights that sum to more": lambda: (changed(members={"lightgbm": 0.8, "logistic": 0.3}), a_model()[1]),
    "a negative weight": lambda: (changed(members={"lightgbm": 1.5, "logistic": -0.5}), a_model()[1]),
    "weights that have no sum": lambda: (changed(linear=huge(1e308, 1e-10)), a_model()[1]),
    "a sum that is too large": lambda: (changed(linear=huge(1.7e308, 1.0, sign=1)), a_model()[1]),
    "a horizon of none": lambda: (changed(horizon_bars=0), a_model()[1]),
    "a horizon beyond all": lambda: (changed(horizon_bars=10**30), a_model()[1]),
    "an end that is no time": lambda: (changed(expires_ns=10**30), a_model()[1]),
    "a cost below zero": lambda: (changed(cost=-0.1), a_model()[1]),
    "no members": lambda: (changed(members={}), a_model()[1]),
    "knots that fall": lambda: (changed(calibration=Calibration([0.1, 0.2], [0.9, 0.1])), a_model()[1]),
    "knots above one": lambda: (changed(calibration=Calibration([0.1, 0.2], [0.1, 1.1])), a_model()[1]),
    "no knots": lambda: (changed(calibration=Calibration([], [])), a_model()[1]),
}


@pytest.mark.parametrize("what", BAD)
def test_a_model_is_refused_with_its_reason_if_it_has(what):
    with pytest.raises(BadModel, match=r"expected .*found"):
        Scorer(*BAD[what]())


def test_knots_that_no_line_joins_are_refused():
    with pytest.raises(BadModel, match="expected scores so far apart"):
        Isotonic([0.0, 5e-324, 0.5], [0.0, 0.1, 0.5])


@pytest.mark.parametrize("place", [0, 40, 400, 2_000, -300])
def test_trees_with_a_changed_byte_never_reach_the_parser(place):
    """LightGBM 4.7 ends the process on some of them."""
    text = a_model()[1]
    broken = text[:place] + ("1" if text[place] != "1" else "2") + text[place:][1:]
    with pytest.raises(BadModel, match="hash"):
        Scorer(a_model()[0], broken)

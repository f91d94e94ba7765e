"""The same bars give the same model, and its card says what it must."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from trained_models import EMBARGO_NS, ORDER, SETS, bars, model, rows

from sofia_streams.core.features.sets import flow_set
from sofia_streams.core.scoring.drift import psi
from sofia_streams.core.scoring.scorer import Scorer
from sofia_streams.model import NS_PER_SECOND
from sofia_streams.training.card_page import SYNTHETIC, page
from sofia_streams.training.dataset import build
from sofia_streams.training.fitting.fit import train
from sofia_streams.training.fitting.folds import split
from sofia_streams.training.fitting.run import deciles, run, terms_of
from sofia_streams.training.registry import Registry
from sofia_streams.training.sources import generated

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """What two runs made, the second from bars that were generated anew."""
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    first = run(bars(), ORDER, Registry(folders[0]), lambda *_: None)
    bars.cache_clear()
    return first, run(bars(), ORDER, Registry(folders[1]), lambda *_: None)


def test_the_same_bars_give_the_same_files(twice):
    (first, _), (second, _) = twice
    names = sorted(path.name for path in first.folder.iterdir())
    assert names == sorted(path.name for path in second.folder.iterdir())
    for name in names:
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes(), name


def test_the_scorer_gives_what_the_trained_objects_gave():
    data, parts, trained = model()
    scorer = Scorer(trained.document, trained.trees)
    for row in parts.test[:: len(parts.test) // 200]:
        found = scorer.score(data.inputs[row].tolist())
        assert found.raw == pytest.approx(trained.raw[row], rel=0, abs=1e-12)
        assert found.calibrated == pytest.approx(trained.calibrated[row], rel=0, abs=1e-12)


def test_a_model_that_was_just_trained_is_as_old_as_the_newest_bar_it_was_judged_by():
    """Not as what calibrated it: a seventh of its data would make it old at birth, and it is trained anew by age."""
    data, _, trained = model()
    document = trained.document
    newest_ns = int(data.known_ns.max())
    assert document.trained_until_ns == newest_ns == document.expires_ns - ORDER.lifetime_ns
    assert document.model_id.split("-")[1] == str(newest_ns // NS_PER_SECOND)


@pytest.mark.parametrize("kind", ["lightgbm", "logistic"])
def test_a_model_may_have_one_member(kind):
    data = rows()
    order = ORDER._replace(types=[kind])
    trained = train(data, split(data, embargo_ns=EMBARGO_NS), terms_of(order, SETS, is_synthetic=True))
    assert trained.document.model_type == kind
    assert trained.document.members == {kind: 1.0}
    Scorer(trained.document, trained.trees)


def test_the_card_of_made_up_bars_says_so_in_its_first_lines(twice):
    card = twice[0][1]
    assert card.is_synthetic
    assert SYNTHETIC in page(card).splitlines()[:2]
    assert twice[0][0].document.is_synthetic


def test_the_first_line_of_the_card_is_the_verdict(twice, tmp_path):
    """Better or not: with nothing to find it is not."""
    nothing = run(bars(6_000, 0.0), ORDER, Registry(tmp_path), lambda *_: None)[1]
    assert not nothing.is_better
    assert page(nothing).startswith("NO BETTER THAN THE BASELINE")
    better = msgspec.structs.replace(nothing, is_better=True, verdict="Better than the baselines. How")
    assert page(better).startswith("Better than the baselines.")


def test_the_card_has_what_drift_needs(twice):
    """Deciles of each input: the training data itself has not drifted from them, moved data has."""
    stored, card = twice[0]
    assert {one.name for one in card.inputs} == {*stored.document.inputs}
    data = rows()
    fit = split(data, embargo_ns=EMBARGO_NS).fit
    assert card.base_rate == pytest.approx(data.labels[fit].mean())
    for one in card.inputs:
        values = data.inputs[fit, data.names.index(one.name)]
        assert psi(one.deciles, values.tolist()) == pytest.approx(0.0, abs=1e-12)
        if len(one.deciles.edges) == 9:
            assert psi(one.deciles, (values + 2 * values.std()).tolist()) > 0.25


def test_deciles_of_equal_values_are_one_bin_and_what_is_above():
    found = deciles(np.ones(50))
    assert (found.edges, found.shares) == ([1.0], [0.0, 1.0])
    assert psi(found, [1.0, 1.0]) == pytest.approx(0.0, abs=1e-2)


def test_importances_sum_to_one(twice):
    assert sum(one.importance for one in twice[0][1].inputs) == pytest.approx(1.0)


def test_made_up_bars_end_where_they_are_told_to():
    found = generated.generate({"A": 5.0, "B": 70.0}, size_ns=60 * 10**9, bars=200, until_ns=10**12 * 60, seed=4)
    for symbol, price in (("A", 5.0), ("B", 70.0)):
        own = [one for one in found.seen if one.symbol == symbol]
        assert len(own) == 200
        assert own[-1].candle.close == pytest.approx(price)
        assert own[-1].start_ns + 60 * 10**9 == 10**12 * 60
        for one, two in pairwise(own):
            assert one.candle.close == two.candle.open
            assert two.candle.low <= min(two.candle.open, two.candle.close)
            assert two.candle.high >= max(two.candle.open, two.candle.close)
    assert found.is_synthetic


def test_volatility_of_made_up_bars_clusters():
    """Absolute returns follow each other; the bars are no plain random walk."""
    closes = np.array([one.candle.close for one in bars(6_000, 0.0).seen])
    moves = np.abs(np.diff(np.log(closes)))
    assert np.corrcoef(moves[:-1], moves[1:])[0, 1] > 0.05


def test_rows_are_built_from_both_sets():
    """Made-up bars have takers and venues too."""
    found = build(bars().seen[:2_000], [*SETS, flow_set(NS_PER_SECOND)], ORDER.rule)
    assert len(found) > 1_800
    assert found.names[-1] == "flow.lead_lag_60"
    assert np.isfinite(found.inputs).all()

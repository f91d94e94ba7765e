"""Models as those who watch them need them: the last few are kept, a missing one is not sought at every bar."""

import pytest

from sofia_streams.core.features.sets import base_set, flow_set
from sofia_streams.core.scoring.labels import Rule
from sofia_streams.model import NS_PER_MINUTE
from sofia_streams.training.fitting.run import Order, run
from sofia_streams.training.registry import Registry
from sofia_streams.training.retraining import library
from sofia_streams.training.retraining.library import Library
from sofia_streams.training.sources.generated import generate

SETS = [base_set(NS_PER_MINUTE), flow_set(NS_PER_MINUTE)]


class Counting(Registry):
    """Counts how often a model is read."""

    reads = 0

    def load(self, model_id, sha256=None):
        self.reads += 1
        return super().load(model_id, sha256)


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    found = Counting(tmp_path_factory.mktemp("models"))
    bars = generate({"A/B": 5.0}, size_ns=NS_PER_MINUTE, bars=3_000, until_ns=10**18, seed=1)
    for horizon in (5, 6, 7):
        run(bars, Order(["base"], NS_PER_MINUTE, Rule("forward", horizon), ["logistic"], NS_PER_MINUTE, 0, 0.002, 0.6),
            found, lambda *_: None)  # fmt: skip
    return found


def test_one_that_is_missing_is_looked_for_once_a_minute(registry):
    times_s, before = iter((0.0, 0.0, 1.0, 59.0, 60.0, 60.0)), registry.reads
    models, reads = Library(registry, SETS, lambda: next(times_s)), []
    for _ in range(4):
        assert models("forward-1-abcdef01") is None
        reads.append(registry.reads - before)
    assert reads == [1, 1, 1, 2]


def test_one_that_is_forgotten_is_looked_for_again_at_once(registry):
    models, before = Library(registry, SETS, lambda: 0.0), registry.reads
    for name in ("forward-1-abcdef01", registry.names()[0]):
        first = models(name)
        models.forget(name)
        again = models(name)
        assert (first is None, again is None) == (name not in registry.names(),) * 2
    models.forget("forward-1-abcdef02")
    assert registry.reads == before + 4


def test_the_one_that_is_asked_for_again_and_again_stays(registry, monkeypatch):
    monkeypatch.setattr(library, "_KEPT_MAX", 2)
    first, second, third = registry.names()
    models, before = Library(registry, SETS), registry.reads
    for name in (first, second, first, third, first, second, first):
        found = models(name)
        assert found is not None
        assert found.model_id == name
        assert found.accuracy_min == registry.card(name).test["model"]["accuracy"].low
    assert registry.reads == before + 4  # the second one twice
    assert models("") is None

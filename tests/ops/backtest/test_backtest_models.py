"""Models in force as the log says: followed as they were said, refused ones left out, changed ones not used."""

import msgspec
import pytest
from tested_bars import ORDER, SETS, UNTIL_NS, bars, quiet, settings

from sofia_streams.core.signals.steps import Steps
from sofia_streams.model import NS_PER_HOUR
from sofia_streams.ops.backtest.bars import windows
from sofia_streams.ops.backtest.models import chosen_activations, followed
from sofia_streams.ops.backtest.one_pass import run
from sofia_streams.scored import Activation, Refusal
from sofia_streams.training.fitting.run import run as train
from sofia_streams.training.registry import Registry

pytestmark = pytest.mark.slow

HOUR = NS_PER_HOUR
SPAN = UNTIL_NS - 10 * HOUR, UNTIL_NS


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """(settings, two models)."""
    folder = tmp_path_factory.mktemp("data")
    registry = Registry(folder / "models")
    order = ORDER._replace(lifetime_ns=1_000 * HOUR)
    stored = [train(bars(seed=seed), order, registry, quiet)[0] for seed in (5, 6)]
    return settings(folder), stored


def activation(stored, said_ns, from_ns=None):
    name = f"{stored.document.model_id}@{said_ns}"
    return Activation(name, stored.document.model_id, stored.sha256, said_ns if from_ns is None else from_ns, said_ns)


def outcomes(chosen):
    """Of the last ten hours."""
    steps = Steps(SETS, chosen.load, confidence_min=0.5)
    found = windows(bars().seen, SETS, venue="binance", market="spot")
    return run(found, steps, chosen.activations, [], from_ns=SPAN[0])


def test_each_model_scores_from_when_it_was_said_and_begins(ground):
    about, (one, other) = ground
    said = [
        activation(one, SPAN[0] - HOUR),
        activation(other, SPAN[0] + HOUR, SPAN[0] + 4 * HOUR),  # said early, begins later
        activation(one, SPAN[0] + 7 * HOUR, 0),  # said late, of what had long begun: nothing is scored anew
    ]
    found = outcomes(followed(said, about, SETS, SPAN))
    ids = one.document.model_id, other.document.model_id
    assert found.outcomes[ids[0]] == 2 * 60 * 7
    assert found.outcomes[ids[1]] == 2 * 60 * 3
    assert not found.refused


def test_a_model_that_was_changed_or_is_gone_leaves_the_one_before(ground):
    about, (one, other) = ground
    changed = msgspec.structs.replace(activation(other, SPAN[0] + HOUR), sha256="0" * 64)
    chosen = followed([activation(one, SPAN[0] - HOUR), changed], about, SETS, SPAN)
    found = outcomes(chosen)
    assert found.outcomes == {one.document.model_id: 2 * 600}
    assert [refused.activation for refused in found.refused] == [changed]
    assert "cannot be used" in chosen.warnings[0] and other.document.model_id in chosen.warnings[0]


def test_what_a_worker_refused_is_not_followed(ground):
    _, (one, other) = ground
    first, second = activation(one, HOUR), activation(other, 2 * HOUR)
    refusal = Refusal(second.activation_id, second.model_id, "w1", "damaged", 2 * HOUR + 1)
    assert chosen_activations([second, first, refusal]) == [first]
    assert chosen_activations([second, first]) == [first, second]
    assert chosen_activations([]) == []

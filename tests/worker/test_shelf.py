"""Models that the signals worker has loaded: few, each once, and never without the one in use."""

import pytest

from sofia_streams.errors import BadModel
from sofia_streams.scored import Activation
from sofia_streams.worker.scoring import Shelf


def said(number):
    return Activation(f"m{number}@1", f"m{number}", "0" * 64, 0, 1)


class Loads:
    """What was loaded, in order; number 13 is damaged."""

    def __init__(self):
        self.names = []

    def __call__(self, activation):
        self.names.append(activation.model_id)
        if activation.model_id == "m13":
            raise BadModel("expected a model, found none")
        return object()


async def test_a_model_that_every_partition_names_is_loaded_once():
    loads = Loads()
    shelf = Shelf(loads)
    for _ in range(4):
        await shelf.fetch(said(1))
    assert shelf(said(1)) is shelf(said(1))
    assert loads.names == ["m1"]


async def test_models_that_are_not_used_any_more_are_let_go_and_the_one_in_use_stays():
    loads = Loads()
    shelf = Shelf(loads)
    await shelf.fetch(said(0))
    for number in range(1, 9):
        await shelf.fetch(said(number))
        shelf(said(0))
    assert loads.names == [f"m{number}" for number in range(9)]
    shelf(said(1))
    assert loads.names[-1] == "m1"


async def test_one_that_cannot_be_loaded_is_tried_again_when_it_is_asked_for():
    loads = Loads()
    shelf = Shelf(loads)
    await shelf.fetch(said(13))
    with pytest.raises(BadModel):
        shelf(said(13))
    assert loads.names == ["m13", "m13"]

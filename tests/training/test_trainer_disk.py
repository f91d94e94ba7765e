"""A trainer whose folder cannot be written: it says that trainings fail, and waits longer and longer between them."""

import pytest

from sofia_streams.core.features.sets import base_set, flow_set
from sofia_streams.errors import NotWritten
from sofia_streams.model import NS_PER_MINUTE
from sofia_streams.settings import load_settings
from sofia_streams.training.registry import Registry
from sofia_streams.training.retraining.child import Ended
from sofia_streams.training.retraining.known import Library
from sofia_streams.training.retraining.notes import Notes, write_notes
from sofia_streams.training.retraining.trainer import Trainer

SETS = [base_set(NS_PER_MINUTE), flow_set(NS_PER_MINUTE)]


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(NotWritten):
        write_notes(tmp_path / "taken" / "models", Notes())


async def test_trainings_that_fail_for_want_of_a_folder_are_said_and_counted(tmp_path):
    """Nothing else stops the next one from beginning at once."""
    (tmp_path / "taken").write_text("")
    settings = load_settings(None, {}).model_copy(update={"models_dir": tmp_path / "taken" / "models"})
    told = []

    async def tell(record):
        told.append(record.text)

    library = Library(Registry(settings.models_folder()), SETS)
    trainer = Trainer(settings, SETS[0], library, owns=lambda: True, tell=tell)
    for _ in range(3):
        await trainer._ended(Ended(None, "no room"), None)
    assert [text.partition(",")[0] for text in told] == [f"training failed ({times} in a row)" for times in (1, 2, 3)]
    assert trainer._notes.failures == 3

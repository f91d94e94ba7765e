"""A trainer before it has read any bar, and one whose folder cannot be written."""

import pytest

from sofia_streams.core.features.sets import base_set, flow_set
from sofia_streams.core.scoring.labels import Rule
from sofia_streams.errors import BadModel, NotWritten
from sofia_streams.model import NS_PER_MINUTE
from sofia_streams.scored import Candle, Features, FeatureValues, Prediction
from sofia_streams.settings import load_settings
from sofia_streams.training.fitting.run import Order, run
from sofia_streams.training.registry import Registry
from sofia_streams.training.retraining.child import Ended
from sofia_streams.training.retraining.library import Library
from sofia_streams.training.retraining.notes import Notes, write_notes
from sofia_streams.training.retraining.trainer import Trainer
from sofia_streams.training.sources.generated import generate

SETS = [base_set(NS_PER_MINUTE), flow_set(NS_PER_MINUTE)]


def trainer_in(folder):
    """Of these models, on no log yet; and the texts of what it says."""
    told = []

    async def tell(record):
        told.append(record.text)

    settings = load_settings(None, {}).model_copy(update={"models_dir": folder})
    return Trainer(settings, SETS[0], Library(Registry(folder), SETS), owns=lambda: True, tell=tell), told


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(NotWritten):
        write_notes(tmp_path / "taken" / "models", Notes())


async def test_trainings_that_fail_for_want_of_a_folder_are_said_and_counted(tmp_path):
    """Nothing else stops the next one from beginning at once."""
    (tmp_path / "taken").write_text("")
    trainer, told = trainer_in(tmp_path / "taken" / "models")
    for _ in range(3):
        await trainer._ended(Ended(None, "no room"), None)
    assert [text.partition(",")[0] for text in told] == [f"training failed ({times} in a row)" for times in (1, 2, 3)]
    assert trainer._notes.failures == 3


def trained(folder, horizon=5):
    """The id of a model there, whose data end at 10**18."""
    bars = generate({"A/B": 5.0}, size_ns=NS_PER_MINUTE, bars=3_000, until_ns=10**18, seed=1)
    order = Order(["base"], NS_PER_MINUTE, Rule("forward", horizon), ["logistic"], NS_PER_MINUTE, 0, 0.002, 0.6)
    return run(bars, order, Registry(folder), lambda *_: None)[0].document.model_id


async def test_a_model_of_another_rule_than_the_one_in_force_is_kept_and_that_is_said(tmp_path):
    """Somebody activated that one while this one was trained: nothing compares the two."""
    ours, theirs = trained(tmp_path), trained(tmp_path, horizon=6)
    trainer, told = trainer_in(tmp_path)
    trainer._shadow.newest_ns = 10**18
    await trainer._ended(Ended(ours, "better."), trainer._library(theirs))
    assert len(told) == 1
    assert f"{ours} is not activated by itself: {theirs}, which is in force, predicts something else. " in told[0]
    assert (trainer._notes.challenger, trainer._notes.trained_ns) == (None, 10**18)


async def test_a_model_that_a_training_writes_again_is_known_at_once(tmp_path):
    """It was sought before and not found; the same bars give the same id."""
    model_id, elsewhere = trained(tmp_path / "there"), tmp_path / "here"
    trainer, told = trainer_in(elsewhere)
    assert trainer._library(model_id) is None
    (tmp_path / "there").rename(elsewhere)
    champion = trainer._library(trained(elsewhere, horizon=6))
    trainer._shadow.newest_ns = 10**18
    await trainer._ended(Ended(model_id, "better."), champion)
    assert trainer._notes.failures == 0
    assert [text for text in told if "training failed" in text] == []


async def test_a_challenger_whose_files_were_damaged_is_not_activated_and_known_no_more(tmp_path):
    model_id = trained(tmp_path)
    trainer, told = trainer_in(tmp_path)
    known = trainer._library(model_id)
    (tmp_path / model_id / "model.json").write_text("{}")
    with pytest.raises(BadModel):
        await trainer._activate(known, "better")
    assert trainer._library(model_id) is None
    assert told == []


async def test_a_challenger_that_fails_on_a_bar_is_dropped(tmp_path, monkeypatch):
    """Else the trainer would begin anew with it at every bar."""
    model_id = trained(tmp_path)
    trainer, told = trainer_in(tmp_path)
    trainer._note(challenger=model_id)
    values = {one.name: FeatureValues(one.schema, [0.01] * len(one.features), True) for one in SETS}
    bar = "spot", "A/B", NS_PER_MINUTE, 0
    pair = Features(*bar, "complete", Candle(1.0, 1.0, 1.0, 1.0, 1.0), values), Prediction(*bar, "bars/0/0")

    async def read(consumer):
        for record in pair:
            yield record

    def fail(row):
        raise BadModel("no number")

    monkeypatch.setattr(trainer._follower, "read", read)
    monkeypatch.setattr(trainer._library(model_id).model.scorer, "score", fail)
    with pytest.raises(BadModel):
        await trainer._follow(None, is_new=True)
    assert told == [f"challenger {model_id} is dropped: no number"]
    assert trainer._notes.challenger is None


async def test_before_a_bar_was_read_no_challenger_is_judged(tmp_path):
    """The clock may be far from the bars: those of a replay, or of a feed that is down."""
    model_id = trained(tmp_path)
    trainer, told = trainer_in(tmp_path)
    trainer._note(challenger=model_id)
    await trainer._judge(None)
    assert (trainer._notes.challenger, told) == (model_id, [])

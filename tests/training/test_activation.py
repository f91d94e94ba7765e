"""What is written where a model is put in force."""

from aiokafka import TopicPartition

from sofia_streams import topics
from sofia_streams.ops.models import shown
from sofia_streams.scored import Activation
from sofia_streams.training.activation import Activated, before_last, records_of
from sofia_streams.training.retraining.announcing import Announcer


def test_models_has_an_activation_only_once_every_partition_of_bars_has_it():
    """Else one that was cut off in between would pass for done, and partitions would go on with different models."""
    activation = Activation("m@5", "m", "0" * 64, 3, 5)
    found = records_of(activation, [TopicPartition("bars", number) for number in range(4)])
    assert [(one.topic, one.partition) for one in found] == [
        *((topics.BARS, number) for number in range(4)), (topics.MODELS, None)
    ]  # fmt: skip
    assert {(one.record, one.at_ns) for one in found} == {(activation, 5)}


def test_the_one_to_go_back_to_is_found_in_the_order_they_were_said():
    said = [Activation(f"{name}@{at}", name, "", at, at) for name, at in (("a", 1), ("c", 3), ("b", 2))]
    assert before_last([*said]).model_id == "b"


async def test_what_an_activation_cancels_is_told_to_whoever_says_it():
    told = []

    async def tell(record):
        told.append(record)

    new, later = Activation("n@5", "n", "", 5, 5), Activation("m@4", "m", "", 1_800_000_000_000_000_000, 4)
    assert shown(Activated(new, [later]))["cancels"] == [{"model": "m", "from_ns": later.from_ns}]
    await Announcer(tell).activated("n", "better.", [later])
    await Announcer(tell).activated("n", "better.")
    assert [one.severity for one in told] == ["warning", "info"]
    assert told[0].text == (
        "model n is activated: better. This cancels what was to begin later: m from 2027-01-15T08:00:00Z."
    )
    assert told[1].text == "model n is activated: better."

"""What is written where a model is put in force."""

from aiokafka import TopicPartition

from sofia_streams import topics
from sofia_streams.scored import Activation
from sofia_streams.training.activation import records_of


def test_models_has_an_activation_only_once_every_partition_of_bars_has_it():
    """Else one that was cut off in between would pass for done, and partitions would go on with different models."""
    activation = Activation("m@5", "m", "0" * 64, 3, 5)
    found = records_of(activation, [TopicPartition("bars", number) for number in range(4)])
    assert [(one.topic, one.partition) for one in found] == [
        *((topics.BARS, number) for number in range(4)), (topics.MODELS, None)
    ]  # fmt: skip
    assert {(one.record, one.at_ns) for one in found} == {(activation, 5)}

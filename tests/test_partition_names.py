"""Names of partitions: written into stores and outages, and read back from there."""

import pytest
from aiokafka import TopicPartition

from sofia_streams.topics import partition_name, partition_named


@pytest.mark.parametrize("place", [TopicPartition("sofia.trades.v1", 0), TopicPartition("sofia.a-b.bars.v1", 12)])
def test_a_partition_is_found_again_by_its_name(place):
    assert TopicPartition(*partition_named(partition_name(place))) == place

"""Names of partitions: written into stores and outages, and read back from there."""

import pytest
from aiokafka import TopicPartition

from sofia_streams.topics import all_partitions, changelog_names, partition_name, partition_named


@pytest.mark.parametrize("place", [TopicPartition("sofia.trades.v1", 0), TopicPartition("sofia.a-b.bars.v1", 12)])
def test_a_partition_is_found_again_by_its_name(place):
    assert TopicPartition(*partition_named(partition_name(place))) == place


def test_a_changelog_has_as_many_partitions_as_its_table():
    found = all_partitions("demo", 4)
    assert (found["sofia-demo-ohlcv-ohlcv-changelog"], found["sofia-demo-paper_oms-account-changelog"]) == (4, 1)
    assert (found["sofia.demo.fills.v1"], found["sofia.demo.control.v1"]) == (4, 1)
    assert set(changelog_names("demo")) <= set(found)

"""Records in a row: what the client passed over is read again, a log that goes on elsewhere ends the worker."""

import pytest
from faust.types import TP

from sofia_streams.errors import LogChanged
from sofia_streams.worker.transport import PromptConsumer

PLACE = TP("sofia.trades.v1", 0)


class Reader(PromptConsumer):
    """Only what decides about a record; it writes down where it was sought to."""

    def __init__(self, read: int | None) -> None:
        self._read_offset, self._sought, self.seeks = {PLACE: read}, {}, []

    async def _seek(self, partition: TP, offset: int) -> None:
        self.seeks.append(offset)


@pytest.mark.parametrize(("read", "offset"), [(None, 7), (7, 7), (7, 8), (0, 0), (0, 1)])
async def test_the_next_record_follows(read, offset):
    reader = Reader(read)
    assert await reader._follows(PLACE, offset)
    assert reader.seeks == []


async def test_what_was_passed_over_is_read_again_once():
    reader = Reader(7)
    assert not await reader._follows(PLACE, 20)
    assert reader.seeks == [7]
    assert await reader._follows(PLACE, 7)
    with pytest.raises(LogChanged):
        await reader._follows(PLACE, 20)


async def test_a_later_hole_is_read_again_too():
    reader = Reader(7)
    assert not await reader._follows(PLACE, 20)
    reader._read_offset[PLACE] = 30
    assert not await reader._follows(PLACE, 40)
    assert reader.seeks == [7, 30]


async def test_an_earlier_record_is_of_another_log():
    with pytest.raises(LogChanged):
        await Reader(7)._follows(PLACE, 6)

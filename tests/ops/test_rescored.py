"""When what was scored counts as computed again."""

import pytest

from sofia_streams.ops.rescoring import Rescored

EQUAL = Rescored(3, 1, 0, 0, 0, "", [])


def test_the_same_everywhere_is_equal():
    assert EQUAL.is_equal


@pytest.mark.parametrize("changes", [{"computed": 0}, {"missing": 1}, {"surplus": 1}, {"different": 1}])
def test_any_difference_is_unequal_and_so_is_nothing_at_all(changes):
    """Where the worker has not begun there is nothing to compare, which must not pass for success."""
    assert not EQUAL._replace(**changes).is_equal

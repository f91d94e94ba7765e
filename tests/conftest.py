"""Of all tests: Hypothesis judges no example by its time, which is the machine's and not the code's; and several tests
share the processor, where a worker that gives way would wait for those of others.
"""

from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def nobody_gives_way() -> Iterator[None]:
    """Every worker that a test starts has its share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sofia_streams.ops.workers._NICENESS", 0)
        yield

"""Of all tests: Hypothesis judges no example by its time, which is the machine's and not the code's; and several tests
share the processor, where a worker that gives way would wait for those of others, and a server that lives for a minute
earns no second compiler.
"""

from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def short_lives() -> Iterator[None]:
    """Every worker that a test starts has its share; servers of Java start with half of the work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sofia_streams.ops.workers._NICENESS", 0)
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        yield

"""Settings of all tests: Hypothesis judges no example by its time, which is the machine's and not the code's."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

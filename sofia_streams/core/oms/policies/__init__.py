"""From a signal to the position one wants. A policy is one function; settings choose from `POLICIES`."""

from __future__ import annotations

from sofia_streams.core.oms.policies.base import Policy
from sofia_streams.core.oms.policies.fade import fade
from sofia_streams.core.oms.policies.follow import follow
from sofia_streams.errors import ConfigError

POLICIES: dict[str, Policy] = {"follow": follow, "fade": fade}
"""By the name that `PAPER_POLICY` gives. To write another: a file beside `fade`, and a line here."""


def policy_of(name: str) -> Policy:
    """The policy of that name. Raises ConfigError where there is none."""
    found = POLICIES.get(name)
    if found is None:
        raise ConfigError(f"PAPER_POLICY: expected one of {', '.join(sorted(POLICIES))}, found {name!r}.")
    return found

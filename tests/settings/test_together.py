"""Settings that are allowed each by itself and cannot work together are refused, with both names and a cure."""

import pytest

from sofia_streams.errors import ConfigError
from sofia_streams.settings import load_settings


@pytest.mark.parametrize("key", ["WRITER_WAIT_MS_MAX", "BRIDGE_WAIT_MS_MAX"])
def test_a_watch_less_patient_than_a_writer_is_refused_with_both_names(key):
    with pytest.raises(ConfigError) as caught:
        load_settings(None, {"WATCHDOG_STALL_S": "5", key: "10000"})
    said = str(caught.value)
    assert said.startswith(f"WATCHDOG_STALL_S: expected at least 23 with {key}=10000")
    assert f"found 5. Set WATCHDOG_STALL_S=23, or {key}=1000." in said
    for cure in ({"WATCHDOG_STALL_S": "23", key: "10000"}, {"WATCHDOG_STALL_S": "5", key: "1000"}):
        load_settings(None, cure)

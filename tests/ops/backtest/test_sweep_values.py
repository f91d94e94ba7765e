"""What may be swept: settings of the strategy, each value once, and none that a trial could not be run by."""

import pytest

from sofia_streams.errors import ConfigError
from sofia_streams.ops.backtest.sweep import axis_of, combinations, with_values
from sofia_streams.settings import Settings


def test_values_that_are_the_same_are_one():
    assert axis_of("PAPER_STOP_LOSS_BPS=0,0.0,50,0.00,50.0") == ("PAPER_STOP_LOSS_BPS", ["0", "50"])
    assert axis_of("paper_short_enabled=true,1,false") == ("PAPER_SHORT_ENABLED", ["true", "false"])
    assert len(combinations([axis_of("PAPER_STOP_LOSS_BPS=0,0.0"), axis_of("PAPER_IMPACT=1,2,1.0")])) == 2


@pytest.mark.parametrize("name", ["PAPER_SEED", "PAPER_CURRENCY", "PAPER_INSTRUMENTS", "PAPER_INITIAL_BALANCE"])
def test_what_all_trials_must_have_in_common_is_refused(name):
    with pytest.raises(ConfigError, match="are the same for all"):
        axis_of(f"{name}=1,2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("PAPER_POLICY=follow,nope", "PAPER_POLICY: expected one of fade, follow, found 'nope'"),
        ("PAPER_LATENCY_MS=1,60000", "expected less than PAPER_ORDER_TTL_S=60 s"),
        ("PAPER_STOP_LOSS_BPS=x", "PAPER_STOP_LOSS_BPS"),
    ],
)
def test_a_value_that_cannot_be_is_named_before_anything_is_read(text, words):
    with pytest.raises(ConfigError, match=words):
        for values in combinations([axis_of(text)]):
            with_values(Settings(), values)

"""Plans of chaos runs: a seed names one, faults are over when the hurt phase is, every scenario is well-formed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_streams.ops.chaos.plan import COPIED, PROCESSES, SERVERS, VENUES, WORKERS, mixed
from sofia_streams.ops.chaos.scenarios import SCENARIOS

SYMBOLS = ("BTC/USDT", "ETH/USDT")
LASTING = {"pause", "starve", "stall", "rest"}
TARGETS = {"suspend": ("trades", "bars_1s", "bars_1m", "tickers"), "join": COPIED}


def check_plan(plan):
    """Targets that there are, severities above zero, moments in the hurt phase, nothing lasts longer than that."""
    assert plan.faults
    assert list(plan.faults) == sorted(plan.faults, key=lambda fault: fault.at_s)
    for fault in plan.faults:
        known = (*WORKERS, *SERVERS) if fault.kind in PROCESSES else TARGETS.get(fault.kind, VENUES)
        assert fault.target in known, fault
        assert 0 <= fault.at_s < plan.hurt_s, fault
        assert fault.trades > 0 if fault.kind == "drop" else fault.trades == 0
        if fault.kind in LASTING:
            assert fault.seconds > 0
            assert fault.at_s + fault.seconds <= plan.hurt_s + 2.0, fault


@given(seed=st.integers(0, 2**32), seconds=st.floats(20, 3_600))
def test_a_mix_is_named_by_its_seed_and_over_when_the_hurt_phase_is(seed, seconds):
    plan = mixed(seed, seconds, SYMBOLS, rate=50)
    assert plan == mixed(seed, seconds, SYMBOLS, rate=50)
    check_plan(plan)
    assert len({(fault.at_s, fault.target) for fault in plan.faults}) == len(plan.faults)


def test_mixes_of_many_seeds_break_everything_and_are_not_alike():
    plans = [mixed(seed, 120, SYMBOLS, rate=50) for seed in range(200)]
    faults = [fault for plan in plans for fault in plan.faults]
    assert {fault.kind for fault in faults} >= {
        *PROCESSES - {"fill", "away"},
        "join",
        "disconnect",
        "drop",
        "stall",
        "rest",
        "skew",
    }
    assert {fault.target for fault in faults} >= {*WORKERS, *SERVERS, *VENUES}
    assert {kind for plan in plans for kind in plan.frames} == {"duplicate", "reorder", "late", "malformed"}
    assert len({tuple(sorted({fault.kind for fault in plan.faults})) for plan in plans}) > 20
    together = [plan for plan in plans if len({fault.at_s for fault in plan.faults}) < len(plan.faults)]
    assert 20 < len(together) < 200


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_every_scenario_is_well_formed_for_every_seed(seed):
    for name, scenario in SCENARIOS.items():
        plan = scenario.plan(name, seed, SYMBOLS, rate=50)
        assert plan == scenario.plan(name, seed, SYMBOLS, rate=50)
        check_plan(plan)
        assert plan.lines()[0].startswith(name)

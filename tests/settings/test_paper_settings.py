"""Settings of paper trading become the rules of the account; what no account can go by is refused by name."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paper_values import PAPER_VALUES

from sofia_streams.core.oms.rules import Rules
from sofia_streams.errors import ConfigError
from sofia_streams.paper_rules import paper_rules
from sofia_streams.settings import Settings, load_settings
from sofia_streams.settings.paper import PaperSettings


def test_without_anything_set_the_rules_are_the_default_ones():
    assert paper_rules(load_settings(None, {})) == Rules()


def test_each_key_is_the_rule_of_its_name_in_the_rules_own_unit():
    env = {
        "PAPER_INITIAL_BALANCE": "2500.50", "PAPER_CURRENCY": "USDC", "PAPER_SEED": "9", "PAPER_LATENCY_MS": "80",
        "PAPER_FEES": "okx=-0.5/7.5,binance=1/2", "CRYPTO_EXCHANGES": "okx,binance", "PAPER_QUEUE_POSITION": "true",
        "PAPER_MAX_POSITION_SIZE_PCT": "12.5", "PAPER_DAILY_LOSS_PCT": "1", "PAPER_COOL_DOWN_S": "30",
        "AI_MIN_SIGNAL_CONFIDENCE": "0.7", "PAPER_SIZING": "kelly", "PAPER_SIZE_PCT": "3", "PAPER_ORDER_TTL_S": "5",
    }  # fmt: skip
    rules = paper_rules(load_settings(None, env))
    assert (rules.start_quote, rules.currency, rules.seed) == (Decimal("2500.50"), "USDC", 9)
    assert rules.venues == ("okx", "binance")
    assert rules.fees == (("okx", Decimal("-0.5"), Decimal("7.5")), ("binance", Decimal(1), Decimal(2)))
    assert (rules.costs.latency_ns, rules.costs.queue_position) == (80_000_000, True)
    assert (rules.limits.position_share, rules.limits.daily_loss) == (Decimal("0.125"), Decimal("0.01"))
    assert rules.limits.cool_down_ns == 30_000_000_000
    strategy = rules.strategy
    assert (strategy.confidence_min, strategy.sizing, strategy.size_share) == (Decimal("0.7"), "kelly", Decimal("0.03"))
    assert strategy.order_ttl_ns == 5_000_000_000


def flat(rules: Rules) -> dict[str, object]:
    parts = (rules.costs, rules.limits, rules.strategy)
    return {"start": rules.start_quote, "currency": rules.currency, "fees": rules.fees, "seed": rules.seed} | {
        name: value for part in parts for name, value in part._asdict().items()
    }


@pytest.mark.parametrize("name", PaperSettings.model_fields)
@given(data=st.data())
def test_a_key_changes_exactly_one_rule(name, data):
    default = Settings()
    value = data.draw(PAPER_VALUES[name].filter(lambda one: one != getattr(default, name)))
    before, after = flat(paper_rules(default)), flat(paper_rules(Settings.model_validate({name: value})))
    assert len([key for key in before if before[key] != after[key]]) == 1


def test_every_rule_has_a_key():
    rules = {*flat(Rules())} - {"confidence_min"}  # AI_MIN_SIGNAL_CONFIDENCE
    assert len(rules) == len(PaperSettings.model_fields)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("PAPER_FEES", "kraken=1/2", "once, found 'kraken=1/2'"),
        ("PAPER_FEES", "okx=1", "expected venue=MAKER/TAKER in bps, like binance=10/10"),
        ("PAPER_FEES", "okx=1/2,okx=3/4", "each venue of binance, okx, coinbase, bybit once, found 'okx=3/4'"),
        ("PAPER_FEES", "okx=1e3/2", "found 'okx=1e3/2'"),
        ("PAPER_SIZING", "half", "one of fixed, volatility, kelly, found 'half'"),
        ("PAPER_CURRENCY", "usdt", "a text like USDT, found 'usdt'"),
        ("PAPER_PARTICIPATION_PCT", "101", "a number above 0 and at most 100, found '101'"),
        ("PAPER_STOP_LOSS_BPS", "-5", "a number from 0 to 10000, found '-5'"),
        ("PAPER_LATENCY_MS", "1.5", "a whole number from 0 to 60000, found '1.5'"),
        ("PAPER_SHORT_ENABLED", "maybe", "true or false, found 'maybe'"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(key, value, said):
    with pytest.raises(ConfigError) as caught:
        load_settings(None, {key: value})
    assert str(caught.value).startswith(f"{key}: expected ")
    assert said in str(caught.value)

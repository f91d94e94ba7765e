"""Generated bars, rows and models made of them, for tests of training. Everything is seeded and made once."""

from functools import cache

from sofia_streams.core.features.sets import base_set
from sofia_streams.core.scoring.labels import Rule
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND
from sofia_streams.training.dataset import build
from sofia_streams.training.fitting import judging
from sofia_streams.training.fitting.fit import train
from sofia_streams.training.fitting.folds import split
from sofia_streams.training.fitting.run import EMBARGO_BARS, Order, terms_of
from sofia_streams.training.sources.generated import PULL, generate

UNTIL_NS = 1_790_000_000 // 60 * NS_PER_MINUTE
SETS = [base_set(NS_PER_SECOND)]
ORDER = Order(
    ["base"], NS_PER_SECOND, Rule("forward", 5), ["lightgbm", "logistic"], 3_600 * NS_PER_SECOND, 1, 0.002, 0.6
)
EMBARGO_NS = EMBARGO_BARS * NS_PER_SECOND


@cache
def bars(count=6_000, pull=PULL, seed=3):
    return generate(
        {"BTC/USDT": 60_000.0}, size_ns=NS_PER_SECOND, bars=count, until_ns=UNTIL_NS, seed=seed, pull=pull
    )


@cache
def rows(count=6_000, pull=PULL):
    return build(bars(count, pull).seen, SETS, ORDER.rule)


@cache
def model():
    """(rows, split, trained)."""
    data = rows()
    parts = split(data, embargo_ns=EMBARGO_NS)
    return data, parts, train(data, parts, terms_of(ORDER, SETS, is_synthetic=True))


def skill(data, parts=None):
    """AUC, with its interval, on a test slice of what was trained on the others."""
    parts = parts or split(data, embargo_ns=EMBARGO_NS)
    trained = train(data, parts, terms_of(ORDER, SETS, is_synthetic=True))
    block = judging.block_rows(data.at(parts.test), ORDER.rule.horizon_bars)
    return judging.measured({"model": trained.raw}, data.labels, parts.test, block)["model"]["auc"]

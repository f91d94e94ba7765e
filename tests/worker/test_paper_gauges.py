"""What the metrics of the paper worker say of fills and of the account."""

from decimal import Decimal

import pytest

from sofia_streams.obs import metrics
from sofia_streams.paper import Account, Fill
from sofia_streams.worker.paper_gauges import observe

_D = Decimal


def fill(number, side, price, realised, mid):
    return Fill(
        f"f{number}", "o", "binance", "spot", "BTC/USDT", side, _D(2), _D(price), _D("0.2"), _D("0.001"), "none",
        "taker", "filled", 5, _D(realised), None if mid is None else _D(mid),
    )  # fmt: skip


def value(metric):
    return metric._value.get()


def test_turnover_slippage_and_what_was_won_and_lost():
    watched = {
        "traded": metrics.TRADED.labels("binance"), "slippage": metrics.SLIPPAGE,
        **{f"{kind} {result}": metric.labels(result) for result in ("won", "lost")
           for kind, metric in (("fills", metrics.CLOSED), ("quote", metrics.CLOSED_QUOTE))},
    }  # fmt: skip
    before = {name: value(one) for name, one in watched.items()}
    fills = [fill(1, "buy", 100, 0, "99.5"), fill(2, "sell", 110, 20, "110.25"), fill(3, "sell", 90, -5, None)]
    assert observe(fills, "paper_oms") == []
    grown = {name: value(one) - before[name] for name, one in watched.items()}
    assert grown == pytest.approx(
        # 2 * (100 + 110 + 90); 2 * 0.5 bought dearer and 2 * 0.25 sold cheaper
        {"traded": 600, "slippage": 1.5, "fills won": 1, "quote won": 20, "fills lost": 1, "quote lost": 5}
    )


def test_the_account_by_its_parts():
    said = Account(
        1, 5, _D(90), _D(101), _D(100), _D(3), _D(-1), _D("0.5"), _D(104), _D(100), _D(11), 2, "ACTIVE", "fill"
    )
    observe([said], "paper_oms")
    found = {name: value(metrics.ACCOUNT.labels(name)) for name in ("cash", "realised", "unrealised", "fees")}
    assert found == {"cash": 90, "realised": 3, "unrealised": -1, "fees": 0.5}
    assert value(metrics.ACCOUNT.labels("gross_exposure")) == 11
    assert value(metrics.DRAWDOWN) == pytest.approx(3 / 104)

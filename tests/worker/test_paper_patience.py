"""Whom the paper account waits for and how long: inputs that are slow by nature, late, silent, never heard."""

from decimal import Decimal
from types import SimpleNamespace

import pytest

from sofia_streams.core.oms.rules import Instrument, Rules
from sofia_streams.core.oms.steps import PaperSteps
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Punctuation, Ticker, Trade, TradeBatch
from sofia_streams.obs import metrics
from sofia_streams.paper import Taken
from sofia_streams.scored import Signal
from sofia_streams.settings import Settings
from sofia_streams.worker import accounting as module
from sofia_streams.worker.accounting import PATIENCE_S, Accounting

S, T0 = NS_PER_SECOND, 20_789 * 24 * 60 * NS_PER_MINUTE
LOOKS = 4
"""A second."""


class Account:
    """One instrument; seconds of our clock and of event time are the same. `given_up` has inputs with their second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.second, self.given_up, self.decisions = 0.0, list[tuple[str, float]](), list[str]()
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 1_000.0 + self.second))
        instruments = [Instrument("binance", "spot", "BTC/USDT")]
        self.accounting = Accounting(Settings(), SimpleNamespace(data={}), lambda row: self.steps, key="paper")
        self.steps = self.accounting.steps = PaperSteps(Rules(), instruments)
        self._offsets = dict[str, int]()
        give_up = self.steps.merge.give_up
        self.steps.merge.give_up = lambda name: (self.given_up.append((name, self.second)), give_up(name))[1]

    def take(self, topic, record):
        self._offsets[topic] = offset = self._offsets.get(topic, -1) + 1
        message = SimpleNamespace(topic=topic, partition=0, offset=offset)
        self.accounting.take(self.steps, record, SimpleNamespace(message=message))
        self._run()

    def pass_second(self, *, tickers=True, set_back_s=0):
        """`set_back_s` of the clock that says when something was received."""
        at_ns = T0 + int(self.second) * S
        received_ns = at_ns - set_back_s * S
        if tickers:
            self.take("tickers", Ticker("binance", "spot", "BTC/USDT", received_ns))
        self.take("trades", Punctuation("binance", "spot", "BTC/USDT", received_ns, "L0", at_ns))
        for _ in range(LOOKS):
            self.second += 1 / LOOKS
            self.accounting.lose_patience(self.steps)
            self._run()

    def signal(self, end_ns):
        start_ns = end_ns - NS_PER_MINUTE
        self.take("signals", Signal("spot", "BTC/USDT", NS_PER_MINUTE, start_ns, "hold", ""))

    def _run(self):
        self.decisions += [one.what for one in self.steps.run() if isinstance(one, Taken)]


@pytest.mark.parametrize("late_s", [0, 2, 9])
def test_a_signal_a_minute_is_waited_for_until_it_comes(monkeypatch, late_s):
    account = Account(monkeypatch)
    account.signal(T0)
    for second in range(1, 300):
        account.pass_second()
        if second % 60 == late_s and second >= 60:
            account.signal(T0 + second // 60 * NS_PER_MINUTE)
    assert (account.given_up, account.decisions) == ([], [])


def test_signals_that_end_are_waited_for_once_and_no_longer(monkeypatch):
    account = Account(monkeypatch)
    account.signal(T0)
    for _ in range(120):
        account.pass_second()
    ((name, second),) = account.given_up
    assert name == "signals|spot|BTC/USDT"
    assert 59 + PATIENCE_S <= second <= 62 + PATIENCE_S
    assert account.steps.merge.reached_ns() >= T0 + 118 * S
    account.signal(T0 + NS_PER_MINUTE)
    assert account.decisions == ["gave_up"]


def test_all_that_are_silent_are_given_up_together_also_if_they_never_spoke(monkeypatch):
    account = Account(monkeypatch)
    for _ in range(12):
        account.pass_second(tickers=False)
        if account.second == 1:  # from now on something waits
            trade = Trade("t", Decimal(100), Decimal(1), "buy", T0, 1)
            account.take("trades", TradeBatch("binance", "spot", "BTC/USDT", T0, "L0", [trade]))
    assert [name.partition("|")[0] for name, _ in account.given_up] == ["signals", "tickers"]
    assert len({second for _, second in account.given_up}) == 1


def test_a_clock_that_was_set_back_delays_the_account_and_does_not_stop_it(monkeypatch):
    account = Account(monkeypatch)
    for second in range(180):
        if second % 60 == 0:
            account.signal(T0 + second * S)
        account.pass_second(set_back_s=3_600 if second >= 60 else 0)
    assert {name for name, _ in account.given_up} == {"tickers|binance|spot|BTC/USDT"}
    assert [second for _, second in account.given_up] == [60 + PATIENCE_S, 120 + PATIENCE_S]  # while a signal waits
    assert account.steps.merge.waiting == 0


def test_records_of_instruments_that_no_setting_names_are_counted_and_said_once(monkeypatch):
    account = Account(monkeypatch)
    before = metrics.STRANGERS.labels("tickers")._value.get()
    for second in range(3):
        account.take("tickers", Ticker("okx", "spot", "DOGE/USDT", T0 + second * S))
    assert account.steps.strangers == {"tickers|okx|spot|DOGE/USDT": 3}
    assert metrics.STRANGERS.labels("tickers")._value.get() == before + 3
    for number in range(1_200):
        account.take("tickers", Ticker("okx", "spot", f"X{number}/USDT", T0))
    assert len(account.steps.strangers) <= 1_001 and account.steps.strangers["others"] == 201
    assert account.steps.merge.waiting == 0

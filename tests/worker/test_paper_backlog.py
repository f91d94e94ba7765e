"""What the paper worker reads no further while too much waits: everything but where the slowest input stands."""

from decimal import Decimal
from types import SimpleNamespace

import pytest

from sofia_streams.core.oms.rules import Instrument, Rules
from sofia_streams.core.oms.steps import PaperSteps
from sofia_streams.model import NS_PER_SECOND, Ticker, Trade, TradeBatch
from sofia_streams.settings import Settings
from sofia_streams.worker import accounting as module
from sofia_streams.worker.accounting import Accounting

S, SYMBOLS = NS_PER_SECOND, ("BTC/USDT", "ETH/USDT")


@pytest.fixture
def backlog(monkeypatch):
    monkeypatch.setattr(module, "_WAITING_MANY", 4)
    return Backlog()


class Backlog:
    """Two symbols, a partition each; nobody waits for signals."""

    def __init__(self):
        instruments = [Instrument("binance", "spot", symbol) for symbol in SYMBOLS]
        self.steps = PaperSteps(Rules(), instruments)
        for symbol in SYMBOLS:
            self.steps.merge.give_up(f"signals|spot|{symbol}")
        self.accounting = Accounting(Settings(), SimpleNamespace(data={}), lambda row: self.steps, key="paper")
        self._offset = 0

    def take(self, topic, symbol, *seconds):
        for second in seconds:
            at_ns = second * S
            trade = Trade("t", Decimal(100), Decimal(1), "buy", at_ns, 1)
            batch = TradeBatch("binance", "spot", symbol, at_ns, "L0", [trade])
            record = batch if topic == "trades" else Ticker("binance", "spot", symbol, at_ns)
            self._offset += 1
            message = SimpleNamespace(topic=topic, partition=SYMBOLS.index(symbol), offset=self._offset)
            self.accounting.take(self.steps, record, SimpleNamespace(message=message))
            self.steps.run()

    def read(self):
        """Topic and partition of what is still read, of the first two partitions."""
        held = {(place.topic.split(".")[1], place.partition) for place in self.accounting.ahead(self.steps)}
        return {(topic, number) for topic in ("trades", "tickers") for number in (0, 1)} - held


EVERYTHING = {("trades", 0), ("trades", 1), ("tickers", 0), ("tickers", 1)}


def test_tickers_wait_for_trades_as_trades_do_for_tickers(backlog):
    for symbol in SYMBOLS:
        backlog.take("trades", symbol, 1)
        backlog.take("tickers", symbol, 1, 2, 3)
    backlog.take("trades", SYMBOLS[0], 5)
    assert backlog.steps.merge.waits_for() == "trades|binance|spot|ETH/USDT"
    assert backlog.read() == {("trades", 1)}
    backlog.take("trades", SYMBOLS[1], *range(5, 12))
    assert backlog.steps.merge.waits_for() == "tickers|binance|spot|BTC/USDT"
    assert backlog.read() == {("tickers", 0)}
    for symbol in SYMBOLS:
        backlog.take("tickers", symbol, 20)
        backlog.take("trades", symbol, 20)
    assert backlog.read() == EVERYTHING


def test_an_input_that_did_not_speak_yet_is_looked_for_where_its_symbol_stands_else_everywhere(backlog):
    backlog.take("tickers", SYMBOLS[0], *range(1, 7))
    assert backlog.steps.merge.waits_for() == "tickers|binance|spot|ETH/USDT"
    assert backlog.read() == EVERYTHING
    backlog.take("tickers", SYMBOLS[1], 1, 2)
    assert backlog.steps.merge.waits_for() == "trades|binance|spot|BTC/USDT"
    assert backlog.read() == {("trades", 0)}

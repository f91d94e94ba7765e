"""Records that come late, through the merge: they stand behind what came before, and are as old as they say."""

from decimal import Decimal

import msgspec
import pytest
from oms_played import WIDE, rules
from oms_world import MIDNIGHT, S, signal, ticker, trade

from sofia_streams.core.oms.rules import Instrument
from sofia_streams.core.oms.steps import PaperSteps
from sofia_streams.model import Punctuation, TradeBatch
from sofia_streams.paper import Fill, Order

END = MIDNIGHT
"""Of the bar of the signals here."""


class Line:
    """One instrument; each record is the next of its topic. `said` has orders and fills."""

    def __init__(self, has_tickers=True, **strategy):
        one = Instrument("binance", "spot", "BTC/USDT", has_tickers)
        self.steps = PaperSteps(rules(limits=WIDE, strategy=strategy), [one])
        self.said, self._offsets = [], {}

    def take(self, *records):
        for record in records:
            kind = type(record) if not isinstance(record, Punctuation) else TradeBatch
            self._offsets[kind] = offset = self._offsets.get(kind, -1) + 1
            self.steps.take(record, offset, f"{kind.__name__}/0/{offset}")
            self.said += [one for one in self.steps.run() if isinstance(one, Order | Fill)]

    def fills(self):
        return [one for one in self.said if isinstance(one, Fill)]


def prints(*trades):
    return TradeBatch("binance", "spot", "BTC/USDT", trades[-1].exchange_ns, "L0", [*trades])


def nothing_until(at_ns):
    return Punctuation("binance", "spot", "BTC/USDT", at_ns + 2 * S, "L0", at_ns)


@pytest.mark.parametrize(("made_s", "fills"), [(-1, 0), (1.249, 0), (1.25, 1)])
def test_a_limit_is_not_filled_by_a_print_of_before_it_was_active_that_comes_late(made_s, fills):
    line = Line(order_type="limit")
    line.take(ticker(END - S, 100, "100.1"), prints(trade(END - S, 100, 1)), signal(END, "buy"))
    for second in range(5):
        line.take(ticker(END + second * S, 100, "100.1"), nothing_until(END + second * S))
    line.take(prints(trade(END + int(made_s * S), 99, 1000, "sell")), prints(trade(END + 5 * S, 101, 1)))
    line.take(ticker(END + 6 * S, 100, "100.1"))
    assert line.said[0].active_ns == END + S * 5 // 4
    assert len(line.fills()) == fills


def test_quotes_of_an_input_that_was_waited_for_in_vain_are_as_old_as_their_receipt():
    line = Line()
    line.take(ticker(END - S, 100, "100.1"), prints(trade(END - S, 100, 1)), ticker(END, 100, "100.1"))
    line.take(signal(END, "buy"), *(nothing_until(END + second * S) for second in range(21)))
    line.steps.merge.give_up("tickers|binance|spot|BTC/USDT")
    line.take(nothing_until(END + 21 * S))
    for second in (0.5, 2, 4):  # nobody was offered this any more when it came here
        line.take(ticker(END + int(second * S), "88.9", 89))
    line.take(prints(trade(END + 21 * S, 100, 1)))
    assert line.steps.merge.reached_ns() >= END + 20 * S and line.fills() == []
    line.take(ticker(END + 22 * S, 100, "100.1"), prints(trade(END + 23 * S, 100, 1)))
    assert [one.price > 100 for one in line.fills()] == [True]


def test_a_late_print_moves_no_quote_of_a_venue_that_quotes_nothing():
    line = Line(has_tickers=False)
    line.take(prints(trade(END - S, 100, 1), trade(END - S, 101, 1, order=1)), signal(END, "hold"))
    line.take(prints(trade(END + 2 * S, 102, 1)), prints(trade(END + S, 50, 1)), nothing_until(END + 4 * S))
    feed = line.steps.books.feeds["binance|spot|BTC/USDT"]
    assert (feed.middle(), feed.quoted_ns, feed.volume) == (102, END + 2 * S, Decimal(3))


def test_prints_that_come_again_are_no_new_volume_and_fill_nothing_more():
    """An ingest worker that was killed writes its last prints once more."""

    def played(*again):
        line = Line(has_tickers=False)
        line.take(prints(trade(END - S, 100, 1)), signal(END, "buy"))
        some = [trade(END + place * S // 2, 100, "0.5", name=f"n{place}") for place in range(3, 9)]
        line.take(prints(*some), *(prints(*some[place:]) for place in again), nothing_until(END + 5 * S))
        return line.fills(), line.steps.books.feeds["binance|spot|BTC/USDT"].volume

    fills, volume = played()
    assert len(fills) >= 3 and volume == Decimal(4)
    assert [msgspec.structs.replace(one, place="") for one in played(0, 2, 5)[0]] == [
        msgspec.structs.replace(one, place="") for one in fills
    ]
    assert played(0, 2, 5)[1] == volume


def test_a_print_of_the_future_hides_none_of_those_that_follow():
    line = Line(stop_loss_bps=Decimal(50))
    line.take(ticker(END - S, 100, "100.1"), prints(trade(END - S, 100, 1)), signal(END, "buy"))
    for second in range(3):
        line.take(ticker(END + second * S, 100, "100.1"), nothing_until(END + second * S))
    (bought,) = line.fills()
    ahead = trade(END + 60 * S, 100, "0.01")
    line.take(TradeBatch("binance", "spot", "BTC/USDT", END + 3 * S, "L0", [ahead]))
    for second in range(5, 19):
        line.take(prints(trade(END + second * S, 90, 1, "sell")), ticker(END + second * S + 1, 90, "90.1"))
    sold = line.fills()[-1]
    assert sold.side == "sell" and sold.at_ns < END + 16 * S, "the stop of 0.5 %, ten seconds late, not sixty"
    assert bought.quantity == sold.quantity

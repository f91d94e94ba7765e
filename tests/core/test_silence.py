"""Silence: behind the last bar once all venues of a symbol have ended, each second after that, none while one lives."""

import msgspec
from candle_tables import RULES, SYMBOL, S, batch, punctuation, trade

from sofia_streams import codec
from sofia_streams.core.bars import candles
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, PUNCTUATION_LAG_NS, Bar, Punctuation, TradeBatch
from sofia_streams.scored import Silence

BEGIN_NS = 1_700_000_000 * S // NS_PER_MINUTE * NS_PER_MINUTE


class Fold:
    """The step of candles over records; what each says, as it stands in `bars`."""

    def __init__(self) -> None:
        self.rows: dict = {}
        self.offset = -1

    def take(self, record: TradeBatch | Punctuation) -> list[Bar | Silence]:
        self.offset += 1
        return self.again(record)

    def again(self, record: TradeBatch | Punctuation) -> list[Bar | Silence]:
        """The record at the same offset, as after a crash."""
        step = candles.apply(self.rows, record, offset=self.offset, rules=RULES)
        candles.store(self.rows, step.rows)
        return [codec.decode_bars(codec.encode(one)) for one in step.said]


def prints(second: int, venue: str) -> TradeBatch:
    at_ns = BEGIN_NS + second * S
    return msgspec.structs.replace(batch(trade(second, at_ns), venue=venue), received_ns=at_ns)


def says(second: int, venue: str, *, alive: bool = False) -> Punctuation:
    """At that second of the receiver's clock."""
    at_ns = BEGIN_NS + second * S
    heard_ns = at_ns - PUNCTUATION_LAG_NS if alive else BEGIN_NS
    return msgspec.structs.replace(punctuation(heard_ns, venue, alive=alive), received_ns=at_ns)


def silence(second: int) -> Silence:
    return Silence("spot", SYMBOL, BEGIN_NS + second * S - PUNCTUATION_LAG_NS)


def of_two_venues() -> Fold:
    fold = Fold()
    for second in range(1, 9):
        for venue in ("binance", "okx"):
            fold.take(prints(second, venue))
    return fold


def test_it_stands_behind_the_last_bars_when_all_venues_have_ended_and_each_second_after():
    fold = of_two_venues()
    assert not [one for one in fold.take(says(20, "binance")) if isinstance(one, Silence)]
    *bars, last = fold.take(says(21, "okx"))
    assert last == silence(21)
    assert {one.size_ns for one in bars if one.venue == CONSOLIDATED} == {S, NS_PER_MINUTE}
    for second in range(22, 90):
        assert fold.take(says(second, "binance")) == [silence(second)]
        assert fold.take(says(second, "okx")) == [silence(second)]


def test_there_is_none_while_one_venue_lives():
    fold = of_two_venues()
    fold.take(says(20, "binance"))
    for second in range(21, 90):
        said = [*fold.take(says(second, "binance")), *fold.take(says(second, "okx", alive=True))]
        assert not [one for one in said if isinstance(one, Silence)]


def test_a_venue_that_comes_back_ends_it():
    fold = of_two_venues()
    for venue in ("binance", "okx"):
        fold.take(says(20, venue))
    fold.take(prints(70, "okx"))
    assert not [one for one in fold.take(says(71, "binance")) if isinstance(one, Silence)]
    assert fold.take(says(72, "okx"))[-1] == silence(72)


def test_a_record_that_comes_again_after_a_crash_says_nothing_and_one_that_was_not_stored_all():
    fold = of_two_venues()
    fold.take(says(20, "binance"))
    rows = dict(fold.rows)
    said = fold.take(says(21, "okx"))
    assert fold.again(says(21, "okx")) == []
    fold.rows = rows
    assert fold.again(says(21, "okx")) == said


def test_contracts_that_join_no_consolidated_bars_have_none():
    fold = Fold()
    for record in (prints(1, "okx"), says(2, "okx")):
        said = fold.take(msgspec.structs.replace(record, market="linear"))
        assert not [one for one in said if isinstance(one, Silence)]

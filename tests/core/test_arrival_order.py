"""Prints of a venue whose frames share sequences, some live and some fetched later: one order, whatever came when."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.codec import encode
from sofia_streams.core.bars.ohlcv import merge_all, sums_of
from sofia_streams.core.feeds.tape import ArrivalOrder
from sofia_streams.model import ParsedTrade, Trade
from sofia_streams.venues.bybit.parse import TRADES_PER_FRAME_MAX, parse
from sofia_streams.venues.bybit.rest import read_trade

AT_MS = 1_786_310_819_000


def live(order: ArrivalOrder, *rows: tuple[str, int, int]) -> list[Trade]:
    """A frame with prints of (id, sequence, milliseconds later), as ingest logs them."""
    data = [
        {"T": AT_MS + later, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": str(100 + sum(map(ord, name))), "i": name,
         "BT": False, "RPI": False, "seq": sequence}
        for name, sequence, later in rows
    ]  # fmt: skip
    frame = encode({"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": AT_MS, "data": data})
    found = [one.trade for one in parse(frame, received_ns=0) if isinstance(one, ParsedTrade)]
    return order.ordered(found)


def fetched(name: str, sequence: int, later: int) -> Trade:
    """The same print as REST has it."""
    return read_trade(
        {"execId": name, "price": str(100 + sum(map(ord, name))), "size": "1", "side": "Buy",
         "time": str(AT_MS + later), "seq": str(sequence)}
    )  # fmt: skip


def in_order(trades: list[Trade]) -> list[str]:
    return [one.trade_id for one in sorted(trades, key=lambda one: (one.exchange_ns, one.order, one.trade_id))]


def test_a_fetched_print_stands_before_the_live_ones_of_its_sequence_and_among_other_sequences():
    order = ArrivalOrder(TRADES_PER_FRAME_MAX)
    trades = [*live(order, ("b", 5, 0), ("c", 5, 0)), *live(order, ("d", 5, 0)), *live(order, ("z", 9, 0))]
    assert in_order([*trades, fetched("x", 5, 0)]) == ["b", "x", "c", "d", "z"]
    assert in_order([*trades, fetched("a", 5, 0)]) == ["a", "b", "c", "d", "z"]
    assert in_order([*trades, fetched("x", 7, 0)]) == ["b", "c", "d", "x", "z"]
    assert in_order([*trades, fetched("x", 4, 0), fetched("y", 10, 0)]) == ["x", "b", "c", "d", "z", "y"]
    assert in_order([*trades, fetched("x", 1, 1)]) == ["b", "c", "d", "z", "x"]


def test_a_close_is_never_a_fetched_print_of_a_sequence_that_went_on_live():
    order = ArrivalOrder(TRADES_PER_FRAME_MAX)
    trades = [*live(order, ("b", 5, 0)), *live(order, ("c", 5, 0))]
    assert sums_of([*trades, fetched("zzz", 5, 0)], "bybit").last.trade_id == "c"


prints = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 1), st.booleans()), min_size=1, max_size=5)


@given(prints)
def test_open_and_close_are_the_same_for_any_order_of_the_same_live_and_fetched_prints(rows):
    order, trades, live_only = ArrivalOrder(TRADES_PER_FRAME_MAX), [], []
    for number, (sequence, later, is_live) in enumerate(sorted(rows, key=lambda row: (row[1], row[0]))):
        name = f"{number * 7 % 5}-{number}"
        trades += live(order, (name, sequence, later)) if is_live else [fetched(name, sequence, later)]
        live_only += [name] if is_live else []
    assert [name for name in in_order(trades) if name in live_only] == live_only
    assert len({(one.exchange_ns, one.order, one.trade_id) for one in trades}) == len(trades)
    whole = sums_of(trades, "bybit")
    for arrival in permutations(trades):
        assert sums_of(list(arrival), "bybit") == whole
        assert merge_all(sums_of([one], "bybit") for one in arrival) == whole

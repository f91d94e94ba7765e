"""The candle sums: exact, and free of the order of trades."""

from decimal import Decimal
from functools import reduce

from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_streams.core.bars.ohlcv import bar_of, merge, sums_of, window_start_ns
from sofia_streams.model import NS_PER_SECOND, Trade

VENUES = st.sampled_from(["binance", "bybit", "coinbase", "okx"])


def decimals(places: int) -> st.SearchStrategy[Decimal]:
    return st.integers(1, 10**12).map(lambda units: Decimal(units).scaleb(-places))


@st.composite
def trades(draw) -> list[tuple[str, Trade]]:
    rows = draw(
        st.lists(
            st.tuples(VENUES, decimals(8), decimals(8), st.sampled_from(["buy", "sell"]), st.integers(0, 999)),
            min_size=1,
            max_size=30,
        )
    )
    return [
        (venue, Trade(str(number), price, quantity, side, exchange_ns, number))
        for number, (venue, price, quantity, side, exchange_ns) in enumerate(rows)
    ]


def folded(rows: list[tuple[str, Trade]]):
    return reduce(merge, (sums_of([trade], venue) for venue, trade in rows))


@given(trades(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_any_order_of_the_same_trades_gives_the_same_bar(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert folded(shuffled) == folded(rows)


@given(trades(), st.integers(0, 29))
@settings(deadline=None)
def test_merging_parts_equals_folding_the_whole(rows, cut):
    cut = cut % len(rows)
    whole = folded(rows)
    parts = whole if cut == 0 else merge(folded(rows[:cut]), folded(rows[cut:]))
    assert parts == whole


@given(trades())
@settings(deadline=None)
def test_sums_are_exact_fractions(rows):
    from fractions import Fraction

    sums = folded(rows)
    assert Fraction(sums.volume) == sum(Fraction(trade.quantity) for _, trade in rows)
    assert Fraction(sums.quote_volume) == sum(Fraction(trade.price) * Fraction(trade.quantity) for _, trade in rows)
    assert sums.trade_count == len(rows)


def test_a_candle_worked_out_by_hand():
    rows = [
        ("okx", Trade("7", Decimal("10.0"), Decimal("2"), "buy", 5, 7)),
        ("okx", Trade("8", Decimal("12.5"), Decimal("1"), "sell", 5, 8)),
        ("okx", Trade("6", Decimal("9"), Decimal("0.50"), "buy", 3, 6)),
    ]
    bar = bar_of(folded(rows), venue="okx", market="spot", symbol="BTC/USDT", size_ns=NS_PER_SECOND, start_ns=0)
    assert (bar.open, bar.high, bar.low, bar.close) == (Decimal(9), Decimal("12.5"), Decimal(9), Decimal("12.5"))
    assert (bar.volume, bar.buy_volume) == (Decimal("3.5"), Decimal("2.5"))
    assert bar.quote_volume == Decimal("37")  # 10*2 + 12.5*1 + 9*0.5
    assert bar.vwap == Decimal("10.5714285714285714")  # 37 / 3.5 to 18 digits, half to even
    assert (bar.first_trade_id, bar.last_trade_id, bar.revision, bar.quality) == ("6", "8", 0, "complete")


def test_a_window_holds_its_start_and_not_its_end():
    assert window_start_ns(NS_PER_SECOND, NS_PER_SECOND) == NS_PER_SECOND
    assert window_start_ns(2 * NS_PER_SECOND - 1, NS_PER_SECOND) == NS_PER_SECOND

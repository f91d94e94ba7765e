"""Bars from files: what exports and venues write is read exactly, and what cannot be is refused by its place."""

import gzip
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sofia_streams.core.features.book import Book, candle_of
from sofia_streams.core.features.sets import base_set
from sofia_streams.errors import ConfigError
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, Bar
from sofia_streams.ops.replay.export import BARS, write_bars
from sofia_streams.settings import load_settings
from sofia_streams.training.sources.reading import Generation, read

BEGIN_NS = 1_700_000_000_000_000_000 // NS_PER_MINUTE * NS_PER_MINUTE
SETTINGS = load_settings(None, {})


def bar(number, close="100.10", *, venue=CONSOLIDATED, quality="complete", symbol="BTC/USDT"):
    prices = [None if close is None else Decimal(close)] * 4
    amount = Decimal(0) if close is None else Decimal("1.5")
    return Bar(
        venue, "spot", symbol, NS_PER_MINUTE, BEGIN_NS + number * NS_PER_MINUTE, *prices, amount,
        amount * (prices[0] or 0), amount / 3, 0 if close is None else 4, prices[0], "", "", quality=quality,
    )  # fmt: skip


def bars_of(place, size="1m", days=None):
    return read(str(place), SETTINGS, size, days, Generation(0, 0, 0))


def refused(place, *words, size="1m"):
    with pytest.raises(ConfigError) as found:
        bars_of(place, size)
    for word in words:
        assert word in str(found.value)


def test_exported_bars_are_the_candles_that_the_live_path_makes(tmp_path):
    """Bit for bit, quiet and incomplete bars and closes of venues too."""
    made = [bar(0, "60000.123456789012345"), bar(1, None), bar(2, "60001.5", quality="gap"), bar(3, "60002.7")]
    single = [bar(0, "60000.1", venue="okx"), bar(3, "60002.9", venue="okx"), bar(3, "60002.5", venue="binance")]
    write_bars(tmp_path / "bars.parquet", [*made, *single])
    closes = {bar.start_ns: {} for bar in made}
    for one in single:
        closes[one.start_ns][one.venue] = float(one.close)
    book, live = Book([base_set(NS_PER_MINUTE)]), []
    for one in made:
        live.append(candle_of(one, closes[one.start_ns], book.close))
        book.take(one.start_ns, live[-1])
    found = bars_of(tmp_path / "bars.parquet")
    assert [one.start_ns for one in found.seen] == [one.start_ns for one in made]
    assert [one.candle for one in found.seen] == live
    assert not found.is_synthetic


def test_a_folder_of_a_replay_is_read_by_size(tmp_path):
    """Beside minutes stand seconds and trades, which are no minutes."""
    write_bars(tmp_path / "bars_1m.parquet", [bar(number, venue="okx") for number in range(3)])
    write_bars(tmp_path / "consolidated_1m.parquet", [bar(number) for number in range(3)])
    write_bars(tmp_path / "bars_1s.parquet", [bar(0, venue="okx")])
    (tmp_path / "trades.parquet").write_bytes(b"no bars")
    found = bars_of(tmp_path)
    assert [one.candle.venues for one in found.seen] == [{"okx": 100.1}] * 3


def test_klines_may_lack_what_a_venue_does_not_say(tmp_path):
    """As `sofia download` and `sofia klines` have them: null taker volume, quote volume, count."""
    rows = [
        {"venue": "okx", "market": "spot", "symbol": "A/B", "start_ns": BEGIN_NS, "open": "1", "high": "2", "low": "1",
         "close": "2", "volume": "3", "quote_volume": None, "buy_volume": None, "trade_count": None},
    ]  # fmt: skip
    names = [name for name in BARS.names if name in rows[0]]
    schema = pa.schema([BARS.field(name) for name in names])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "a.parquet")
    ((symbol, _, candle, _),) = bars_of(tmp_path / "a.parquet").seen
    assert (symbol, candle.close) == ("A/B", 2)
    assert (candle.quote_volume, candle.buy_volume, candle.trade_count) == (None, None, None)


def a_table(path, **columns):
    """One bar, with these columns as another program may write them."""
    bar_ = {name: [1.0] for name in ("open", "high", "low", "close", "volume")}
    pq.write_table(pa.table(bar_ | {"symbol": ["A/B"], "start_ns": [BEGIN_NS]} | columns), path)
    return path


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ({"trade_count": ["many"]}, "a number as trade_count"),
        ({"venues": [5]}, "closes by venue as JSON"),
        ({"venues": ['{"a": -1, "b": 1}']}, "closes of venues above zero"),
        ({"venue": ["all", "okx"], "close": [1.0, 0.0]}, "closes of venues above zero"),
        ({"venue": ["all", "okx"], "close": [1.0, float("nan")]}, "closes of venues above zero"),
    ],
)
def test_a_column_that_cannot_be_is_refused(tmp_path, columns, word):
    length = len(next(iter(columns.values())))
    same = {name: [1.0] * length for name in ("open", "high", "low", "close", "volume")}
    same |= {"symbol": ["A/B"] * length, "start_ns": [BEGIN_NS] * length}
    refused(a_table(tmp_path / "a.parquet", **(same | columns)), word, "a.parquet row 0")


def test_a_count_that_is_no_number_is_not_known(tmp_path):
    """As data frames have it where it is missing."""
    ((_, _, candle, _),) = bars_of(a_table(tmp_path / "a.parquet", trade_count=[float("nan")])).seen
    assert candle.trade_count is None


def test_exported_features_are_the_candles_they_were_computed_from(tmp_path):
    """As `sofia export features_1m` has them: numbers as text, venues as JSON, quiet bars with their repeated price."""
    same = {"market": "spot", "symbol": "A/B", "quality": "complete", "volume": "3.5", "trade_count": 2}
    rows = [
        {**same, "start_ns": BEGIN_NS + n * NS_PER_MINUTE, **dict.fromkeys(("open", "high", "low", "close"), "0.1"),
         "is_complete": n != 1, "is_quiet": n == 2, "venues": '{"okx":0.25}' if n == 0 else "{}"}
        for n in range(3)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "features_1m.parquet")
    first, second, third = (one.candle for one in bars_of(tmp_path).seen)
    assert (first.close, first.venues, first.is_complete, first.is_quiet) == (0.1, {"okx": 0.25}, True, False)
    assert (second.is_complete, second.is_quiet) == (False, False)
    assert (third.is_quiet, third.close, third.volume) == (True, 0.1, 0.0)
    rows[0]["venues"] = "{not JSON"
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "features_1m.parquet")
    refused(tmp_path, "closes by venue as JSON")


BINANCE = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume\n"


def klines(tmp_path, *lines, head=BINANCE, name="LINKUSDT-1m-2026-02.csv.gz"):
    path = tmp_path / name
    path.write_bytes(gzip.compress((head + "".join(f"{line}\n" for line in lines)).encode()))
    return path


@pytest.mark.parametrize("unit", [1, 1_000])
def test_klines_of_binance_are_read_in_milliseconds_and_microseconds(tmp_path, unit):
    path = klines(tmp_path, f"{1769904000000 * unit},9.982,9.990,9.974,9.987,24464.35,0,244198.04745,782,9388.60")
    ((symbol, start_ns, candle, _),) = bars_of(path).seen
    assert (symbol, start_ns) == ("LINKUSDT", 1769904000 * 10**9)
    assert (candle.open, candle.high, candle.low, candle.close) == (9.982, 9.990, 9.974, 9.987)
    amounts = candle.volume, candle.quote_volume, candle.buy_volume, candle.trade_count
    assert amounts == (24464.35, 244198.04745, 9388.6, 782)


def test_klines_of_bybit_are_read_with_their_timestamps(tmp_path):
    path = klines(tmp_path, "2025-05-30 16:39:00+00:00,1,3,1,2,5", head="timestamp,open,high,low,close,volume\n")
    assert bars_of(path).seen[0].start_ns == 1748623140 * 10**9


@pytest.mark.parametrize("unit", [1, 1_000])
def test_klines_of_binance_without_names_are_read_by_their_places(tmp_path, unit):
    """As its spot files are: milliseconds, since 2025 microseconds."""
    lines = (
        f"{1704067200000 * unit},42283.58,42298.62,42261.02,42298.61,35.92,1,1518955.5,1327,23.1,977000.0,0",
        f"{1704067260000 * unit},42298.61,42300.00,42298.00,42299.00,12.5,2,528737.5,411,4.25,179770.75,0",
    )
    first, second = bars_of(klines(tmp_path, *lines, head="", name="BTCUSDT-1m-2024-01-01.csv.gz")).seen
    assert (first.symbol, first.start_ns) == ("BTCUSDT", 1704067200 * 10**9)
    prices = first.candle.open, first.candle.high, first.candle.low, first.candle.close
    assert prices == (42283.58, 42298.62, 42261.02, 42298.61)
    amounts = second.candle.volume, second.candle.quote_volume, second.candle.buy_volume, second.candle.trade_count
    assert amounts == (12.5, 528737.5, 4.25, 411)
    refused(klines(tmp_path, lines[0].replace(",35.92,", ",-1,"), head=""), "quantities from zero", "line 1")
    refused(klines(tmp_path, lines[0].removesuffix(",0"), head=""), "expected the columns", "leave it out")


GOOD = "1769904000000,9,10,8,9,5,0,45,7,3"


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (GOOD.replace(",10,", ",nan,"), "prices above zero"),
        (GOOD.replace(",10,", ",inf,"), "prices above zero"),
        (GOOD.replace(",8,", ",-8,"), "prices above zero"),
        (GOOD.replace(",8,", ",0,"), "prices above zero"),
        (GOOD.replace(",8,", ",9.5,"), "from low to high"),
        (GOOD.replace(",10,", ",1e99,"), "prices above zero"),
        (GOOD.replace(",5,", ",-5,"), "quantities from zero"),
        (GOOD.replace(",5,", ",nan,"), "quantities from zero"),
        (GOOD.removesuffix("3") + "6", "at most the volume"),
        (GOOD.replace(",10,", ",ten,"), "a number as high"),
        (GOOD.replace(",10,", ",1_0,"), "a number as high"),
        ("1769904000000,9,10", "a cut line"),
        ("1769904000001" + GOOD[13:], "a multiple of"),
        ("yesterday" + GOOD[13:], "a time in digits"),
        ("9" * 5_000 + GOOD[13:], "a time in digits"),
    ],
)
def test_a_bar_that_cannot_be_is_refused_with_its_line(tmp_path, line, word):
    before = GOOD.replace("1769904000000", "1769903940000")
    refused(klines(tmp_path, before, line), word, "line 3", "Nothing was done")


def test_the_same_bar_twice_counts_once_and_two_that_differ_are_refused(tmp_path):
    assert len(bars_of(klines(tmp_path, GOOD, GOOD)).seen) == 1
    refused(klines(tmp_path, GOOD, GOOD.replace(",5,", ",6,")), "two that differ")


def test_other_columns_are_named(tmp_path):
    refused(klines(tmp_path, "1,2", head="price,amount\n"), "expected the columns", "price, amount")
    pq.write_table(pa.table({"price": ["1"]}), tmp_path / "p.parquet")
    refused(tmp_path / "p.parquet", "expected the columns", "price")


@pytest.mark.parametrize("name", ["a.parquet", "a.csv.gz", "a.csv"])
@pytest.mark.parametrize("data", [b"", b"PAR1 and nothing more", b"\x1f\x8b\xff\xff", b"\xff\xfe\x00" * 50])
def test_a_file_of_something_else_is_refused(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    refused(tmp_path / name, "expected", name)


def test_a_cut_file_is_refused(tmp_path):
    path = klines(tmp_path, *(GOOD.replace("1769904000000", str(1769904000000 + 60_000 * n)) for n in range(999)))
    path.write_bytes(path.read_bytes()[:-200])
    refused(path, "expected comma-separated klines")
    whole = klines(tmp_path, *(GOOD.replace("1769904000000", str(1769904000000 + 60_000 * n)) for n in range(999)))
    whole.write_bytes(whole.read_bytes()[:60] + b"\xff" * 60 + whole.read_bytes()[120:])
    refused(whole, "expected comma-separated klines")


@pytest.mark.parametrize("size", ["1s", "1m"])
def test_bars_of_another_size_are_refused(tmp_path, size):
    step = {"1m": 300_000, "1s": 60_000}[size]
    path = klines(tmp_path, *(GOOD.replace("1769904000000", str(1769904000000 + step * n)) for n in range(9)))
    refused(path, "apart", size=size)


def test_nothing_there_and_nothing_in_it_are_refused(tmp_path):
    refused(tmp_path / "nowhere", "nothing there")
    refused(tmp_path, "no file of that kind")
    refused(klines(tmp_path), "found none")
    write_bars(tmp_path / "quiet.parquet", [bar(0, None), bar(1, None)])
    refused(tmp_path / "quiet.parquet", "expected bars with prices")


def test_only_the_newest_days_are_read(tmp_path):
    lines = [GOOD.replace("1769904000000", str(1769904000000 + 60_000 * n)) for n in range(3_000)]
    found = bars_of(klines(tmp_path, *lines), days=1)
    assert len(found.seen) == 1_440
    assert found.seen[-1].start_ns == (1769904000 + 60 * 2_999) * 10**9

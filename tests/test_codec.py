"""What is read back from the log: what was written, and never a value that a step could not take."""

import json
from decimal import Decimal

import msgspec
import pytest

from sofia_streams import codec
from sofia_streams.core.bars.ohlcv import Edge, Sums
from sofia_streams.core.bars.windows import Feed, Window
from sofia_streams.core.feeds.ids import IdSet
from sofia_streams.errors import BadRecord
from sofia_streams.model import Bar, Gap, Punctuation, Ticker, Trade, TradeBatch
from sofia_streams.scored import Signal, Silence

AT_NS = 1_672_515_782_136_000_000
HEAD = ("okx", "spot", "BTC/USDT", AT_NS)
TRADE = Trade("1", Decimal("5.50"), Decimal("0.00000001"), "buy", AT_NS, 1)
BATCH = TradeBatch(*HEAD, "c", [TRADE, TRADE])
QUIET = Punctuation(*HEAD, "c", AT_NS)
GAP = Gap(*HEAD, "c", "g", "ids", "open", AT_NS, AT_NS + 1, missing_volume=Decimal("1.5"))
PRICES = (Decimal("5.50"),) * 4
BAR = Bar("okx", "spot", "BTC/USDT", 10**9, AT_NS, *PRICES, Decimal(1), Decimal(5), Decimal(0), 1, Decimal(5), "1", "1")
TICKER = Ticker(*HEAD, exchange_ns=AT_NS, last=Decimal("5.5"), bid_quantity=Decimal(0))
SIGNAL = Signal("spot", "BTC/USDT", 10**9, AT_NS, "buy", "confident", Decimal("5.5"), 0.75, "m", "bars/0/1")
SILENCE = Silence("spot", "BTC/USDT", AT_NS)
EDGE = Edge(AT_NS, "okx", 1, "1", Decimal("5.5"))
SUMS = Sums(EDGE, EDGE, Decimal("5.5"), Decimal("5.5"), Decimal(1), Decimal("5.5"), Decimal(0), 1)
WINDOW = Window(SUMS, {"trade": IdSet([1, 1])})
RECORDS = [
    (codec.decode_trades, BATCH),
    (codec.decode_trades, QUIET),
    (codec.decode_trades, GAP),
    (codec.decode_gap, GAP),
    (codec.decode_bar, BAR),
    (codec.decode_ticker, TICKER),
    (codec.decode_ticker, msgspec.structs.replace(TICKER, state="quiet")),
    (codec.decode_scored, SIGNAL),
    (codec.decode_signals, SIGNAL),
    (codec.decode_signals, SILENCE),
    (codec.decode_bars, SILENCE),
    (codec.decode_row, WINDOW),
    (codec.decode_row, Feed(1, AT_NS, AT_NS, AT_NS, {AT_NS: WINDOW})),
]
NO_NUMBERS = ("NaN", "sNaN", "Infinity", "-Infinity", "-1", "1e400", "1e-400", "1e999999999", "1e-999999999")
FAR_TIMES = (-1, 2**63, 2**64, 10**30)
NO_NAMES = ("", "a|b", "a\nb", "\x00", "x" * 65)


@pytest.mark.parametrize(("decode", "record"), RECORDS)
def test_what_was_written_is_read_back_to_the_last_digit(decode, record):
    assert decode(codec.encode(record)) == record
    assert codec.encode(decode(codec.encode(record))) == codec.encode(record)


def refused(decode, data):
    with pytest.raises(BadRecord) as caught:
        decode(data)
    assert len(str(caught.value)) < 1_000


def numbers_of(value, path=()):
    """Where the decimals of a record stand, as paths into its JSON."""
    found = []
    if isinstance(value, Decimal):
        return [path]
    if isinstance(value, msgspec.Struct):
        names = value.__struct_fields__
        shift = value.__struct_config__.array_like and value.__struct_config__.tag is not None
        keys = [place + shift for place in range(len(names))] if value.__struct_config__.array_like else names
        for key, name in zip(keys, names, strict=True):
            found += numbers_of(getattr(value, name), (*path, key))
    elif isinstance(value, dict):
        for key, one in value.items():
            found += numbers_of(one, (*path, str(key)))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            found += numbers_of(one, (*path, place))
    return found


def with_text_at(record, path, text):
    tree = json.loads(codec.encode(record), parse_float=str)
    inner = tree
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = text
    return msgspec.json.encode(tree)


@pytest.mark.parametrize(("decode", "record"), RECORDS)
@pytest.mark.parametrize("text", NO_NUMBERS)
def test_no_number_of_any_record_may_be_what_it_cannot_be(decode, record, text):
    places = numbers_of(record)
    for path in places:
        data = with_text_at(record, path, text)
        refused(decode, data)
        if not text.endswith(("NaN", "Infinity")):
            refused(decode, data.replace(f'"{text}"'.encode(), text.encode(), 1))  # as a bare number
    assert places or isinstance(record, Punctuation | Silence)


@pytest.mark.parametrize("value", ["0", "0.0", "1e20", "1e-21"])
def test_a_trade_has_a_price_and_a_quantity_above_zero_of_a_size_that_venues_send(value):
    for name in ("price", "quantity"):
        refused(codec.decode_trades, codec.encode(msgspec.structs.replace(
            BATCH, trades=[TRADE, msgspec.structs.replace(TRADE, **{name: Decimal(value)})])))  # fmt: skip


@pytest.mark.parametrize("at_ns", FAR_TIMES)
@pytest.mark.parametrize(
    ("decode", "record", "name"),
    [
        (codec.decode_trades, BATCH, "received_ns"),
        (codec.decode_trades, QUIET, "exchange_ns"),
        (codec.decode_trades, GAP, "from_ns"),
        (codec.decode_gap, GAP, "until_ns"),
        (codec.decode_bar, BAR, "start_ns"),
        (codec.decode_ticker, TICKER, "exchange_ns"),
        (codec.decode_bars, SILENCE, "until_ns"),
        (codec.decode_signals, SILENCE, "until_ns"),
    ],
)
def test_a_time_outside_of_1970_to_2262_is_refused(decode, record, name, at_ns):
    refused(decode, codec.encode(msgspec.structs.replace(record, **{name: at_ns})))


@pytest.mark.parametrize("at_ns", FAR_TIMES)
def test_a_trade_of_such_a_time_is_refused(at_ns):
    trades = [TRADE, msgspec.structs.replace(TRADE, exchange_ns=at_ns)]
    refused(codec.decode_trades, codec.encode(msgspec.structs.replace(BATCH, trades=trades)))


@pytest.mark.parametrize("name", NO_NAMES)
@pytest.mark.parametrize(("decode", "record"), [one for one in RECORDS if hasattr(one[1], "symbol")])
def test_a_name_that_would_break_keys_or_streams_is_refused(decode, record, name):
    for part in {"venue", "symbol"} & {*record.__struct_fields__}:
        refused(decode, codec.encode(msgspec.structs.replace(record, **{part: name})))


@pytest.mark.parametrize(
    "change",
    [
        {"size_ns": 5},
        {"size_ns": 0},
        {"trade_count": 0},
        {"trade_count": -1},
        {"open": None},
        {"vwap": None},
        {"close": Decimal(0)},
        {"high": Decimal("1e20")},
    ],
)
def test_a_bar_is_of_a_known_size_and_has_prices_just_when_it_has_trades(change):
    refused(codec.decode_bar, codec.encode(msgspec.structs.replace(BAR, **change)))


def test_a_bar_without_trades_has_no_prices():
    quiet = dict.fromkeys(("open", "high", "low", "close", "vwap"))
    bar = msgspec.structs.replace(BAR, trade_count=0, volume=Decimal(0), quote_volume=Decimal(0), **quiet)
    assert codec.decode_bar(codec.encode(bar)) == bar


@pytest.mark.parametrize("decode", dict.fromkeys(decode for decode, _ in RECORDS))
@pytest.mark.parametrize("data", [None, b"", b"null", b"[" * 100_000, b"\xff", b'{"kind":"' + b"x" * 10**6 + b'"}'])
def test_what_is_no_record_is_refused_in_few_words(decode, data):
    refused(decode, data)

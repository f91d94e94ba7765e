"""Good input for each target, from which hostile input is made."""

import json
from decimal import Decimal
from pathlib import Path

import msgspec
from targets import NOW_NS, TARGETS

from sofia_streams import codec
from sofia_streams.capture import CapturedFrame
from sofia_streams.core.bars import candles
from sofia_streams.core.bars.windows import Rules
from sofia_streams.model import Alert, Gap, Outage, Progress, Punctuation, Ticker, Trade, TradeBatch
from sofia_streams.paper import Account, Command, Fill, Order, Position, Taken
from sofia_streams.scored import Signal, Silence
from sofia_streams.venues.registry import VENUES

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(venue: str) -> list[bytes]:
    lines = (GOLDEN / venue / "frames.jsonl").read_text().splitlines()
    return [json.loads(line)["frame"].encode() for line in lines if "bad" not in json.loads(line)]


def _records() -> dict[str, list[bytes]]:
    trades = [
        Trade(str(number), Decimal("61234.50"), Decimal("0.001"), "buy", NOW_NS + number, number) for number in (1, 2)
    ]
    head = ("okx", "spot", "BTC/USDT", NOW_NS)
    batch = TradeBatch(*head, "c", trades)
    quiet = Punctuation(*head, "c", NOW_NS + 3_000_000_000, last_id="2")
    gap = Gap(*head, "c", "g", "ids", "open", NOW_NS, NOW_NS + 1, first_id="3", last_id="9", missing=7,
              missing_volume=Decimal("1.5"))  # fmt: skip
    rows: dict = {}
    bars = []
    for offset, record in enumerate((batch, quiet, gap)):
        step = candles.apply(rows, record, offset=offset, rules=Rules())
        candles.store(rows, step.rows)
        bars += step.bars
    silence = Silence("spot", "BTC/USDT", NOW_NS)
    found = {
        "trades": [batch, quiet, gap],
        "bars": [*bars, silence],
        "signals": [Signal("spot", "BTC/USDT", 10**9, NOW_NS, "buy", "up", Decimal("5.5"), 0.75, "m"), silence],
        "tickers": [Ticker(*head, last=Decimal("5"), bid=Decimal("4"), bid_quantity=Decimal(0), state="dead")],
        "gaps": [gap],
        "outages": [Outage("o", "questdb", "open", 1, 2, {"t/0": 1}, {"t/0": 2})],
        "alerts": [Alert("a", "info", "s", "t", 1)],
        "health": [Progress("crypto_ws", 1, {"": {"frames": 1}}, True)],
        "rows": [*rows.values()],
        **_paper(),
    }
    return {name: [codec.encode(record) for record in records] for name, records in found.items()}


def _paper() -> dict[str, list[object]]:
    one = Decimal("1.5")
    order = Order("o", "okx", "spot", "BTC/USDT", "buy", "limit", "gtc", "entry", one, "new", 1, 2, limit_price=one)
    fill = Fill("o-1", "o", "okx", "spot", "BTC/USDT", "buy", *[one] * 4, "own", "taker", "filled", 3)
    held = Position("spot", "BTC/USDT", one, -one, None, 1)
    said = Account(1, 3, *[one] * 9, 0, "ACTIVE", "minute", positions=[held])
    taken, command = Taken(2, "applied", "control", 7, 3), Command("c", "halt", "news", "ada", 3)
    return {"orders": [order], "fills": [fill], "account": [said, taken], "control": [command]}


def _requests() -> list[bytes]:
    listings = ["BTCUSDT", "BTC-USDT"]
    texts = [text for venue in VENUES.values() for text in venue.requests(listings, "spot")]
    return [*(text.encode() for text in texts), b"ping", b'{"op":"ping"}', b'{"type":"subscribe","channel":"ticker"}']


QUERIES = [
    b"/binance/api/v3/exchangeInfo",
    b"/binance/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=1672515720000&endTime=1672515780000&limit=5",
    b"/binance/api/v3/aggTrades?symbol=BTCUSDT&fromId=1&limit=2",
    b"/binance/api/v3/historicalTrades?symbol=BTCUSDT&fromId=1&limit=2",
    b"/okx/api/v5/market/candles?instId=BTC-USDT&bar=1m&before=1&after=1672515780000&limit=5",
    b"/okx/api/v5/market/history-trades?instId=BTC-USDT&type=1&after=100&limit=3",
    b"/okx/api/v5/public/instruments?instType=SPOT",
    b"/coinbase/products/BTC-USDT/candles?start=2022-12-31T19:43:02Z&end=2022-12-31T19:53:02Z&granularity=60",
    b"/coinbase/products/BTC-USDT/trades?after=100&limit=10",
    b"/bybit/v5/market/kline?category=spot&symbol=BTCUSDT&interval=1&start=1&end=1672515780000&limit=10",
    b"/bybit/v5/market/recent-trade?category=spot&symbol=BTCUSDT&limit=10",
]
REST_ROWS = [
    b'{"id":28457,"price":"4.00000100","qty":"12.0","quoteQty":"48","time":1499865549590,"isBuyerMaker":true}',
    b'{"a":26129,"p":"0.01633102","q":"4.7","f":27781,"l":27781,"T":1498793709153,"m":true,"M":true}',
    b'{"instId":"BTC-USDT","side":"sell","sz":"0.00001","px":"29963.2","tradeId":"242720720","ts":"1654161646974"}',
    b'{"trade_id":74,"side":"sell","size":"0.01","price":"10.0","time":"2014-11-07T22:19:28.578544Z"}',
    b'{"execId":"2100","symbol":"BTCUSDT","price":"16618","size":"0.1","side":"Buy","time":"1672052955758","seq":"7"}',
]


def _captured() -> list[bytes]:
    frames = [(venue, one.decode()) for venue in VENUES for one in golden(venue)[:5]]
    return [msgspec.json.encode(CapturedFrame(NOW_NS, venue, "spot", "c", "in", one)) + b"\n" for venue, one in frames]


ENV = (Path(__file__).parents[2] / ".env.example").read_bytes()
SEEDS: dict[str, list[bytes]] = {
    **{f"frame {venue}": golden(venue) for venue in VENUES},
    **{f"intake {venue}": golden(venue) for venue in VENUES},
    **_records(),
    "capture": [*_captured(), b"".join(_captured())],
    "env file": [ENV, *(line.removeprefix(b"# ") for line in ENV.splitlines() if b"=" in line)],
    "client": _requests(),
    "query": QUERIES,
    "rest rows": REST_ROWS,
}
assert SEEDS.keys() == TARGETS.keys()

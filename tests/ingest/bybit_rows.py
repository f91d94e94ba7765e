"""Shared by the tests of intake: frames of Bybit, and an intake that takes them live."""

from sofia_streams.codec import encode
from sofia_streams.ingest.intake import Intake, Limits
from sofia_streams.ingest.line import Line
from sofia_streams.ingest.names import Names
from sofia_streams.model import Quarantined, TradeBatch

NOW_NS = 1_786_310_819_000_000_000
SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
LINE = Line("bybit", "spot", "bybit-0.1", "bybit-0")
BTC = "bybit|spot|BTC/USDT"


def row(number, price="100", *, symbol="BTCUSDT", at_ns=NOW_NS, size="1"):
    return {
        "T": at_ns // 1_000_000, "s": symbol, "S": "Buy", "v": size, "p": price, "i": str(number), "BT": False,
        "RPI": False, "seq": number,
    }  # fmt: skip


def frame(*rows):
    return encode({"topic": f"publicTrade.{rows[0]['s']}", "type": "snapshot", "ts": NOW_NS // 10**6, "data": [*rows]})


def took(intake, *rows, now_ns=NOW_NS, line=LINE):
    """The ids that were taken, and the reasons of what was set aside."""
    records, _ = intake.take(line, frame(*rows), now_ns)
    ids = [trade.trade_id for record in records if isinstance(record, TradeBatch) for trade in record.trades]
    return ids, [record.reason for record in records if isinstance(record, Quarantined)]


def live_intake(names=None):
    """One whose connection has begun, so that nothing is history any more."""
    intake = Intake(Limits(), names or Names())
    intake.requested(LINE, 1)
    return intake

"""Shared by the tests of odd messages: one trade as each venue sends it, as plain JSON that a test may change."""

import time

from sofia_streams.model import NS_PER_SECOND as S

BEGIN_NS = 1_786_310_820 * S


def message(venue, number, at_ns):
    """A trade as this venue sends it, and the part of it that is the trade."""
    at_ms = at_ns // 10**6
    if venue == "binance":
        row = {
            "e": "trade",
            "E": at_ms,
            "s": "BTCUSDT",
            "t": number,
            "p": "5",
            "q": "7",
            "T": at_ms,
            "m": True,
            "M": True,
        }
        return {"stream": "btcusdt@trade", "data": row}, row
    if venue == "okx":
        row = {"instId": "BTC-USDT", "tradeId": str(number), "px": "5", "sz": "7", "side": "buy", "ts": str(at_ms)}
        return {"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": [row]}, row
    if venue == "bybit":
        row = {"T": at_ms, "s": "BTCUSDT", "S": "Buy", "v": "7", "p": "5", "i": str(number), "BT": False, "RPI": False,
               "seq": number}  # fmt: skip
        return {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": at_ms, "data": [row]}, row
    text = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(at_ns // S))
    row = {"type": "match", "trade_id": number, "maker_order_id": "a", "taker_order_id": "b", "side": "sell",
           "size": "7", "price": "5", "product_id": "BTC-USD", "sequence": number, "time": text}  # fmt: skip
    return row, row

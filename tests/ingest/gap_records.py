"""Shared by the tests of gaps: numbered trades, and a watch that starts again on a log."""

from decimal import Decimal

from sofia_streams.model import Gap, Trade, TradeBatch

S = 1_000_000_000
BTC = "binance|spot|BTC/USDT"


def trade(number, at_ns, *, count=1, backfilled=False):
    return Trade(str(number), Decimal(1), Decimal(1), "buy", at_ns, number, count=count, backfilled=backfilled)


def batch(*trades, venue="binance"):
    return TradeBatch(venue, "spot", "BTC/USDT", trades[-1].exchange_ns if trades else 0, "1", list(trades))


def remembering(watch, log):
    """As a worker does: every record of `gaps` first, then the end of `trades`."""
    for record in log:
        if isinstance(record, Gap):
            watch.remember(record)
    for record in log:
        if isinstance(record, TradeBatch):
            watch.saw(record, record.trades, record.received_ns)
        else:
            watch.remember(record)
    return watch

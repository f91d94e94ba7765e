"""cryptofeed's own exchange classes on captured frames, driven line by line over stdin and stdout (JSON).

    {"load": [{"group": "binance|spot", "frames": [...], "symbols": {venue name: ours}}]}  → {"ready": version}
    {"round": group}   → {"trades": n, "seconds": s}
    {"trades": group}  → {"trades": [[symbol, price, quantity, side, milliseconds, id], ...]}
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from importlib.metadata import version
from typing import Any

from cryptofeed.defines import TRADES
from cryptofeed.exchanges import OKX, Binance, BinanceDelivery, BinanceFutures, Bybit, Coinbase
from cryptofeed.symbols import Symbols

CLASSES = {
    "binance|spot": Binance,
    "binance|linear": BinanceFutures,
    "binance|inverse": BinanceDelivery,
    "okx|spot": OKX,
    "okx|linear": OKX,
    "okx|inverse": OKX,
    "coinbase|spot": Coinbase,
    "bybit|spot": Bybit,
    "bybit|linear": Bybit,
    "bybit|inverse": Bybit,
}


class _Connection:
    """What Bybit's handler asks of a connection: the address names the market."""

    def __init__(self, market: str) -> None:
        self.address = f"wss://stream.bybit.com/v5/public/{market}"
        self.uuid = market


class Group:
    """The frames of one venue and market, and the feed that takes them."""

    def __init__(self, group: str, frames: list[str], symbols: dict[str, str]) -> None:
        kind, market = CLASSES[group], group.partition("|")[2]
        Symbols.set(kind.id, {ours: theirs for theirs, ours in symbols.items()}, {"instrument_type": {}})
        self.taken: list[Any] = []
        self.frames, self.connection = frames, _Connection(market)
        self.feed = kind(symbols=list(symbols.values()), channels=[TRADES], callbacks={TRADES: self._take})

    async def _take(self, trade: Any, receipt_s: float) -> None:
        self.taken.append(trade)

    async def run(self) -> float:
        """All frames once; seconds."""
        self.taken.clear()
        handler, connection = self.feed.message_handler, self.connection
        began_s = time.perf_counter()
        for frame in self.frames:
            await handler(frame, connection, 0.0)
        return time.perf_counter() - began_s


async def main() -> None:
    """Until stdin ends."""
    logging.getLogger("feedhandler").setLevel(logging.CRITICAL)
    groups: dict[str, Group] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if "load" in asked:
            groups = {one["group"]: Group(one["group"], one["frames"], one["symbols"]) for one in asked["load"]}
            answer: dict[str, Any] = {"ready": version("cryptofeed")}
        elif "round" in asked:
            group = groups[asked["round"]]
            answer = {"seconds": await group.run(), "trades": len(group.taken)}
        else:
            group = groups[asked["trades"]]
            await group.run()
            answer = {
                "trades": [
                    [one.symbol, str(one.price), str(one.amount), one.side, one.timestamp, str(one.id)]
                    for one in group.taken
                ]
            }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())

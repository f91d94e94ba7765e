"""Redis Streams: one stream a topic and symbol, one entry a trade, ids that make a second write harmless.

An id is `<offset>-<index>` of the log record, so a re-read writes the ids that are there and Redis refuses them.
What it does not do: decide which trades repeat (`core.tape`), retry.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError, TimeoutError

from sofia_streams.errors import DependencyDown
from sofia_streams.model import Bar, Ticker, Trade, TradeBatch

_PIPELINE = 1_000
_REPEATED = "equal or smaller"


class Entry(NamedTuple):
    """One stream entry. `fields` are texts; numbers are plain decimals, times ns."""

    stream: str
    entry_id: str
    fields: dict[str, str]


def trade_entries(batch: TradeBatch, trades: Sequence[tuple[int, Trade]], offset: int, prefix: str) -> list[Entry]:
    """One entry a trade; `trades` come with their index in the record, from 0."""
    stream = f"{prefix}trades:{batch.symbol}"
    same = {"venue": batch.venue, "market": batch.market, "symbol": batch.symbol, "received_ns": str(batch.received_ns)}
    return [
        Entry(stream, f"{offset}-{index + 1}", {**same, **_texts(msgspec.structs.asdict(trade))})
        for index, trade in trades
    ]


def bar_entry(bar: Bar, offset: int, prefix: str) -> Entry:
    """One revision of a bar."""
    return Entry(f"{prefix}bars:{bar.symbol}", f"{offset}-1", _texts(msgspec.structs.asdict(bar)))


def ticker_entry(ticker: Ticker, offset: int, prefix: str) -> Entry:
    """One ticker; what the venue did not say is left out."""
    return Entry(f"{prefix}tickers:{ticker.symbol}", f"{offset}-1", _texts(msgspec.structs.asdict(ticker)))


def _texts(values: dict[str, object]) -> dict[str, str]:
    return {name: _text(value) for name, value in values.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value).lower() if isinstance(value, bool) else str(value)


class RedisStreams:
    """Publishes entries. `maxlen` bounds each stream, about."""

    def __init__(self, url: str, maxlen: int) -> None:
        self._client: Redis = Redis.from_url(url, decode_responses=True, socket_timeout=10, socket_connect_timeout=5)
        self._maxlen = maxlen

    async def publish(self, entries: Sequence[Entry]) -> int:
        """Add all; how many were new. An id that is there already is not an error. Raises DependencyDown."""
        new = 0
        for start in range(0, len(entries), _PIPELINE):
            pipeline = self._client.pipeline(transaction=False)
            for entry in entries[start : start + _PIPELINE]:
                pipeline.xadd(entry.stream, entry.fields, id=entry.entry_id, maxlen=self._maxlen, approximate=True)  # type: ignore[arg-type]
            for answer in await self._execute(pipeline):
                if isinstance(answer, ResponseError) and _REPEATED in str(answer):
                    continue
                if isinstance(answer, Exception):
                    raise answer
                new += 1
        return new

    async def _execute(self, pipeline: object) -> list[object]:
        try:
            answers: list[object] = await pipeline.execute(raise_on_error=False)  # type: ignore[attr-defined]
        except (RedisConnectionError, TimeoutError, OSError) as error:
            raise DependencyDown(f"redis: expected an answer, found {error}. Is it up?") from error
        return answers

    async def last_offset(self, stream: str) -> int | None:
        """The log offset of the newest entry; None for an empty stream. Raises DependencyDown."""
        try:
            newest = await self._client.xrevrange(stream, count=1)
        except (RedisConnectionError, TimeoutError, OSError) as error:
            raise DependencyDown(f"redis: expected an answer, found {error}. Is it up?") from error
        return int(str(newest[0][0]).partition("-")[0]) if newest else None

    async def counts(self, prefix: str) -> dict[str, int]:
        """Entries by stream, the prefix left out."""
        names = sorted([name async for name in self._client.scan_iter(match=f"{prefix}*", _type="stream")])
        return {name.removeprefix(prefix): int(await self._client.xlen(name)) for name in names}

    async def delete(self, prefix: str) -> None:
        """Delete the streams of a prefix. Raises ValueError for none: the live streams are never deleted."""
        if not prefix:
            raise ValueError("expected a prefix, found the live streams, which are never deleted")
        for name in [name async for name in self._client.scan_iter(match=f"{prefix}*", _type="stream")]:
            await self._client.delete(name)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

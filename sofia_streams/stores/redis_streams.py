"""Redis Streams: one stream a topic and symbol, one entry a trade, ids that make a second write harmless.

An id is `<number>-<index>`: the number is the offset of the log record (plus a base, `bridging`), the index counts
trades in the record from 1. A re-read writes the ids that are there and Redis refuses them.

Packing commands is what publishing costs, so entries are packed here, as the wire has them, with what is the same in a
record packed once; the client library connects, sends and reads. What it does not do: decide which trades repeat
(`core.tape`) or what a refused id means (`bridging`), retry.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError, TimeoutError

from sofia_streams.errors import DependencyDown
from sofia_streams.model import Bar, Gap, Ticker, Trade, TradeBatch

_PIPELINE = 1_000
"""Commands sent before answers are read."""
_PAGE = 2_000
"""Entries read at once."""
_CONNECT_S, _ANSWER_S = 5, 10
_REPEATED = "equal or smaller"
_DOWN = (RedisConnectionError, TimeoutError, OSError)
_TRADE_FIELDS = 13


class Entry(NamedTuple):
    """One stream entry: where it goes, the log record it is of, which of its trades (from 1), and its packed fields.

    Field values are texts; numbers are plain decimals, times ns.
    """

    stream: str
    offset: int
    nth: int
    pairs: int
    fields: str


def _packed(text: str) -> str:
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return f"${size}\r\n{text}\r\n"


def _packed_pairs(pairs: Mapping[str, str]) -> str:
    return "".join(_packed(name) + _packed(value) for name, value in pairs.items())


_ENDS = {
    (side, kind, snapshot, stale): _packed_pairs(
        {"taker_side": side, "id_kind": kind, "snapshot": str(snapshot).lower(), "stale": str(stale).lower()}
    )
    for side in ("buy", "sell")
    for kind in ("trade", "agg")
    for snapshot in (False, True)
    for stale in (False, True)
}
"""The fields that have few values."""


def trade_entries(batch: TradeBatch, trades: Iterable[tuple[int, Trade]], offset: int, prefix: str) -> list[Entry]:
    """One entry a trade; `trades` come with their index in the record, from 0."""
    stream = f"{prefix}trades:{batch.symbol}"
    same = _packed_pairs(
        {"venue": batch.venue, "market": batch.market, "symbol": batch.symbol, "received_ns": str(batch.received_ns)}
    )
    return [Entry(stream, offset, index + 1, _TRADE_FIELDS, same + _trade_fields(trade)) for index, trade in trades]


def _trade_fields(trade: Trade) -> str:
    price, quantity = _plain(trade.price), _plain(trade.quantity)
    exchange_ns, order = str(trade.exchange_ns), str(trade.order)
    return (
        f"$8\r\ntrade_id\r\n{_packed(trade.trade_id)}"
        f"$5\r\nprice\r\n${len(price)}\r\n{price}\r\n$8\r\nquantity\r\n${len(quantity)}\r\n{quantity}\r\n"
        f"$11\r\nexchange_ns\r\n${len(exchange_ns)}\r\n{exchange_ns}\r\n$5\r\norder\r\n${len(order)}\r\n{order}\r\n"
        f"{_ENDS[trade.taker_side, trade.id_kind, trade.snapshot, trade.stale]}"
    )


def bar_entry(bar: Bar, offset: int, prefix: str) -> Entry:
    """One revision of a bar."""
    return _entry(f"{prefix}bars:{bar.symbol}", bar, offset)


def gap_entry(gap: Gap, offset: int, prefix: str) -> Entry:
    """A gap as it is known now; a later entry with its `gap_id` replaces it."""
    return _entry(f"{prefix}gaps:{gap.symbol}", gap, offset)


def ticker_entry(ticker: Ticker, offset: int, prefix: str) -> Entry:
    """One ticker; what the venue did not say is left out."""
    return _entry(f"{prefix}tickers:{ticker.symbol}", ticker, offset)


def _entry(stream: str, record: msgspec.Struct, offset: int) -> Entry:
    pairs = {name: _text(value) for name in record.__struct_fields__ if (value := getattr(record, name)) is not None}
    return Entry(stream, offset, 1, len(pairs), _packed_pairs(pairs))


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return _plain(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(value: Decimal) -> str:
    text = str(value)  # much quicker than format
    return format(value, "f") if "E" in text else text


class RedisStreams:
    """Publishes entries. `maxlen` bounds each stream, about."""

    def __init__(self, url: str, maxlen: int) -> None:
        # no timeout a read, for one costs more than the read itself: `_asked` has one for the whole
        self._client: Redis = Redis.from_url(
            url, decode_responses=True, socket_timeout=None, socket_connect_timeout=_CONNECT_S
        )
        self._bound = f"$6\r\nMAXLEN\r\n$1\r\n~\r\n{_packed(str(maxlen))}"
        self._heads: dict[str, str] = {}

    async def publish(
        self, entries: Sequence[tuple[Entry, int]], *, first: tuple[str, Mapping[str, str]] | None = None
    ) -> list[Entry]:
        """Add all, each at its offset plus the number beside it; those that Redis refused because of their id.

        `first` is a hash and fields to set in it before any entry. Raises DependencyDown: then some may be there.
        """
        commands = [self._packed_entry(entry, base) for entry, base in entries]
        if first is not None:
            key, fields = first
            words = ["HSET", key, *(word for pair in fields.items() for word in pair)]
            commands.insert(0, f"*{len(words)}\r\n{''.join(map(_packed, words))}")
        answers = await self._asked(self._send(commands))
        refused = []
        for (entry, _), answer in zip(entries, answers[len(answers) - len(entries) :], strict=True):
            if isinstance(answer, Exception):
                if _REPEATED not in str(answer):
                    raise DependencyDown(f"redis refused an entry of {entry.stream}: {answer}")
                refused.append(entry)
        return refused

    def _packed_entry(self, entry: Entry, base: int) -> str:
        stream, offset, nth, pairs, fields = entry
        head = self._heads.get(stream)
        if head is None:
            head = self._heads[stream] = f"$4\r\nXADD\r\n{_packed(stream)}{self._bound}"
        place = f"{offset + base}-{nth}"
        return f"*{6 + 2 * pairs}\r\n{head}${len(place)}\r\n{place}\r\n{fields}"

    async def _send(self, commands: Sequence[str]) -> list[Any]:
        """The answers, errors among them. The connection is closed where some were not read."""
        pool = self._client.connection_pool
        connection = await pool.get_connection()  # type: ignore[no-untyped-call]  # it is decorated by something untyped
        answers: list[Any] = []
        try:
            for start in range(0, len(commands), _PIPELINE):
                chunk = commands[start : start + _PIPELINE]
                await connection.send_packed_command("".join(chunk).encode("utf-8", "surrogatepass"))
                for _ in chunk:
                    try:
                        answers.append(await connection.read_response())
                    except ResponseError as error:
                        answers.append(error)
        except BaseException:
            await connection.disconnect()
            raise
        finally:
            await pool.release(connection)
        return answers

    async def lacking(self, entries: Sequence[tuple[Entry, int]]) -> list[Entry]:
        """Those whose id has other fields in Redis, or is not there. Raises DependencyDown."""
        commands = []
        for entry, base in entries:
            place = _packed(f"{entry.offset + base}-{entry.nth}")
            commands.append(f"*4\r\n{_packed('XRANGE')}{_packed(entry.stream)}{place}{place}")
        answers = await self._asked(self._send(commands))
        return [
            entry
            for (entry, _), found in zip(entries, answers, strict=True)
            if not found or isinstance(found, Exception) or "".join(map(_packed, found[0][1])) != entry.fields
        ]

    async def last_number(self, prefix: str) -> int:
        """The largest number of an id ever given in the streams of a prefix; -1 where there is none."""
        newest = -1
        for name in await self._names(prefix):
            found = await self._asked(self._client.xinfo_stream(name))
            newest = max(newest, int(str(found["last-generated-id"]).partition("-")[0]))
        return newest

    async def read_hash(self, key: str) -> dict[str, str]:
        """A hash; {} where there is none. Raises DependencyDown."""
        found: dict[str, str] = await self._asked(self._client.hgetall(key))
        return found

    async def counts(self, prefix: str) -> dict[str, int]:
        """Entries by stream, the prefix left out. Raises DependencyDown."""
        names = await self._names(prefix)
        return {name.removeprefix(prefix): int(await self._asked(self._client.xlen(name))) for name in names}

    async def read(self, stream: str) -> AsyncIterator[tuple[str, dict[str, str]]]:
        """(id, fields) of every entry, oldest first, in pages; not those added meanwhile. Raises DependencyDown."""
        newest = await self._asked(self._client.xrevrange(stream, count=1))
        after = "-"
        while newest:
            page = await self._asked(self._client.xrange(stream, after, newest[0][0], count=_PAGE))
            for entry in page:
                yield entry
            if len(page) < _PAGE:
                return
            after = f"({page[-1][0]}"

    async def delete(self, prefix: str) -> None:
        """Delete all of a prefix. Raises DependencyDown, and ValueError for no prefix: never the live streams."""
        if not prefix:
            raise ValueError("expected a prefix, found the live streams, which are never deleted")
        for name in await self._names(prefix, of_type=None):
            await self._asked(self._client.delete(name))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _names(self, prefix: str, of_type: str | None = "stream") -> list[str]:
        async def names() -> list[str]:
            return [name async for name in self._client.scan_iter(match=f"{_escaped(prefix)}*", _type=of_type)]

        return sorted(await self._asked(names()))

    async def _asked(self, question: Any) -> Any:
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await question
        except _DOWN as error:
            raise DependencyDown(f"redis: expected an answer, found {error!r}. Is it up?") from error
        except RedisError as error:
            raise DependencyDown(f"redis refused: {error}") from error


def _escaped(prefix: str) -> str:
    """A prefix as a pattern that matches only itself."""
    return "".join(f"\\{sign}" if sign in "*?[]\\" else sign for sign in prefix)

"""Redis Streams: one stream a topic and symbol, one entry a trade, ids that make a second write harmless.

An id is `<number>-<index>`: the number is the offset of the log record (plus a base, `bridging`), the index counts
trades in the record from 1. A re-read writes the ids that are there and Redis refuses them. What goes to one stream is
one transaction: a server that refuses writes and then takes them (full memory, a failed save) would else take an entry
behind one that it refused, which could then never come.

Packing commands is what publishing costs, so they are packed here and in `redis_entries`, as the wire has them; the
client library connects, sends and reads. What it does not do: decide which trades repeat (`core.feeds.tape`) or what a
refused id means (`bridging`), retry.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError, TimeoutError

from sofia_streams.errors import DependencyDown
from sofia_streams.stores.redis_entries import Entry, packed

_PIPELINE = 1_000
"""Commands sent before answers are read."""
_PAGE = 2_000
"""Entries read at once."""
NOT_UTF8 = "surrogateescape"
"""How bytes that are no UTF-8, which nobody of ours wrote, come back: as lone surrogates."""
_CONNECT_S, _ANSWER_S = 5, 10
_REPEATED = "equal or smaller"
EVICTION_CURE = (
    "In Redis: CONFIG SET maxmemory-policy noeviction, and in its configuration file. A full Redis then refuses "
    "entries, which wait in the log."
)
_DOWN = (RedisConnectionError, TimeoutError, OSError)


_Group = Sequence[tuple[Entry, int]]
"""Entries of one stream in their order, each with what is added to its offset."""


def _packed_command(*words: str) -> str:
    return f"*{len(words)}\r\n{''.join(map(packed, words))}"


def _words(pairs: Mapping[str, str]) -> list[str]:
    return [word for pair in pairs.items() for word in pair]


_MULTI, _EXEC = _packed_command("MULTI"), _packed_command("EXEC")


def _chunks(entries: _Group) -> list[list[_Group]]:
    """By stream, in parts of what is sent at once; no chunk has two parts of a stream."""
    streams: dict[str, list[tuple[Entry, int]]] = defaultdict(list)
    for one in entries:
        streams[one[0].stream].append(one)
    chunks: list[list[_Group]] = []
    room = 0
    for group in streams.values():
        for start in range(0, len(group), _PIPELINE):
            part = group[start : start + _PIPELINE]
            if len(part) > room:
                chunks.append([])
                room = _PIPELINE
            chunks[-1].append(part)
            room -= len(part)
    return chunks


def _refused(group: _Group, answers: Iterator[Any]) -> list[Entry]:
    """Those whose id was there. Raises DependencyDown where another reason kept any of them out, and so all."""
    if len(group) == 1:
        found = [next(answers)]
    else:
        *queued, done = [next(answers) for _ in range(len(group) + 2)]
        reasons = [answer for answer in (*queued, done) if isinstance(answer, Exception)]
        if reasons:
            raise DependencyDown(f"redis refused entries of {group[0][0].stream}: {reasons[0]}")
        found = done
    refused = []
    for (entry, _), answer in zip(group, found, strict=True):
        if isinstance(answer, Exception):
            if _REPEATED not in str(answer):
                raise DependencyDown(f"redis refused an entry of {entry.stream}: {answer}")
            refused.append(entry)
    return refused


class RedisStreams:
    """Publishes entries. `maxlen` bounds each stream, about."""

    def __init__(self, url: str, maxlen: int) -> None:
        # no timeout a read, for one costs more than the read itself: `_asked` has one for the whole
        self._client: Redis = Redis.from_url(
            url, decode_responses=True, encoding_errors=NOT_UTF8, socket_timeout=None, socket_connect_timeout=_CONNECT_S
        )
        self._bound = f"$6\r\nMAXLEN\r\n$1\r\n~\r\n{packed(str(maxlen))}"
        self._heads: dict[str, str] = {}

    async def publish(
        self, entries: Sequence[tuple[Entry, int]], *, first: tuple[str, Mapping[str, str]] | None = None
    ) -> list[Entry]:
        """Add all, each at its offset plus the number beside it; those that Redis refused because of their id.

        `first` is a hash and fields to set in it before any entry. Raises DependencyDown: then some may be there.
        """
        hashes = [] if first is None else [_packed_command("HSET", first[0], *_words(first[1]))]
        refused = []
        for chunk in _chunks(entries) or [[]]:
            commands = [*hashes, *(command for group in chunk for command in self._packed_group(group))]
            answers = iter(await self._asked(self._send(commands)))
            for answer in [next(answers) for _ in hashes]:
                if isinstance(answer, Exception):
                    raise DependencyDown(f"redis refused a position: {answer}")
            refused += [entry for group in chunk for entry in _refused(group, answers)]
            hashes = []
        return refused

    def _packed_group(self, group: _Group) -> list[str]:
        commands = [self._packed_entry(entry, base) for entry, base in group]
        return commands if len(commands) == 1 else [_MULTI, *commands, _EXEC]

    def _packed_entry(self, entry: Entry, base: int) -> str:
        stream, offset, nth, pairs, fields = entry
        head = self._heads.get(stream)
        if head is None:
            head = self._heads[stream] = f"$4\r\nXADD\r\n{packed(stream)}{self._bound}"
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
            place = f"{entry.offset + base}-{entry.nth}"
            commands.append(_packed_command("XRANGE", entry.stream, place, place))
        answers = await self._asked(self._send(commands))
        return [
            entry
            for (entry, _), found in zip(entries, answers, strict=True)
            if not found or isinstance(found, Exception) or "".join(map(packed, found[0][1])) != entry.fields
        ]

    async def eviction(self) -> str | None:
        """How Redis may drop entries to make room, "" where it may not; None where it does not say.

        Raises DependencyDown.
        """

        async def memory() -> dict[str, Any]:
            try:
                return dict(await self._client.info("memory"))
            except ResponseError:
                return {}  # a managed server may forbid it

        found = await self._asked(memory())
        most, policy = found.get("maxmemory"), found.get("maxmemory_policy")
        if most is None or policy is None:
            return None
        return f"{policy} with maxmemory {most}" if int(most) > 0 and policy != "noeviction" else ""

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

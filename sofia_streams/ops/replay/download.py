"""`sofia download`: a venue's own candles as Parquet, a file a UTC day, with the columns of `sofia export bars_1m`.

A file is there whole or not at all, and knows by its rows' hash whether it still is; so a second run fetches only what
is not. Today's file ends at the last closed window, and is fetched anew each time. What it does not do: fill windows
that a venue leaves out; put anything into the log or the stores.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from sofia_streams.core.bars.windows import SIZES_NS
from sofia_streams.files import make_folder, whole
from sofia_streams.ingest.rest.client import Rest
from sofia_streams.ingest.rest.instruments import Place
from sofia_streams.ingest.rest.klines import Size, check_serves, klines_over
from sofia_streams.model import NS_PER_DAY, NS_PER_HOUR, NS_PER_SECOND, Market
from sofia_streams.ops.replay.export import BARS
from sofia_streams.scored import Kline
from sofia_streams.settings import Settings

_CHUNK_NS = {"1s": NS_PER_HOUR, "1m": NS_PER_DAY}
"""So much is asked for between two steps of the progress: a few seconds' worth."""
_LEAVES_OUT = ("coinbase",)
"""Venues that have no candle of a window without a trade. Elsewhere one that is missing is asked for again."""
_STAMP = b"sofia"
Progress = Callable[[int, int], None]
"""Told how many windows are done, and of how many."""


class Order(NamedTuple):
    """What is wanted: the candles of `days` whole UTC days, and of today so far."""

    venue: str
    market: Market
    symbol: str
    size: Size
    days: int
    folder: Path


class Done(NamedTuple):
    """What a download did.

    files     written now; kept: those that were whole
    rows      candles in all of them
    missing   windows that the venue has no candle of, on days that have some
    empty     days of which it has none: they have no file
    """

    files: int
    kept: int
    rows: int
    missing: int
    empty: list[str]


class Stamp(msgspec.Struct, frozen=True):
    """What a file says of itself, in its Parquet metadata under `sofia`. `sha256` is that of its rows (`digest`)."""

    from_ns: int
    until_ns: int
    rows: int
    sha256: str
    is_synthetic: bool
    schema: int = 1


async def download(settings: Settings, order: Order, progress: Progress, now_ns: int | None = None) -> Done:
    """Fetch what is not there. What is whole stays, whatever is raised: the next run goes on from there.

    Raises ConfigError, UnknownSymbol, DependencyDown, BadFrame, NotWritten.
    """
    check_serves(order.venue, order.market, order.size)
    make_folder(order.folder)
    size_ns = SIZES_NS[order.size]
    until_ns = (time.time_ns() if now_ns is None else now_ns) // size_ns * size_ns
    today_ns = until_ns // NS_PER_DAY * NS_PER_DAY
    starts = range(today_ns - order.days * NS_PER_DAY, until_ns, NS_PER_DAY)
    ends = [(start_ns, min(start_ns + NS_PER_DAY, until_ns)) for start_ns in starts]
    stamps = {start_ns: stamp_of(path_of(order, start_ns)) for start_ns, _ in ends}
    whole_days = {start_ns for start_ns, stamp in stamps.items() if _is_whole(order, stamp, start_ns)}
    wanted = [(start_ns, end_ns) for start_ns, end_ns in ends if start_ns not in whole_days]
    kept = [stamp for start_ns, stamp in stamps.items() if stamp is not None and start_ns in whole_days]
    steps = _Steps(progress, sum(end_ns - start_ns for start_ns, end_ns in ends) // size_ns, size_ns)
    steps.done(len(kept) * NS_PER_DAY)
    found, empty = [*kept], []
    if wanted:
        async with Place.of(settings).rest(order.venue, order.market) as rest:
            for start_ns, end_ns in wanted:
                stamp = await _day(rest, settings, order, (start_ns, end_ns), steps)
                if stamp is None:
                    empty.append(f"{_date(start_ns)}")
                else:
                    found.append(stamp)
    missing = sum((stamp.until_ns - stamp.from_ns) // size_ns - stamp.rows for stamp in found)
    return Done(len(found) - len(kept), len(kept), sum(stamp.rows for stamp in found), missing, empty)


class _Steps:
    """Counts for the progress."""

    def __init__(self, progress: Progress, total: int, size_ns: int) -> None:
        self._progress, self._total, self._size_ns, self._ns = progress, total, size_ns, 0

    def done(self, span_ns: int) -> None:
        self._ns += span_ns
        self._progress(self._ns // self._size_ns, self._total)


async def _day(rest: Rest, settings: Settings, order: Order, span_ns: tuple[int, int], steps: _Steps) -> Stamp | None:
    """One file; None where the venue has no candle of it: what stood there before stays."""
    klines: list[Kline] = []
    for from_ns in range(*span_ns, _CHUNK_NS[order.size]):
        to_ns = min(span_ns[1], from_ns + _CHUNK_NS[order.size])
        klines += await klines_over(
            rest, order.symbol, order.size, from_ns, to_ns,
            listings=settings.listings(), place=Place.of(settings), now_ns=max(to_ns, time.time_ns()),
        )  # fmt: skip
        steps.done(to_ns - from_ns)
    if not klines:
        return None
    table = pa.Table.from_pylist([_row(order, kline) for kline in klines], schema=BARS)
    stamp = Stamp(*span_ns, len(klines), digest(table), settings.simulator_url is not None)
    path = path_of(order, span_ns[0])
    for left in path.parent.glob(f".{path.name}.*.partial"):
        left.unlink(missing_ok=True)  # of a run that was killed
    with whole(path) as partial:
        pq.write_table(table.replace_schema_metadata({_STAMP: msgspec.json.encode(stamp)}), partial)
    return stamp


def path_of(order: Order, start_ns: int) -> Path:
    """The file of a day."""
    pair = order.symbol.replace("/", "-").replace(":", "-")
    return order.folder / f"{order.venue}-{order.market}-{pair}-{order.size}-{_date(start_ns)}.parquet"


def stamp_of(path: Path) -> Stamp | None:
    """What a file says of itself; None where there is none, or its rows are not those that were written."""
    try:
        table = pq.read_table(path)
        stamp = msgspec.json.decode((table.schema.metadata or {}).get(_STAMP, b""), type=Stamp)
    except (OSError, pa.ArrowException, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return stamp if table.num_rows == stamp.rows and digest(table) == stamp.sha256 else None


def digest(table: pa.Table) -> str:
    """SHA-256 of all rows, by column."""
    found = hashlib.sha256()
    for name in table.column_names:
        found.update(msgspec.json.encode([name, table.column(name).to_pylist()]))
    return found.hexdigest()


def _is_whole(order: Order, stamp: Stamp | None, start_ns: int) -> bool:
    """Whether it has all of its day, which is over; where a venue leaves no window out, each of them."""
    if stamp is None or (stamp.from_ns, stamp.until_ns) != (start_ns, start_ns + NS_PER_DAY):
        return False
    return order.venue in _LEAVES_OUT or stamp.rows == NS_PER_DAY // SIZES_NS[order.size]


def _row(order: Order, kline: Kline) -> dict[str, Any]:
    numbers = {name: _plain(getattr(kline, name)) for name in _NUMBERS}
    return dict.fromkeys(BARS.names) | numbers | {
        "venue": order.venue, "market": order.market, "symbol": order.symbol, "start_ns": kline.start_ns,
        "trade_count": kline.trade_count, "first_trade_id": "", "last_trade_id": "", "revision": 0,
        "quality": "backfilled",
    }  # fmt: skip


_NUMBERS: Sequence[str] = ("open", "high", "low", "close", "volume", "quote_volume", "buy_volume")


def _plain(value: Any) -> str | None:
    return None if value is None else f"{value:f}"


def _date(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC):%Y-%m-%d}"

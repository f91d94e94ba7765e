"""Klines as comma-separated text, plain or gzip, as exchanges publish them: Binance's columns, or timestamp and prices.

Files of Binance spot do not name their columns. The symbol is what stands before the first "-" of the file's name. What
it does not do: check bars (`bars`).
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import NoReturn

from sofia_streams.core.scoring.labels import Prices
from sofia_streams.errors import ConfigError
from sofia_streams.training.sources.bars import Row, number, wrong

SUFFIXES = (".csv", ".csv.gz")
_NEEDED = ("open", "high", "low", "close", "volume")
_TIMES = ("open_time", "timestamp", "start_ns")
_BINANCE = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count", "taker_buy_volume",
    "taker_buy_quote_volume", "ignore",
)  # fmt: skip
"""What a file without names has."""
_DIGITS_MAX = 20
_UNITS = ((1e11, 10**9), (1e14, 10**6), (1e17, 10**3))
"""A moment of our times that is below the first is counted in that many ns: seconds, milliseconds, microseconds."""


def read_klines(path: Path) -> Iterator[Row]:
    """Bars of one file, as they stand. Raises ConfigError for a damaged one, and for other columns."""
    symbol = path.name.split(".")[0].split("-")[0]
    try:
        with gzip.open(path, "rt") if path.name.endswith(".gz") else path.open() as lines:
            rows = csv.reader(lines)
            first = next(rows, [])
            is_row = len(first) == len(_BINANCE) and first[0].isdecimal()
            names = [*_BINANCE] if is_row else first
            time = next((name for name in _TIMES if name in names), None)
            if time is None or not {*_NEEDED} <= {*names}:
                _refuse_columns(path, names)
            for row in chain([first] if is_row else [], filter(None, rows)):
                known = {**dict.fromkeys(names), **dict(zip(names, row, strict=False))}
                yield _row(known, time, symbol, f"{path.name} line {rows.line_num}")
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise ConfigError(
            f"bars: {path}: expected comma-separated klines, found {error}. Correct the file, or leave it out."
        ) from error


def _refuse_columns(path: Path, names: list[str]) -> NoReturn:
    raise ConfigError(
        f"bars: {path}: expected the columns {', '.join(_NEEDED)} and one of {', '.join(_TIMES)}, found "
        f"{', '.join(names)[:200] or 'none'}. Correct the file, or leave it out."
    )


def _row(row: dict[str, str | None], time: str, symbol: str, where: str) -> Row:
    prices = [number(row[name], where, name) for name in _NEEDED]
    known: Prices = (prices[0], prices[1], prices[2], prices[3])  # type: ignore[assignment]  # checked below
    if None in prices:
        raise wrong(where, "open, high, low, close and volume", "a cut line")
    count = number(row.get("count") or row.get("trade_count"), where, "count")
    return Row(
        where, symbol, _start_ns(row[time] or "", where), known, prices[4] or 0.0,
        number(row.get("quote_volume"), where, "quote_volume"),
        number(row.get("taker_buy_volume") or row.get("buy_volume"), where, "taker_buy_volume"),
        None if count is None or not count.is_integer() else int(count),
    )  # fmt: skip


def _start_ns(text: str, where: str) -> int:
    """Digits are seconds, ms, µs or ns by their size; else ISO 8601, UTC where it does not say."""
    if text.isdecimal() and len(text) <= _DIGITS_MAX:
        found = int(text)
        return found * next((unit for below, unit in _UNITS if found < below), 1)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise wrong(where, "a time in digits or ISO 8601", repr(text)[:40]) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 10**9

"""Where bars to train on come from: a file or a folder, QuestDB, or made up. Chooses; each has a module of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sofia_streams.core.bars.windows import SIZES_NS
from sofia_streams.errors import ConfigError
from sofia_streams.model import NS_PER_DAY
from sofia_streams.settings import Settings
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.training.sources.bars import Bars, by_time, windows
from sofia_streams.training.sources.generated import generate
from sofia_streams.training.sources.klines import SUFFIXES, read_klines
from sofia_streams.training.sources.parquet import is_synthetic, read_parquet
from sofia_streams.training.sources.stored import read_stored

GENERATED, STORED = "generated", "questdb"
_PARQUET = ".parquet"
_PRICE = 100.0


class Generation:
    """How bars are made up: bars a symbol, seed, and the moment they end, ns."""

    def __init__(self, bars: int, seed: int, until_ns: int) -> None:
        self.bars, self.seed, self.until_ns = bars, seed, until_ns


def read(data: str, settings: Settings, size: str, days: int | None, generation: Generation) -> Bars:
    """Bars of `size` ("1s", "1m"); the newest `days` where that is given.

    Raises ConfigError where there are none or they cannot be, DependencyDown where QuestDB does not answer.
    """
    size_ns = SIZES_NS[size]
    if data == GENERATED:
        return generate(
            dict.fromkeys(settings.crypto_symbols, _PRICE), size_ns=size_ns, bars=generation.bars,
            until_ns=generation.until_ns, seed=generation.seed,
        )  # fmt: skip
    if data == STORED:
        store = QuestDb(settings.questdb_address(), settings.table_prefix())
        seen = windows(read_stored(store, size, size_ns, days), size_ns, data="QuestDB")
        return Bars(seen, "bars in QuestDB", is_synthetic=settings.simulator_url is not None)
    paths = files(Path(data), size)
    tables = [path for path in paths if path.suffix == _PARQUET]
    rows = read_parquet(tables, size_ns)
    rows += [row for path in paths if path.suffix != _PARQUET for row in read_klines(path)]
    if days is not None and rows:
        begin_ns = max(row.start_ns for row in rows) - days * NS_PER_DAY
        rows = [row for row in rows if row.start_ns > begin_ns]
    names = ", ".join(path.name for path in paths[:4]) + (f" and {len(paths) - 4} more" if len(paths) > 4 else "")
    seen = windows(sorted(rows, key=by_time), size_ns, data=data)
    return Bars(seen, names, any(is_synthetic(path) for path in tables))


def files(place: Path, size: str) -> Sequence[Path]:
    """The files of bars that a path means: itself, or in a folder those that name the size, else all of them.

    Raises ConfigError.
    """
    if place.is_file() and _is_bars(place):
        return [place]
    found = sorted(path for path in place.iterdir() if _is_bars(path)) if place.is_dir() else []
    sized = [path for path in found if f"_{size}" in path.name or f"-{size}" in path.name]
    others = any(f"_{one}" in path.name for path in found for one in SIZES_NS)
    if found and (sized or not others):
        return sized or found
    raise ConfigError(
        f"bars: expected {place} to be a file or folder of bars of {size} ({_PARQUET}, {', '.join(SUFFIXES)}), "
        f"questdb or generated, found {'no file of that kind' if place.exists() else 'nothing there'}."
    )


def _is_bars(path: Path) -> bool:
    return path.is_file() and path.name.endswith((_PARQUET, *SUFFIXES)) and not path.name.startswith((".", "trades"))

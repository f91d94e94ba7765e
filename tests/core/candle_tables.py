"""Shared by the tests of candles: records, and tables that keep rows and published bars as a worker does."""

from decimal import Decimal

from sofia_streams import codec
from sofia_streams.core.bars.candles import Step, apply
from sofia_streams.core.bars.ohlcv import merge_all, sums_of, window_start_ns
from sofia_streams.core.bars.rebuild import Marks, MinuteTrades, Published, changed_bars, remarked_bars
from sofia_streams.core.bars.stretches import pieces
from sofia_streams.core.bars.windows import Row, Rules
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, NS_PER_SECOND, Bar, Gap, Punctuation, Trade, TradeBatch

Record = TradeBatch | Punctuation | Gap
S = NS_PER_SECOND
SYMBOL = "BTC/USDT"
RULES = Rules()
KEEP_ALL = Rules(kept_ns=10**18)


def trade(number: int, at_ns: int, *, price: str = "10", quantity: str = "1", snapshot: bool = False) -> Trade:
    return Trade(str(number), Decimal(price), Decimal(quantity), "buy", at_ns, number, snapshot=snapshot)


def batch(*trades: Trade, venue: str = "binance") -> TradeBatch:
    return TradeBatch(venue, "spot", SYMBOL, 0, "1", list(trades))


def punctuation(at_ns: int, venue: str = "binance", *, alive: bool = True) -> Punctuation:
    return Punctuation(venue, "spot", SYMBOL, 0, "1", at_ns, alive)


class Table:
    """Rows and published bars as a worker keeps them; rows go through the wire form, as on a changelog."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rows: dict[str, Row] = {}
        self.rules = rules
        self.published: list[Bar] = []
        self.offset = -1

    def feed(self, *records: Record, crash_after_rows: int | None = None) -> "Table":
        for record in records:
            self.offset += 1
            if crash_after_rows is not None:
                self._write(record, crash_after_rows)
            self._write(record, None)
        return self

    def _write(self, record: Record, rows_max: int | None) -> None:
        step = apply(self.rows, record, offset=self.offset, rules=self.rules)
        self.published += step.bars
        for key, row in list(step.rows.items())[:rows_max]:
            if row is None:
                del self.rows[key]  # a step deletes only what is there
            else:
                self.rows[key] = codec.decode_row(codec.encode(row))

    def last(self) -> dict[tuple[str, int, int], Bar]:
        """The last published revision of every window with trades, revision and quality left out."""
        return {
            (bar.venue, bar.size_ns, bar.start_ns): codec.decode_bar(codec.encode(bar.without_revision()))
            for bar in self.published
            if bar.trade_count
        }


def expected(records: list[Record]) -> dict[tuple[str, int, int], tuple[object, ...]]:
    """Every window by plain grouping of the distinct live trades."""
    distinct = {
        (record.venue, found.trade_id): found
        for record in reversed(records)
        if isinstance(record, TradeBatch)
        for found in reversed(record.trades)
        if not found.snapshot
    }
    groups: dict[tuple[str, int, int], dict[str, list[Trade]]] = {}
    for (venue, _), found in distinct.items():
        for size_ns in (NS_PER_SECOND, NS_PER_MINUTE):
            for name in (venue, CONSOLIDATED):
                window = groups.setdefault((name, size_ns, window_start_ns(found.exchange_ns, size_ns)), {})
                window.setdefault(venue, []).append(found)
    sums = {key: merge_all(sums_of(rows, venue) for venue, rows in window.items()) for key, window in groups.items()}
    return {
        key: (one.first.price, one.last.price, one.high, one.low, one.volume, one.quote_volume, one.trade_count)
        for key, one in sums.items()
        if one is not None
    }


def values(bars: dict[tuple[str, int, int], Bar]) -> dict[tuple[str, int, int], tuple[object, ...]]:
    return {
        key: (bar.open, bar.close, bar.high, bar.low, bar.volume, bar.quote_volume, bar.trade_count)
        for key, bar in bars.items()
    }


class RebuildingTable(Table):
    """A table that keeps next to nothing and rebuilds what a step names from all records so far, as the worker does."""

    def __init__(self, rules: Rules = RULES) -> None:
        super().__init__(rules)
        self.log: list[Record] = []

    def feed(self, *records: Record, crash_after_rows: int | None = None) -> "Table":
        for record in records:
            self.log.append(record)
            self.offset += 1
            step = apply(self.rows, record, offset=self.offset, rules=self.rules)
            self.published += step.bars
            self._rebuild(step)
            self.rows |= step.rows
            self.rows = {key: row for key, row in self.rows.items() if row is not None}
        return self

    def _rebuild(self, step: Step) -> None:
        if not (step.rebuild or step.remark):
            return
        trades, marks = MinuteTrades(step.rebuild, step.heard), Marks(step.heard)
        for record in self.log:
            trades.add(record)
            marks.add(record)
        published = Published(self.published)
        self.published += changed_bars(trades.windows(published.last), published)
        if step.remark is not None:
            for piece in pieces([step.remark], 3600 * S):
                wanted = Published(bar for bar in self.published if piece.holds(bar))
                self.published += remarked_bars(marks, wanted)

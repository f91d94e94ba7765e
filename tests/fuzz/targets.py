"""Everything that reads bytes of others, as functions that take any bytes: what they may do, and nothing else.

A target returns whether the bytes were taken; it raises whatever is not allowed. What was taken must also survive the
next step: what ingest makes of a frame is read back by the codec, what the codec reads is folded into candles.
"""

import contextlib
import gzip
import json
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from sofia_streams import codec
from sofia_streams.capture import read_capture
from sofia_streams.core.bars import candles, rebuild, view
from sofia_streams.core.bars.windows import Minute, Rules
from sofia_streams.errors import BadCapture, BadFrame, BadRecord, ConfigError
from sofia_streams.ingest.intake import Intake, Line
from sofia_streams.ingest.sockets.session import Session
from sofia_streams.model import (
    NS_PER_MINUTE,
    Bar,
    Control,
    Gap,
    ParsedTicker,
    ParsedTrade,
    Punctuation,
    Quarantined,
    Refused,
    Ticker,
    Trade,
    TradeBatch,
)
from sofia_streams.paper import Paper
from sofia_streams.settings import load_settings
from sofia_streams.simulator import channels
from sofia_streams.simulator.market import Market, Plan
from sofia_streams.simulator.rest import Rest
from sofia_streams.stores.paper_rows import PAPER_TABLES, paper_record, paper_row, paper_table
from sofia_streams.stores.redis_entries import entry_of
from sofia_streams.venues.registry import VENUES

NOW_NS = 1_672_515_782_200_000_000
LARGEST, NS_MAX = Decimal("1e20"), 2**63 - 1
LISTED = frozenset({"BTC-USDT", "BTCUSDT"})
TABLE = ["BTCUSDT", "BTC-USDT", "ETH-USD"]


def frame(venue: str) -> Callable[[bytes], bool]:
    """A venue's parser."""

    def take(data: bytes) -> bool:
        try:
            found = VENUES[venue].parse(data, received_ns=NOW_NS)
        except BadFrame as error:
            assert len(str(error)) < 2_000
            return False
        for record in found:
            check_parsed(record)
        return True

    return take


def check_parsed(record: object) -> None:
    if isinstance(record, ParsedTrade):
        trade = record.trade
        for value in (trade.price, trade.quantity):
            assert value.is_finite() and 0 < value < LARGEST and abs(value.adjusted()) <= 20
        assert 0 < trade.exchange_ns <= NS_MAX and 0 <= trade.order <= NS_MAX and trade.count >= 1
        assert trade.taker_side in ("buy", "sell") and 0 < len(trade.trade_id) <= 64
    elif isinstance(record, ParsedTicker):
        for value in record.fields.values():
            assert value is None or (value.is_finite() and 0 <= value < LARGEST and abs(value.adjusted()) <= 20)
        assert record.exchange_ns is None or 0 < record.exchange_ns <= NS_MAX
    else:
        assert isinstance(record, Control | Refused)


def intake(venue: str) -> Callable[[bytes], bool]:
    """Ingest, whose records must be such as the log's readers take."""

    def take(data: bytes) -> bool:
        desk, line, now_ns = Intake(), Line(venue, "spot", "c"), moment_of(venue, data)
        records, controls = desk.take(line, data, now_ns)
        records = [*records, *desk.tick(now_ns + 2_000_000_000), *desk.ended(now_ns + 3_000_000_000)]
        for record in records:
            written = codec.encode(record)
            if isinstance(record, TradeBatch | Punctuation | Gap):
                assert codec.decode_trades(written) == record
                fold(record)
            elif isinstance(record, Ticker):
                assert codec.decode_ticker(written) == record
            else:
                assert isinstance(record, Quarantined) and record.reason and len(record.data) < 300_000
        session = Session.__new__(Session)
        session._listings, session.rejected, session._asked, session._answered = TABLE, {}, 0, 0
        session._all_asked, session.live_s = False, None
        for control in controls:
            session.answered(control.detail)
        return not any(isinstance(record, Quarantined) for record in records)

    return take


def moment_of(venue: str, data: bytes) -> int:
    """When such a frame would come: just after its first trade."""
    with contextlib.suppress(BadFrame):
        for one in VENUES[venue].parse(data, received_ns=NOW_NS):
            if isinstance(one, ParsedTrade):
                return min(one.trade.exchange_ns + 50_000_000, NS_MAX - 10_000_000_000)
    return NOW_NS


def fold(record: TradeBatch | Punctuation | Gap) -> None:
    """Through the candle step and the rebuilding, onto a state that knows the instrument."""
    rows: dict = {}
    bars: list[Bar] = []
    known = Trade("1", Decimal(5), Decimal(1), "buy", NOW_NS, 1)
    batch = TradeBatch(record.venue, record.market, record.symbol, NOW_NS, "c", [known])
    for offset, one in enumerate((batch, record, batch)):
        step = candles.apply(rows, one, offset=offset, rules=Rules())
        candles.store(rows, step.rows)
        bars += step.bars
        for bar in step.bars:
            assert codec.decode_bar(codec.encode(bar)) == bar
    for row in rows.values():
        assert codec.decode_row(codec.encode(row)) == row
    codec.encode(view.instruments(rows))
    minute = Minute(record.venue, record.market, record.symbol, NOW_NS // NS_PER_MINUTE * NS_PER_MINUTE)
    trades = rebuild.MinuteTrades([minute])
    for one in (batch, record):
        trades.add(one)
    published = rebuild.Published(bars)
    for bar in rebuild.changed_bars(trades.windows(published.last), published):
        assert codec.decode_bar(codec.encode(bar)) == bar


def record_of(decode: Callable[[bytes], object]) -> Callable[[bytes], bool]:
    """A decoder of the log."""

    def take(data: bytes) -> bool:
        try:
            found = decode(data)
        except BadRecord as error:
            assert len(str(error)) < 2_000
            return False
        assert decode(codec.encode(found)) == found
        if isinstance(found, TradeBatch | Punctuation | Gap):
            fold(found)
        if isinstance(found, Bar):
            rebuild.place_of(found)
        if isinstance(found, Paper):
            entry_of(found, 1, "")
            table = paper_table(found)
            row = dict(zip(PAPER_TABLES[table].columns, paper_row(found), strict=True))
            assert paper_record(table, row) == found
        return True

    return take


def capture(data: bytes) -> bool:
    """A capture file: the bytes as they are, and as what was compressed."""
    taken = False
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate((data, gzip.compress(data, 1))):
            path = Path(folder) / f"{number}.jsonl.gz"
            path.write_bytes(content)
            with contextlib.suppress(BadCapture):
                taken |= all(0 <= one.received_ns <= NS_MAX and one.data() is not None for one in read_capture(path))
    return taken


def env_file(data: bytes) -> bool:
    """Settings in a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ".env"
        path.write_bytes(data)
        try:
            load_settings(path, {})
        except ConfigError:
            return False
    return True


def client(data: bytes) -> bool:
    """What a client of the simulator sends."""
    text, taken = data.decode("utf-8", "replace"), False
    for venue in VENUES:
        for market in ("spot", channels.ADVANCED) if venue == "coinbase" else ("spot",):
            answer = channels.answer(venue, market, text, LISTED)
            assert set(answer.symbols) <= LISTED
            assert all(isinstance(one, str) for one in answer.frames)
            for one in channels.asked(venue, text):
                assert isinstance(one.channel, str)
            channels.carried(venue, text)
            taken |= bool(answer.symbols)
    return taken


def _simulated_rest() -> Rest:
    market = Market(Plan(tuple(VENUES), ("BTC/USDT",), 5.0, 1), NOW_NS)
    rest = Rest(market.instruments.values())
    for number, event in enumerate(market.events()):
        if isinstance(event.said, ParsedTrade):
            rest.add(event.venue, event.said)
        if number > 200:
            return rest
    raise AssertionError("a market goes on for ever")


REST = _simulated_rest()


def query(data: bytes) -> bool:
    """The target of an HTTP request to the simulator."""
    reply = REST.answer(data.decode("latin-1"))
    assert reply is None or (200 <= reply.status < 600 and json.loads(reply.body) is not None)
    return reply is not None and reply.status == 200


def rest_rows(data: bytes) -> bool:
    """A row of a venue's REST, as its JSON came."""
    try:
        row = json.loads(data, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return False
    taken = False
    for venue in VENUES:
        if isinstance(row, dict):
            with contextlib.suppress(ValueError):
                check_parsed(ParsedTrade("X", VENUES[venue].read_trade(row)))
                taken = True
    return taken


TARGETS: dict[str, Callable[[bytes], bool]] = {
    **{f"frame {venue}": frame(venue) for venue in VENUES},
    **{f"intake {venue}": intake(venue) for venue in VENUES},
    "trades": record_of(codec.decode_trades),
    "bars": record_of(codec.decode_bars),
    "signals": record_of(codec.decode_signals),
    "tickers": record_of(codec.decode_ticker),
    "gaps": record_of(codec.decode_gap),
    "outages": record_of(codec.decode_outage),
    "alerts": record_of(codec.decode_alert),
    "health": record_of(codec.decode_progress),
    "rows": record_of(codec.decode_row),
    "orders": record_of(codec.decode_orders),
    "fills": record_of(codec.decode_fills),
    "account": record_of(codec.decode_account),
    "control": record_of(codec.decode_control),
    "capture": capture,
    "env file": env_file,
    "client": client,
    "query": query,
    "rest rows": rest_rows,
}

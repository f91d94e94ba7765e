"""A made-up worker for tests of parity: prices by chance, what the steps say of them, snapshots."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

from sofia_streams import codec, topics
from sofia_streams.core.oms.rules import Lot
from sofia_streams.core.oms.steps import PaperSteps, Snapshot
from sofia_streams.logread import DECODE
from sofia_streams.model import NS_PER_MS, NS_PER_SECOND, Ticker, Trade, TradeBatch
from sofia_streams.ops.paper.parity import Rerun
from sofia_streams.ops.paper.parity_compare import Said, is_behind
from sofia_streams.ops.paper.parity_log import Course, Kept
from sofia_streams.ops.paper.parity_rules import parts
from sofia_streams.paper import Command, Taken
from sofia_streams.paper_rules import paper_instruments, paper_rules
from sofia_streams.scored import Signal
from sofia_streams.settings import Settings, load_settings
from sofia_streams.topics import partition_name

BEGIN_NS = 1_760_000_040 * NS_PER_SECOND
SYMBOL = "BTC/USDT"


def settings_of(folder: Any, **others: str) -> Settings:
    """Two venues, one pair, exits by price close to the entry."""
    own = {
        "DATA_DIR": str(folder), "CRYPTO_EXCHANGES": "binance,okx", "CRYPTO_SYMBOLS": SYMBOL,
        "AI_MIN_SIGNAL_CONFIDENCE": "0.5", "PAPER_TAKE_PROFIT_BPS": "2", "PAPER_STOP_LOSS_BPS": "4",
        "PAPER_LOSSES_MAX": "0",
    }  # fmt: skip
    return load_settings(None, own | others)


class Message(NamedTuple):
    """A record of the log, as a consumer gives it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes


class Live:
    """The worker: what it read, said and decided."""

    def __init__(self, settings: Settings, lots: Mapping[tuple[str, str], Lot] = {}) -> None:
        self.settings = settings
        self.steps = PaperSteps(paper_rules(settings), paper_instruments(settings), lots)
        self.log: list[Message] = []
        self.said: list[Any] = []
        self.taken: list[Taken] = []
        self._next: dict[str, int] = {}
        self._draw, self._price = Random(5), Decimal(60_000)

    def put(self, topic: topics.Topic, record: Any, at_ns: int) -> None:
        """One record into the log, and what follows from it."""
        name = topics.wire_name(topic, self.settings.namespace)
        offset = self._next.get(name, 0)
        self._next[name] = offset + 1
        message = Message(name, 0, offset, at_ns // NS_PER_MS, codec.encode(record))
        self.log.append(message)
        self.steps.take(record, offset, f"{partition_name(message)}/{offset}")
        for one in self.steps.run():
            (self.taken if isinstance(one, Taken) else self.said).append(one)

    def restart(self, settings: Settings) -> Kept:
        """The worker ends and comes back by other settings; what it says first."""
        row = codec.opened(codec.seal(self.steps.row()))
        self.settings = settings
        self.steps = PaperSteps(paper_rules(settings), paper_instruments(settings), row=row)
        self.steps.expect(self.taken)
        first = self.snapshot()
        for message in self.log:
            record = DECODE[topics.TOPICS[topics.catalogue_name(message)]](message.value)
            self.steps.take(record, message.offset, f"{partition_name(message)}/{message.offset}")
            self.said += self.steps.run()
        return first

    def snapshot(self) -> Kept:
        """As it stands in the log; everything is read again from the first record on."""
        snapshot = self.steps.snapshot(self.steps.row(), dict.fromkeys(self._next, 0))
        found = codec.decode_account(codec.encode(snapshot))
        assert isinstance(found, Snapshot)
        return Kept(0, found)

    def seconds(self, first: int, last: int, venues: tuple[str, ...] = ("binance", "okx")) -> None:
        """Quotes, prints and a signal each second; `venues` are those that speak."""
        for second in range(first, last):
            for part in range(4):
                at_ns = BEGIN_NS + second * NS_PER_SECOND + part * 250 * NS_PER_MS
                self._price += Decimal(self._draw.randint(-900, 900)) / 100
                for place, venue in enumerate(venues):
                    self._market(venue, at_ns + place * NS_PER_MS)
            end_ns = BEGIN_NS + (second + 1) * NS_PER_SECOND
            self.put(topics.SIGNALS, self._signal(end_ns), end_ns)

    def _market(self, venue: str, at_ns: int) -> None:
        price, size = self._price, Decimal(self._draw.randint(1, 400)) / 1000
        quote = Ticker(venue, "spot", SYMBOL, at_ns, bid=price - 1, ask=price + 1, bid_quantity=size, ask_quantity=size)
        self.put(topics.TICKERS, quote, at_ns)
        side = "buy" if self._draw.random() < 0.5 else "sell"
        one = Trade(f"{venue}{at_ns}", price, size, side, at_ns, at_ns)
        self.put(topics.TRADES, TradeBatch(venue, "spot", SYMBOL, at_ns, "L0", [one]), at_ns)

    def _signal(self, end_ns: int) -> Signal:
        action = self._draw.choice(["buy", "buy", "sell", "hold"])
        start_ns = end_ns - NS_PER_SECOND
        return Signal("spot", SYMBOL, NS_PER_SECOND, start_ns, action, "", self._price, 0.9, "m1", f"bars/0/{start_ns}")

    def halt(self, second: int) -> None:
        """By command."""
        at_ns = BEGIN_NS + second * NS_PER_SECOND
        self.put(topics.CONTROL, Command("halt-1", "halt", "looked odd", "ann", at_ns), at_ns)

    def logged(self, begin: Kept) -> Said:
        """What stands in the log behind a snapshot."""
        found = Said()
        for one in self.said:
            if is_behind(begin.snapshot.row, one):
                found.add(one)
        return found


def again(
    live: Live, begin: Kept, later: Sequence[Kept] = (), *, settings: Settings | None = None,
    taken: list[Taken] | None = None, is_by_now: bool = False,
) -> Rerun:  # fmt: skip
    """All of the log computed again from a snapshot on."""
    decided = live.taken if taken is None else taken
    chosen, course = settings or live.settings, Course(begin, [*later], decided)
    run = Rerun(chosen, is_by_now=is_by_now)
    for part in [course] if is_by_now else parts(chosen, course):
        run.begin(part)
        for message in live.log:
            assert run.take(message)
    return run

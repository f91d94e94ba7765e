"""The holes in the trades of every instrument: found, said once, closed when the trades came. The clock is a parameter.

Where ids count a hole is missing ids (`core.feeds.gaps`); where they do not, whoever knows of an interruption opens
one. What it does not do: fetch what is missing (`backfill`), decide what a bar is worth (`core.bars.candles`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec
import structlog

from sofia_streams.core.bars.windows import instrument_key
from sofia_streams.core.feeds.gaps import GRACE_NS, Declared, IdLine, Missing, is_outdated, without
from sofia_streams.core.feeds.ids import IdSet
from sofia_streams.model import NS_PER_SECOND, Gap, IdKind, Punctuation, Trade, TradeBatch
from sofia_streams.venues.registry import VENUES

_log = structlog.get_logger("gap_watch")
_OWN_NS = 60 * NS_PER_SECOND
"""So long a late print may still close its gap here."""
_ODD_SAID_MAX = 20
Cause = Literal["outage", "stale"]


class OpenGap:
    """A hole as it is known, and what of it is still missing."""

    def __init__(self, gap: Gap) -> None:
        self.gap = gap
        self.left: list[Missing] = []
        if gap.first_id:
            first, last = int(gap.first_id), int(gap.last_id)
            self.left = [Missing(first, last, gap.from_ns, gap.known_until_ns)]
        self.filled = gap.filled

    def came(self, trades: Iterable[Trade]) -> None:
        """These came; `left` is what is still missing."""
        for trade in trades:
            first = trade.first_order
            if any(first <= one.last_id and trade.order >= one.first_id for one in self.left):
                ids = IdSet([first, trade.order])
                self.left = [rest for one in self.left for rest in without(one, ids)]
                self.filled += trade.backfilled


class GapWatch:
    """Every instrument's ids and open gaps. One object a process."""

    def __init__(self) -> None:
        self._lines: dict[str, dict[IdKind, IdLine]] = defaultdict(dict)
        self._suspects: dict[tuple[str, IdKind], None] = {}
        self.heads: dict[str, TradeBatch] = {}
        """The last batch of every instrument, without its trades: whose it is."""
        self._said: list[Gap] = []
        self._known: dict[tuple[str, IdKind], IdSet] = {}  # ids of which the log says already that they are missing
        self._remembered: dict[tuple[str, str], Gap] = {}  # the last record of each gap, by instrument and gap id
        self._missing_until: dict[str, int] = {}  # the highest id of any open gap
        self._declared: dict[tuple[str, IdKind], Declared] = defaultdict(Declared)
        self.odd: Counter[str] = Counter()
        """Prints of each instrument whose id does not go on from the others."""
        self.left_out: Counter[str] = Counter()
        """Prints of each instrument that `without_fetched` left out."""
        self.open: dict[str, dict[str, OpenGap]] = defaultdict(dict)
        """By instrument, then by gap id."""

    def remember(self, record: Gap | Punctuation) -> None:
        """A record from before a restart: a gap, or punctuation, which names the newest id of a quiet instrument."""
        name = instrument_key(record.venue, record.market, record.symbol)
        if isinstance(record, Punctuation):
            head = TradeBatch(record.venue, record.market, record.symbol, record.received_ns, record.line, [])
            self.heads.setdefault(name, head)
            if record.last_id.isdecimal() and record.venue in VENUES and VENUES[record.venue].ids_count:
                line = self._lines[name].setdefault(record.id_kind, IdLine())
                line.knows(int(record.last_id), record.last_ns or record.exchange_ns)
            return
        if record.first_id:
            known = self._known.get((name, record.id_kind), IdSet())
            self._known[name, record.id_kind] = known.union_range(int(record.first_id), int(record.last_id))
            self._declare(name, record)
        last = self._remembered.get((name, record.gap_id))
        if last is not None and is_outdated(record, last):
            return
        self._remembered[name, record.gap_id] = record
        if record.state == "open":
            self._keep(name, record)
        else:
            self.open[name].pop(record.gap_id, None)

    def begin(self, now_ns: int, subscribed: Iterable[str] = ()) -> None:
        """After everything was remembered: what the log lacks will not come late any more, new or said before.

        Instruments that are read and of which nothing was remembered are named in the log of the process.
        """
        self._find(now_ns + GRACE_NS, now_ns)
        self._known.clear()
        self._remembered.clear()
        unknown = [name for name in subscribed if name not in self.heads or not self._is_followed(name)]
        if self.heads and unknown:
            text = "not in the end of the log: what these may have lost before now is not known"
            _log.warning(text, instruments=unknown)

    def saw(self, head: TradeBatch, trades: Sequence[Trade], now_ns: int) -> None:
        """New prints of an instrument (`head` names it) in the order they came."""
        name = instrument_key(head.venue, head.market, head.symbol)
        self.heads[name] = head
        if not VENUES[head.venue].ids_count:
            return
        lines = self._lines[name]
        for trade in trades:
            line = lines.get(trade.id_kind)
            if line is None:
                line = lines[trade.id_kind] = IdLine()
            if line.saw(trade, trade.order, now_ns):
                self._note_odd(name, trade, line.highest)
            if line.is_suspicious:
                self._suspects[name, trade.id_kind] = None
        if self.open.get(name):
            self._close_filled(name, trades, now_ns)

    def moved(self, by_ns: int) -> None:
        """The receiver's clock was set."""
        for name, kind in self._suspects:
            self._lines[name][kind].moved(by_ns)

    def newest_id(self, name: str) -> tuple[IdKind, str, int]:
        """The kind, id and time of the newest trade known of an instrument; the id is empty where there is none."""
        newest: tuple[IdKind, str, int] = ("trade", "", -1)
        for kind, line in self._lines[name].items():
            if line.highest is not None and line.highest_ns > newest[2]:
                newest = kind, str(line.highest), line.highest_ns
        return newest if newest[1] else ("trade", "", 0)

    def without_fetched(self, name: str, trades: list[Trade]) -> list[Trade]:
        """Prints of a socket, without those that join ids of which the log has said that they are missing.

        A venue that joins fills over its socket (OKX) gives them one by one over REST. Once a gap is said, REST is the
        only source for its ids: the joined print would count beside them, under the id of the last.
        """
        late = []
        for trade in trades:
            if trade.count > 1 and (known := self._declared.get((name, trade.id_kind))) and known.overlaps(trade):
                late.append(trade.trade_id)
        if not late:
            return trades
        self.left_out[name] += len(late)
        _log.info("left out: joins ids of a gap, which are fetched one by one", instrument=name, ids=late)
        return [trade for trade in trades if trade.trade_id not in late]

    def forget(self, now_ns: int) -> None:
        """Leave gaps to whoever fills them once nothing of them can still come by itself; those that last stay."""
        for known in self.open.values():
            old = [gap_id for gap_id, one in known.items() if now_ns - one.gap.received_ns > _OWN_NS]
            for gap_id in old:
                if known[gap_id].gap.until_ns is not None:
                    del known[gap_id]

    @property
    def has_news(self) -> bool:
        """Whether `due` has anything to look at."""
        return bool(self._suspects or self._said)

    def due(self, now_ns: int) -> Iterator[Gap]:
        """What is to be said now: gaps that opened or closed, in order."""
        self._find(now_ns, now_ns)
        said, self._said = self._said, []
        yield from said

    def interrupted(self, head: TradeBatch, cause: Cause, from_ns: int, now_ns: int) -> Gap:
        """Open a hole of which no ids are known, or one from there again; the record is also in `due`."""
        name = instrument_key(head.venue, head.market, head.symbol)
        gap = _gap(head, f"{cause}:{from_ns}", cause, from_ns, None, now_ns)
        known = self.open[name].get(gap.gap_id)
        if known is None or known.gap.until_ns is not None:
            self._keep(name, gap)
            self._said.append(gap)
        return gap

    def ended(self, gap: Gap) -> None:
        """The end of a gap that lasted is known now: say so."""
        name = instrument_key(gap.venue, gap.market, gap.symbol)
        known = self.open[name].get(gap.gap_id)
        if known is not None and known.gap != gap:
            known.gap = gap
            self._said.append(gap)

    def close(self, name: str, gap_id: str, now_ns: int, *, detail: str = "") -> None:
        """Nothing more is missing: all came, or the venue itself has no more."""
        known = self.open[name].pop(gap_id, None)
        if known is not None:
            changes = {"state": "closed", "received_ns": now_ns, "filled": known.filled, "detail": detail}
            self._said.append(msgspec.structs.replace(known.gap, **changes))

    def _is_followed(self, name: str) -> bool:
        return bool(self.newest_id(name)[1]) or not VENUES[name.partition("|")[0]].ids_count

    def _find(self, until_ns: int, now_ns: int) -> None:
        """Open a gap for what is missing since GRACE_NS before `until_ns`."""
        for name, kind in list(self._suspects):
            line = self._lines[name][kind]
            for missing in line.due(until_ns):
                for left in without(missing, self._known.get((name, kind), IdSet())):
                    self._open_ids(name, kind, left, now_ns)
            if not line.is_suspicious:
                del self._suspects[name, kind]

    def _open_ids(self, name: str, kind: IdKind, missing: Missing, now_ns: int) -> None:
        first, last = str(missing.first_id), str(missing.last_id)
        gap_id = f"{kind}:{first}-{last}"
        gap = _gap(self.heads[name], gap_id, "ids", missing.from_ns, missing.until_ns, now_ns)
        gap = msgspec.structs.replace(gap, id_kind=kind, first_id=first, last_id=last, missing=missing.ids())
        self._keep(name, gap)
        self._declare(name, gap)
        self._said.append(gap)

    def _declare(self, name: str, gap: Gap) -> None:
        self._declared[name, gap.id_kind].add(int(gap.first_id), int(gap.last_id), gap.known_until_ns)

    def _note_odd(self, name: str, trade: Trade, highest: int | None) -> None:
        self.odd[name] += 1
        if self.odd[name] <= _ODD_SAID_MAX:
            text = "an id that does not go on from the others: followed once more like it come"
            _log.warning(text, instrument=name, id=trade.trade_id, highest=highest)

    def _keep(self, name: str, gap: Gap) -> None:
        self.open[name][gap.gap_id] = OpenGap(gap)
        if gap.first_id:
            self._missing_until[name] = max(self._missing_until.get(name, 0), int(gap.last_id))

    def _close_filled(self, name: str, trades: Sequence[Trade], now_ns: int) -> None:
        until = self._missing_until.get(name, -1)
        late = [trade for trade in trades if not trade.snapshot and trade.order - trade.count < until]
        if not late:
            return
        for gap_id, known in list(self.open[name].items()):
            if known.left:
                known.came(trade for trade in late if trade.id_kind == known.gap.id_kind)
                if not known.left:
                    self.close(name, gap_id, now_ns)


def _gap(
    head: TradeBatch,
    gap_id: str,
    cause: Cause | Literal["ids"],
    from_ns: int,
    until_ns: int | None,
    now_ns: int,
) -> Gap:
    return Gap(
        venue=head.venue,
        market=head.market,
        symbol=head.symbol,
        received_ns=now_ns,
        line=head.line,
        gap_id=gap_id,
        cause=cause,
        state="open",
        from_ns=min(from_ns, from_ns if until_ns is None else until_ns),
        until_ns=until_ns,
        opened_ns=now_ns,
    )

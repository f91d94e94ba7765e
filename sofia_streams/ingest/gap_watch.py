"""The holes in the trades of every instrument: found, said once, closed when the trades came. The clock is a parameter.

Where ids count a hole is missing ids (`core.gaps`); where they do not, whoever knows of an interruption opens one. What
it does not do: fetch what is missing (`backfill`), decide what a bar is worth (`core.candles`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from sofia_streams.core.gaps import IdLine, Missing, without
from sofia_streams.core.ids import IdSet
from sofia_streams.core.windows import instrument_key
from sofia_streams.model import NS_PER_SECOND, Gap, IdKind, Punctuation, Trade, TradeBatch
from sofia_streams.venues.registry import VENUES

_OWN_NS = 60 * NS_PER_SECOND
"""So long a late print may still close its gap here."""
Cause = Literal["outage", "stale", "klines"]


class OpenGap:
    """A hole as it is known, and what of it is still missing."""

    def __init__(self, gap: Gap) -> None:
        self.gap = gap
        self.left: list[Missing] = []
        if gap.first_id:
            first, last = int(gap.first_id), int(gap.last_id)
            self.left = [Missing(first, last, gap.from_ns, gap.until_ns or gap.from_ns)]
        self.filled = gap.filled

    def came(self, trades: Iterable[Trade]) -> bool:
        """These came; whether any of it was missing."""
        before = self.left
        for trade in trades:
            ids = IdSet([trade.order - trade.count + 1, trade.order])
            self.left = [rest for one in self.left for rest in without(one, ids)]
        return self.left != before


class GapWatch:
    """Every instrument's ids and open gaps. One object a process."""

    def __init__(self) -> None:
        self._lines: dict[str, dict[IdKind, IdLine]] = defaultdict(dict)
        self._suspects: set[tuple[str, IdKind]] = set()
        self.heads: dict[str, TradeBatch] = {}
        """The last batch of every instrument, without its trades: whose it is."""
        self._said: list[Gap] = []
        self._closed: set[tuple[str, str]] = set()
        self.open: dict[str, dict[str, OpenGap]] = defaultdict(dict)
        """By instrument, then by gap id."""

    def remember(self, record: Gap | Punctuation) -> None:
        """A record from before a restart: a gap, or punctuation, which names the newest id of a quiet instrument."""
        name = instrument_key(record.venue, record.market, record.symbol)
        if isinstance(record, Punctuation):
            kinds: list[IdKind] = list(self._lines[name]) or ["trade"]
            if record.last_id and VENUES[record.venue].ids_count:
                line = self._lines[name].setdefault(kinds[0], IdLine())
                line.knows(int(record.last_id), record.exchange_ns)
        elif record.state == "open":
            self.open[name][record.gap_id] = OpenGap(record)
        else:
            self.open[name].pop(record.gap_id, None)
            self._closed.add((name, record.gap_id))

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
            line.saw(trade, trade.order, now_ns)
            if line.is_suspicious:
                self._suspects.add((name, trade.id_kind))
        if self.open.get(name):
            self._close_filled(name, trades, now_ns)

    def newest_id(self, name: str) -> str:
        """The highest id known of an instrument; empty where there is none."""
        found = [line.highest for line in self._lines[name].values() if line.highest is not None]
        return str(found[0]) if len(found) == 1 else ""

    def forget(self, now_ns: int) -> None:
        """Leave gaps to whoever fills them once nothing of them can still come by itself; those that last stay."""
        for known in self.open.values():
            old = [gap_id for gap_id, one in known.items() if now_ns - one.gap.opened_ns > _OWN_NS]
            for gap_id in old:
                if known[gap_id].gap.until_ns is not None:
                    del known[gap_id]

    def due(self, now_ns: int) -> Iterator[Gap]:
        """What is to be said now: gaps that opened or closed, in order."""
        for name, kind in list(self._suspects):
            line = self._lines[name][kind]
            for missing in line.due(now_ns):
                self._open_ids(name, kind, missing, now_ns)
            if not line.is_suspicious:
                self._suspects.discard((name, kind))
        said, self._said = self._said, []
        yield from said

    def interrupted(self, head: TradeBatch, cause: Cause, from_ns: int, until_ns: int | None, now_ns: int) -> Gap:
        """Open a hole of which no ids are known; the record is also in `due`."""
        gap = _gap(head, f"{cause}:{from_ns}", cause, from_ns, until_ns, now_ns)
        self._open(instrument_key(head.venue, head.market, head.symbol), gap)
        return gap

    def change(self, gap: Gap) -> None:
        """A gap is known better now (its end, its missing volume, why it stays open): say so."""
        name = instrument_key(gap.venue, gap.market, gap.symbol)
        known = self.open[name].get(gap.gap_id)
        if known is not None and known.gap != gap:
            known.gap = gap
            self._said.append(gap)

    def close(self, name: str, gap_id: str, now_ns: int, *, filled: int = 0, detail: str = "") -> None:
        """Nothing more is missing: all came, or the venue itself has no more."""
        known = self.open[name].pop(gap_id, None)
        if known is not None:
            changes = {"state": "closed", "received_ns": now_ns, "filled": known.filled + filled, "detail": detail}
            self._said.append(msgspec.structs.replace(known.gap, **changes))

    def _open_ids(self, name: str, kind: IdKind, missing: Missing, now_ns: int) -> None:
        first, last = str(missing.first_id), str(missing.last_id)
        gap_id = f"{kind}:{first}-{last}"
        gap = _gap(self.heads[name], gap_id, "ids", missing.from_ns, missing.until_ns, now_ns)
        ids = {"id_kind": kind, "first_id": first, "last_id": last, "missing": missing.ids()}
        self._open(name, msgspec.structs.replace(gap, **ids))

    def _open(self, name: str, gap: Gap) -> None:
        if gap.gap_id in self.open[name] or (name, gap.gap_id) in self._closed:
            return  # found again in the end of the log, after a restart
        self.open[name][gap.gap_id] = OpenGap(gap)
        self._said.append(gap)

    def _close_filled(self, name: str, trades: Sequence[Trade], now_ns: int) -> None:
        for gap_id, known in list(self.open[name].items()):
            found = [trade for trade in trades if trade.id_kind == known.gap.id_kind and not trade.snapshot]
            if known.left and known.came(found):
                known.filled += sum(trade.backfilled for trade in found)
                if not known.left:
                    self.close(name, gap_id, now_ns)


def _gap(
    head: TradeBatch,
    gap_id: str,
    cause: Literal["ids", "outage", "stale", "klines"],
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

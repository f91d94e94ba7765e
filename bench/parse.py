"""Captured frame to exact trade, against cryptofeed's message handlers on the same frames, alternating.

Both give Decimal price and quantity, side and normalised symbol; our time is int ns, cryptofeed's a float of seconds.
The trades of both are compared one by one.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.environments import ROOT, Unavailable, python_of
from bench.figures import ratio, spread
from sofia_streams.capture import read_capture
from sofia_streams.errors import BadFrame, SofiaError
from sofia_streams.ingest.names import Names
from sofia_streams.model import Market, ParsedTrade, Trade
from sofia_streams.venues.registry import VENUES

FOLDERS = (ROOT / "tests" / "captures", ROOT.parent / "shared" / "captures")
"""Where captures are looked for; the second stands beside a checkout, or not."""
SECOND_FEED = "Coinbase's Exchange feed (`match`): read by ours only, since cryptofeed 2 reads the Advanced feed"
RENAMED = (
    "Binance `trade` frames are given to both as `aggTrade` (a, f and l are the trade's id): cryptofeed reads no "
    "`trade` event. They are written again for that, without `X` and `M`; other frames are as captured."
)
MAKER_SIDE = "coinbase: cryptofeed gives the side as sent, which is the maker's; ours is the taker's"


class Group(NamedTuple):
    """The trade frames of one venue and market."""

    venue: str
    market: Market
    frames: list[bytes]

    @property
    def name(self) -> str:
        """As both sides call it."""
        return f"{self.venue}|{self.market}"


def run(say: Callable[[str], None], *, rounds: int, frames_min: int) -> dict[str, Any]:
    """`frames_min`: captured frames are repeated until a round has so many of a venue. Raises SofiaError."""
    groups = [repeated(group, frames_min) for group in captured()]
    notes = [RENAMED, SECOND_FEED]
    try:
        python = python_of("cryptofeed", say)
    except Unavailable as error:
        say(f"skipped: {error}")
        return {"venues": _alone(groups, rounds), "skipped": {"cryptofeed": str(error)}, "notes": notes}
    with Peer(python) as peer:
        found = peer.ask({"load": [_loaded(group) for group in groups]})
        for group in groups:
            notes += check(group, peer.ask({"trades": group.name})["trades"])
        return {
            "cryptofeed": f"{found['ready']}, Decimal (its default)",
            "venues": {venue: _versus(venue, groups, peer, rounds, say) for venue in VENUES},
            "notes": list(dict.fromkeys(notes)),
        }


def captured(folders: Sequence[Path] = FOLDERS) -> list[Group]:
    """Trade frames of every capture found, each file once. Raises SofiaError where there is none."""
    found: dict[tuple[str, Market], list[bytes]] = defaultdict(list)
    paths = {path.name: path for folder in folders for path in sorted(folder.glob("*.jsonl.gz"))}
    for path in paths.values():
        for frame in read_capture(path):
            data = as_both_read(frame.frame.encode())
            if frame.direction == "in" and data is not None and _is_trade(frame.venue, data):
                found[frame.venue, frame.market].append(data)
    if not found:
        raise SofiaError(f"expected captures (*.jsonl.gz) in {folders[0]}, found none. Run it from a checkout.")
    return [Group(venue, market, frames) for (venue, market), frames in found.items()]


def as_both_read(frame: bytes) -> bytes | None:
    """The frame, as RENAMED says; None for one that cryptofeed does not read: see SECOND_FEED, and snapshots."""
    if b'"e":"trade"' in frame:
        message = json.loads(frame)
        data = message["data"]
        number = data.pop("t")
        head = {"e": "aggTrade", "E": data["E"], "s": data["s"], "a": number, "p": data["p"], "q": data["q"]}
        message["data"] = {**head, "f": number, "l": number, "T": data["T"], "m": data["m"]}
        return json.dumps(message, separators=(",", ":")).encode()
    if b'"channel":"market_trades"' in frame and b'"type":"snapshot"' in frame:
        return None
    return None if b'match"' in frame and b'"maker_order_id"' in frame else frame


def _is_trade(venue: str, frame: bytes) -> bool:
    try:
        return any(isinstance(one, ParsedTrade) for one in VENUES[venue].parse(frame, received_ns=0))
    except BadFrame:
        return False


def repeated(group: Group, frames_min: int) -> Group:
    """The frames as often as it takes to have `frames_min`."""
    return group._replace(frames=group.frames * -(-frames_min // len(group.frames)))


def ours(group: Group, names: Names) -> list[tuple[str, Trade]]:
    """What is measured: every frame parsed, every symbol made ours."""
    parse, unified, market = VENUES[group.venue].parse, names.unified, group.market
    return [
        (unified(group.venue, market, one.venue_symbol), one.trade)
        for frame in group.frames
        for one in parse(frame, received_ns=0)
        if isinstance(one, ParsedTrade)
    ]


def check(group: Group, theirs: list[list[Any]]) -> list[str]:
    """Raise SofiaError where the trades of both differ; notes on what is known to be read otherwise."""
    mine = ours(group, Names())
    if len(mine) != len(theirs):
        raise SofiaError(f"{group.name}: expected {len(mine)} trades, as in ours, found {len(theirs)} in cryptofeed")
    sides: Counter[bool] = Counter()
    key = sorted_key if group.venue == "coinbase" else (lambda row: 0)
    left = sorted(([symbol, *_fields(trade)] for symbol, trade in mine), key=key)
    right = sorted(([*row[:4], round(row[4] * 1e6), row[5]] for row in theirs), key=key)
    for one, other in zip(left, right, strict=True):
        sides[one[3] == other[3]] += 1
        if one[:3] + one[4:] != other[:3] + other[4:]:
            raise SofiaError(f"{group.name}: expected {one}, found {other} in cryptofeed")
    if not sides[False]:
        return []
    if group.venue == "coinbase" and not sides[True]:
        return [MAKER_SIDE]
    raise SofiaError(f"{group.name}: expected equal sides, found {sides[False]} of {sum(sides.values())} different")


def sorted_key(row: list[Any]) -> tuple[Any, ...]:
    """By symbol and id: ours puts Coinbase's newest-first lists into time order."""
    return row[0], int(row[5])


def _fields(trade: Trade) -> list[Any]:
    return [str(trade.price), str(trade.quantity), trade.taker_side, trade.exchange_ns // 1_000, trade.trade_id]


class Peer:
    """cryptofeed in its own process; a context manager."""

    def __init__(self, python: str) -> None:
        self._command = [python, "-m", "bench.peers.cryptofeed_parse"]

    def __enter__(self) -> Peer:
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Its answer. Raises SofiaError when it ended."""
        assert self._process.stdin and self._process.stdout and self._process.stderr
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise SofiaError(f"cryptofeed ended: {self._process.stderr.read()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _loaded(group: Group) -> dict[str, Any]:
    names = Names()
    venue_symbols = {
        one.venue_symbol
        for frame in dict.fromkeys(group.frames)
        for one in VENUES[group.venue].parse(frame, received_ns=0)
        if isinstance(one, ParsedTrade)
    }
    symbols = {name: names.unified(group.venue, group.market, name) for name in sorted(venue_symbols)}
    if group.name == "bybit|spot":
        raise SofiaError("bybit spot captures: cryptofeed needs names with a slash there; not supported here")
    return {"group": group.name, "frames": [frame.decode() for frame in group.frames], "symbols": symbols}


def _timed(group: Group) -> tuple[int, float]:
    names = Names()
    ours(group._replace(frames=group.frames[:100]), names)
    began_s = time.perf_counter()
    trades = len(ours(group, names))
    return trades, time.perf_counter() - began_s


def _versus(venue: str, groups: Sequence[Group], peer: Peer, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    chosen = [group for group in groups if group.venue == venue]
    rates: dict[str, list[float]] = {"sofia": [], "cryptofeed": []}
    for _ in range(rounds):
        mine = [_timed(group) for group in chosen]
        theirs = [peer.ask({"round": group.name}) for group in chosen]
        rates["sofia"].append(sum(count for count, _ in mine) / sum(seconds for _, seconds in mine))
        rates["cryptofeed"].append(sum(one["trades"] for one in theirs) / sum(one["seconds"] for one in theirs))
    result: dict[str, Any] = {name: spread(found) for name, found in rates.items()}
    result["ratio"] = ratio(result["sofia"]["median"], result["cryptofeed"]["median"])
    result["frames"] = sum(len(group.frames) for group in chosen)
    result["distinct_frames"] = sum(len(set(group.frames)) for group in chosen)
    result["markets"] = [group.market for group in chosen]
    say(f"{venue}: {result['sofia']['median']:,} against {result['cryptofeed']['median']:,} trades/s")
    return result


def _alone(groups: Sequence[Group], rounds: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for venue in VENUES:
        pairs = [[_timed(group) for group in groups if group.venue == venue] for _ in range(rounds)]
        found[venue] = {"sofia": spread([sum(n for n, _ in pair) / sum(s for _, s in pair) for pair in pairs])}
    return found

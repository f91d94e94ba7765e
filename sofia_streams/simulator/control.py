"""Faults on demand: what a GET of `/control?do=…` asks for, checked. For tests; served only where it was allowed.

do=drop&venue=V&listing=L&trades=N          lose the next N trades of a listing, for every client
do=stall&venue=V[&listing=L]&seconds=S      send nothing (of a listing) for so long, then everything; one at a time
do=disconnect&venue=V                       cut every client of a venue off
do=rest&venue=V&trouble=T&requests=N        T: 429, 418, 403, 500, html, cut, empty; or &seconds=S; [&retry_after=S]
do=skew&venue=V&seconds=S                   set its clock ahead (behind when negative)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, MutableMapping
from urllib.parse import parse_qs, urlsplit

from sofia_streams.simulator.outages import TROUBLES, Outages, Trouble
from sofia_streams.simulator.rest import Reply
from sofia_streams.simulator.rest.replies import json_reply

PATH = "/control"
SKEW_S_MAX = 86_400.0
_SECONDS_MAX, _COUNT_MAX = 3_600.0, 100_000
_PARAMETERS = {
    "drop": {"venue", "listing", "trades"},
    "stall": {"venue", "listing", "seconds"},
    "disconnect": {"venue"},
    "rest": {"venue", "trouble", "requests", "seconds", "retry_after"},
    "skew": {"venue", "seconds"},
}


class Control:
    """Turns requests into faults.

    listed      the names a venue has
    disconnect  cuts a venue's clients off, and says how many there were
    skew_ns     how far each venue's clock is ahead; changed here
    now_s       the clock that `outages` is asked by
    """

    def __init__(
        self,
        listed: Mapping[str, Collection[str]],
        outages: Outages,
        disconnect: Callable[[str], int],
        skew_ns: MutableMapping[str, int],
        now_s: Callable[[], float],
    ) -> None:
        self._listed, self._outages, self._disconnect = listed, outages, disconnect
        self._skew_ns, self._now_s = skew_ns, now_s

    def answer(self, target: str) -> Reply:
        """Do what is asked: 200 and what was done, or 400 and why not."""
        asked = {name: values[-1] for name, values in parse_qs(urlsplit(target).query).items()}
        try:
            return json_reply({"done": self._act(asked.pop("do", ""), asked)})
        except ValueError as error:
            return json_reply({"error": str(error)}, 400)

    def _act(self, do: str, asked: Mapping[str, str]) -> str:
        if do not in _PARAMETERS:
            raise ValueError(f"expected do of {', '.join(_PARAMETERS)}, found {do[:40]!r}")
        if strangers := asked.keys() - _PARAMETERS[do]:
            raise ValueError(f"do={do}: expected {', '.join(sorted(_PARAMETERS[do]))}, found {sorted(strangers)}")
        venue = asked.get("venue", "")
        if venue not in self._listed:
            raise ValueError(f"expected a venue of {', '.join(sorted(self._listed))}, found {venue[:40]!r}")
        return _ACTS[do](self, venue, asked)

    def _drop(self, venue: str, asked: Mapping[str, str]) -> str:
        listing, trades = self._name(venue, asked.get("listing", "")), _count(asked, "trades")
        self._outages.drop(venue, listing, trades)
        return f"the next {trades} trades of {listing} on {venue} are lost"

    def _stall(self, venue: str, asked: Mapping[str, str]) -> str:
        listing = self._name(venue, asked["listing"]) if "listing" in asked else ""
        seconds = _seconds(asked, _SECONDS_MAX)
        self._outages.stall(venue, listing, self._now_s() + seconds)
        return f"{listing or 'everything'} on {venue} is silent for {seconds} s"

    def _cut_off(self, venue: str, asked: Mapping[str, str]) -> str:
        return f"{self._disconnect(venue)} clients of {venue} are cut off"

    def _rest(self, venue: str, asked: Mapping[str, str]) -> str:
        kind = asked.get("trouble", "")
        if kind not in TROUBLES or ("requests" in asked) == ("seconds" in asked):
            raise ValueError(f"do=rest: expected trouble of {', '.join(TROUBLES)}, and requests or seconds")
        after_s = _count(asked, "retry_after") if "retry_after" in asked else None
        left = _count(asked, "requests") if "requests" in asked else None
        until_s = self._now_s() + _seconds(asked, _SECONDS_MAX) if left is None else 0.0
        self._outages.trouble(venue, Trouble(kind, left, until_s, after_s))
        return f"REST of {venue} answers {kind}"

    def _skew(self, venue: str, asked: Mapping[str, str]) -> str:
        seconds = _seconds(asked, SKEW_S_MAX, is_signed=True)
        self._skew_ns[venue] = round(seconds * 1e9)
        return f"the clock of {venue} is {seconds} s ahead"

    def _name(self, venue: str, listing: str) -> str:
        if listing not in self._listed[venue]:
            raise ValueError(f"expected a listing of {venue}, found {listing[:40]!r}")
        return listing


_ACTS: dict[str, Callable[[Control, str, Mapping[str, str]], str]] = {
    "drop": Control._drop,
    "stall": Control._stall,
    "disconnect": Control._cut_off,
    "rest": Control._rest,
    "skew": Control._skew,
}


def _count(asked: Mapping[str, str], name: str) -> int:
    text = asked.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= _COUNT_MAX):
        raise ValueError(f"expected {name} from 1 to {_COUNT_MAX}, found {text[:40]!r}")
    return int(text)


def _seconds(asked: Mapping[str, str], most: float, *, is_signed: bool = False) -> float:
    try:
        value = float(asked.get("seconds", ""))
    except ValueError:
        value = math.nan
    if not ((-most if is_signed else 0.001) <= value <= most):
        raise ValueError(f"expected seconds up to {most:.0f}, found {asked.get('seconds', '')[:40]!r}")
    return value

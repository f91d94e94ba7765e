"""The live terminal page of `sofia up`: venues, candles, workers. Only draws."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

from aiokafka.errors import KafkaError
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from sofia_streams.model import NS_PER_SECOND, Bar
from sofia_streams.ops.supervise import Supervisor
from sofia_streams.ops.up import DEMO
from sofia_streams.ops.watch import Instrument, Watcher
from sofia_streams.settings import Settings

_POLL_S = 0.5
_LINE_EVERY_S = 5.0


async def show_live(settings: Settings, supervisor: Supervisor, *, as_json: bool = False) -> None:
    """Draw until cancelled: a page on a terminal, else a line every few seconds."""
    console = Console()
    began_s = time.monotonic()
    while True:
        try:
            async with Watcher(settings) as watcher:
                if console.is_terminal and not as_json:
                    with Live(console=console, screen=False, auto_refresh=False) as live:
                        while True:
                            await watcher.poll(_POLL_S)
                            live.update(_page(settings, supervisor, watcher, began_s), refresh=True)
                await _lines(watcher, supervisor, began_s, as_json=as_json)
        except KafkaError as error:
            print(f"sofia: the broker does not answer ({error}); waiting", file=sys.stderr, flush=True)


async def _lines(watcher: Watcher, supervisor: Supervisor, began_s: float, *, as_json: bool) -> None:
    said_s, first = 0.0, False
    while True:
        await watcher.poll(_POLL_S)
        now_s = time.monotonic()
        if watcher.has_bar and not first:
            first = True
            print(f"sofia: first candle after {now_s - began_s:.1f} s", file=sys.stderr, flush=True)
        if now_s - said_s < _LINE_EVERY_S:
            continue
        said_s = now_s
        state = describe(watcher, supervisor)
        if as_json:
            print(json.dumps(state), flush=True)
            continue
        for bar in [row for row in state["instruments"] if row["close"]]:
            print(f"{bar['instrument']:34} {bar['time']} close {bar['close']:>12} {bar['trades_per_s']:8.1f} trades/s")
        sys.stdout.flush()


def describe(watcher: Watcher, supervisor: Supervisor) -> dict[str, Any]:
    """What the page shows, as data."""
    return {
        "connections": [line._asdict() for line in watcher.lines()],
        "instruments": [_instrument(found) for found in watcher.instruments()],
        "workers": [
            {"worker": kept.name, "pid": kept.child.pid, "restarts": kept.restarts, "web_port": kept.settings.web_port}
            for kept in supervisor.kept
        ],
    }


def _instrument(found: Instrument) -> dict[str, Any]:
    bar = found.second
    return {
        "instrument": found.name,
        "trades": found.trades,
        "trades_per_s": round(found.trades_per_s, 1),
        "time": _time(bar.start_ns) if bar else None,
        "close": format(bar.close, "f") if bar else None,
        "minute": _candle(found.minute),
    }


def _page(settings: Settings, supervisor: Supervisor, watcher: Watcher, began_s: float) -> RenderableType:
    venues = Table("connection", "state", "frames/s", "last frame", "reconnects", expand=True)
    for line in watcher.lines():
        state = "[green]live" if line.connected else "[red]down"
        age = f"{line.age_s:.1f} s" if line.age_s >= 0 else "never"
        venues.add_row(line.name, state, f"{line.frames_per_s:.0f}", age, str(line.reconnects))
    candles = Table("instrument", "trades/s", "second", "close", "minute", "open / high / low / close", expand=True)
    for found in watcher.instruments():
        bar = found.second
        candles.add_row(
            found.name,
            f"{found.trades_per_s:.1f}" if found.trades else "",
            _time(bar.start_ns) if bar else "",
            format(bar.close, "f") if bar else "",
            _time(found.minute.start_ns)[:5] if found.minute else "",
            _candle(found.minute) or "",
        )
    workers = "   ".join(
        f"{kept.name} :{kept.settings.web_port}" + (f" ({kept.restarts} restarts)" if kept.restarts else "")
        for kept in supervisor.kept
    )
    addresses = (
        f"broker {settings.broker()}   questdb http://{settings.questdb_address()}   "
        f"candles http://127.0.0.1:{supervisor.kept[1].settings.web_port}/tables/ohlcv/"
    )
    demo = "[black on yellow] DEMO: generated market, not data of any exchange [/]   " if _is_demo(settings) else ""
    title = f"{demo}Sofia Streams, up {time.monotonic() - began_s:.0f} s, Ctrl-C stops all"
    return Panel(Group(venues, candles, workers, addresses), title=title)


def _is_demo(settings: Settings) -> bool:
    return settings.namespace == DEMO


def _candle(bar: Bar | None) -> str | None:
    return " / ".join(format(price, "f") for price in (bar.open, bar.high, bar.low, bar.close)) if bar else None


def _time(start_ns: int) -> str:
    return f"{datetime.fromtimestamp(start_ns // NS_PER_SECOND, UTC):%H:%M:%S}"

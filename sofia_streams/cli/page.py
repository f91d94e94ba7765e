"""The live terminal page of `sofia up`: venues, candles, workers. Only draws."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from aiokafka.errors import KafkaError
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from sofia_streams.cli.output import say, show
from sofia_streams.embedded.jars import Progress
from sofia_streams.embedded.ports import HOST
from sofia_streams.model import NS_PER_SECOND, Bar
from sofia_streams.ops.look.watch import InstrumentState, Watcher
from sofia_streams.ops.supervision.running import blind
from sofia_streams.ops.supervision.supervise import Supervisor
from sofia_streams.ops.supervision.up import DEMO
from sofia_streams.paper import Account
from sofia_streams.scored import Signal
from sofia_streams.settings import Settings

_POLL_S = 0.5
_AGAIN_S = 1.0
_DEMO = "DEMO: a tape, not data of these exchanges"
_LINE_EVERY_S = 5.0
_CANDLES, _FEATURES, _ACCOUNT = ("ohlcv", "ohlcv"), ("signals", "rolling_features"), ("paper_oms", "account")
"""Worker and table of the pages that are named."""


async def show_live(settings: Settings, supervisor: Supervisor, *, as_json: bool = False) -> None:
    """Draw until cancelled: a page on a terminal, else a line every few seconds."""
    console = Console()
    began_s = time.monotonic()
    waiting = False
    while True:
        try:
            async with Watcher(settings) as watcher:
                if waiting:
                    say("the broker answers again")
                    waiting = False
                if console.is_terminal and not as_json:
                    with Live(console=console, screen=False, auto_refresh=False) as live:
                        while True:
                            await watcher.poll(_POLL_S)
                            live.update(_page(settings, supervisor, watcher, began_s), refresh=True)
                await _lines(settings, watcher, supervisor, began_s, as_json=as_json)
        except KafkaError as error:
            if not waiting:
                say(f"the broker does not answer ({error!r}); waiting for it, the workers do too")
            waiting = True
            await asyncio.sleep(_AGAIN_S)


async def _lines(
    settings: Settings, watcher: Watcher, supervisor: Supervisor, began_s: float, *, as_json: bool
) -> None:
    said_s, first, scored, label = 0.0, False, False, f"{settings.namespace} " if settings.namespace else ""
    while True:
        await watcher.poll(_POLL_S)
        now_s = time.monotonic()
        if watcher.has_bar and not first:
            first = True
            say(f"first candle after {now_s - began_s:.1f} s")
        if not scored and any(one.action != "abstain" for one in watcher.signals()):
            scored = True
            say(f"first signal after {now_s - began_s:.1f} s")
        if now_s - said_s < _LINE_EVERY_S:
            continue
        said_s = now_s
        state = describe(settings, watcher, supervisor)
        if as_json:
            show(state, as_json=True)
            continue
        for bar in [row for row in state["instruments"] if row["close"]]:
            name = f"{label}{bar['instrument']}"
            print(f"{name:34} {bar['time']} close {bar['close']:>12} {bar['trades_per_s']:8.1f} trades/s")
        for one in watcher.signals():
            print(f"{label + one.symbol:34} {_time(one.start_ns)} {_signal(one)}")
        if watcher.account is not None:
            print(f"{label + 'paper account':34} {_time(watcher.account.at_ns)} {_account(watcher.account)}")
        sys.stdout.flush()


def describe(settings: Settings, watcher: Watcher, supervisor: Supervisor) -> dict[str, Any]:
    """What the page shows, as data."""
    return {
        "namespace": settings.namespace,
        "connections": [line._asdict() for line in watcher.connections()],
        "instruments": [_instrument(found) for found in watcher.instruments()],
        "signals": [
            {
                "symbol": one.symbol, "time": _time(one.start_ns), "action": one.action, "reason": one.reason,
                "confidence": one.confidence, "model": one.model_id, "is_synthetic": one.is_synthetic,
            }
            for one in watcher.signals()
        ],
        "account": None if watcher.account is None else _account_shown(watcher.account),
        "workers": [
            {
                "worker": kept.name, "pid": kept.child.pid, "restarts": kept.restarts,
                "web_port": kept.settings.web_port, "left_down": supervisor.given_up.get(kept.name),
            }
            for kept in supervisor.kept
        ],
        "servers": [
            {"server": name, "restarts": again.count, "left_down": supervisor.given_up.get(name)}
            for name, again in supervisor.servers.items()
        ],
        "addresses": {
            "broker": settings.broker(),
            "questdb": f"http://{settings.questdb_address()}",
            "redis": _without_password(settings.redis_address()),
            "candles": _table_page(supervisor, *_CANDLES),
            "features": _table_page(supervisor, *_FEATURES),
            "account": _table_page(supervisor, *_ACCOUNT),
            "metrics": f"http://{HOST}:{supervisor.page_port}/metrics",
        },
    }


def _signal(one: Signal) -> str:
    """In words: "buy 0.63 (forward-1772323200-0a1b2c3d, synthetic)"."""
    model = f" ({one.model_id}{', synthetic' if one.is_synthetic else ''})" if one.model_id else ""
    if one.confidence is None:
        return f"{one.action}: {one.reason}{model}"
    return f"{one.action} {one.confidence:.3f}{model}"


def _instrument(found: InstrumentState) -> dict[str, Any]:
    bar = found.second
    return {
        "instrument": found.name,
        "trades": found.trades,
        "trades_per_s": round(found.trades_per_s, 1),
        "time": _time(bar.start_ns) if bar else None,
        "close": _price(bar.close) if bar else None,
        "quality": bar.quality if bar else None,
        "minute": _candle(found.minute),
    }


def _page(settings: Settings, supervisor: Supervisor, watcher: Watcher, began_s: float) -> RenderableType:
    venues = Table("connection", "state", "frames/s", "last frame", "delay", "reconnects", expand=True)
    for line in watcher.connections():
        state = "[green]live" if line.connected else "[red]down"
        age = f"{line.age_s:.1f} s" if line.age_s >= 0 else "never"
        delay = "" if line.delay_ms is None else f"{line.delay_ms:.0f} ms"
        venues.add_row(line.name, state, f"{line.frames_per_s:.0f}", age, delay, str(line.reconnects))
    prices = "open / high / low / close"
    candles = Table("instrument", "trades/s", "second", "close", "quality", "minute", prices, expand=True)
    for found in watcher.instruments():
        bar = found.second
        candles.add_row(
            found.name,
            f"{found.trades_per_s:.1f}" if found.trades else "",
            _time(bar.start_ns) if bar else "",
            (_price(bar.close) or "quiet") if bar else "",
            bar.quality if bar else "",
            _time(found.minute.start_ns)[:5] if found.minute else "",
            _candle(found.minute) or "",
        )
    signals = Table("symbol", "bar", "signal", expand=True)
    for one in watcher.signals():
        signals.add_row(one.symbol, _time(one.start_ns), _signal(one))
    if watcher.account is not None:
        signals.add_row("account", _time(watcher.account.at_ns), _account(watcher.account))
    restarts = {kept.name: kept.restarts for kept in supervisor.kept}
    restarts |= {name: again.count for name, again in supervisor.servers.items()}
    again = "   ".join(f"{name} started again {count} times" for name, count in restarts.items() if count)
    workers = "   ".join(f"{kept.name} :{kept.settings.web_port}" for kept in supervisor.kept)
    addresses = (
        f"broker {settings.broker()}   questdb http://{settings.questdb_address()}   "
        f"redis {_without_password(settings.redis_address())}   candles {_table_page(supervisor, *_CANDLES)}   "
        f"features {_table_page(supervisor, *_FEATURES)}   account {_table_page(supervisor, *_ACCOUNT)}"
    )
    demo = f"[black on yellow] {_DEMO} [/]   " if _is_demo(settings) else ""
    title = f"{demo}Sofia Streams, up {time.monotonic() - began_s:.0f} s, Ctrl-C stops all"
    said = [workers, addresses, *([f"[red]{again}"] if again else [])]
    said += [f"[white on red]{why}; it was left down" for why in supervisor.given_up.values()]
    said += [f"[white on red]{text}" for text in [blind(settings.data_dir)] if text]
    return Panel(Group(venues, candles, signals, *said), title=title)


def _account(account: Account) -> str:
    held = "   ".join(f"{one.symbol} {one.quantity.normalize():f}" for one in account.positions) or "flat"
    state = account.state if account.state == "ACTIVE" else f"{account.state} ({account.reason})"
    return f"{state}, equity {account.equity_quote:.2f} of {account.start_quote:f}, {held}"


def _account_shown(account: Account) -> dict[str, Any]:
    return {
        "time": _time(account.at_ns), "state": account.state, "reason": account.reason,
        "equity": f"{account.equity_quote:f}", "cash": f"{account.cash_quote:f}", "open_orders": account.open_orders,
        "positions": {one.symbol: f"{one.quantity.normalize():f}" for one in account.positions},
    }  # fmt: skip


def _table_page(supervisor: Supervisor, worker: str, table: str) -> str:
    port = next(kept.settings.web_port for kept in supervisor.kept if kept.name == worker)
    return f"http://{HOST}:{port}/tables/{table}/"


def _without_password(url: str) -> str:
    scheme, _, place = url.partition("://")
    return f"{scheme}://{place.rpartition('@')[2]}"


@contextmanager
def jar_bar() -> Iterator[Progress | None]:
    """What to call after each jar that is fetched: it draws a bar on a terminal; None elsewhere, where lines do."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from rich import progress as bars

    columns = ("{task.description}", bars.BarColumn(), bars.MofNCompleteColumn(), bars.TimeElapsedColumn())
    with bars.Progress(*columns, console=console) as drawn:
        task = drawn.add_task("jars of the embedded servers", total=None, visible=False)

        def show_fetched(count: int, total: int, name: str) -> None:
            drawn.update(task, completed=count, total=total, description=name, visible=count < total)
            if count >= total:
                drawn.stop()  # the page draws next

        yield show_fetched


def _is_demo(settings: Settings) -> bool:
    return settings.namespace == DEMO


def _candle(bar: Bar | None) -> str | None:
    if bar is None:
        return None
    return " / ".join(_price(price) or "quiet" for price in (bar.open, bar.high, bar.low, bar.close))


def _price(price: Decimal | None) -> str | None:
    return None if price is None else format(price, "f")


def _time(start_ns: int) -> str:
    return f"{datetime.fromtimestamp(start_ns // NS_PER_SECOND, UTC):%H:%M:%S}"

"""A backtest trade by trade: recordings or stored trades through bars, the model and the paper account, as in a replay.

Nothing stands for trades here: orders meet the quotes and prints that were recorded. What it does not do: fold records
itself (`replay.in_process` does), baselines and sweeps, which need bars.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sofia_streams.core.bars.windows import SIZES_NS
from sofia_streams.core.features.sets import sets_of
from sofia_streams.core.oms.recorded import recorded
from sofia_streams.errors import ConfigError
from sofia_streams.model import CONSOLIDATED, NS_PER_SECOND
from sofia_streams.ops.backtest.models import OnProgress, overlap
from sofia_streams.ops.backtest.run import Backtest
from sofia_streams.ops.backtest.tape import Tape
from sofia_streams.ops.replay.in_process import Replay, replay_in_process
from sofia_streams.ops.replay.paper_book import PaperFold
from sofia_streams.ops.report.making import Run, make_report
from sofia_streams.settings import Settings
from sofia_streams.training.registry import Registry, Stored

_TELL_EVERY = 5_000


def backtest_captures(captures: Sequence[Path], settings: Settings, model_id: str, size: str) -> Backtest:
    """One model over recordings, in one merged receive order. Raises BadCapture, BadModel, and ConfigError where
    nothing was scored.
    """
    began_s, stored = time.monotonic(), Registry(settings.models_folder()).load(model_id)
    settings = settings.model_copy(update={"signals_bar_size": size})
    replay = replay_in_process(captures, settings, model=stored)
    return _judged(replay, stored, settings, ", ".join(path.name for path in captures), began_s)


def backtest_trades(tape: Tape, settings: Settings, model_id: str, size: str, report: OnProgress) -> Backtest:
    """One model over stored trades, and quotes where there are any. Raises BadModel, DependencyDown, and ConfigError
    where nothing was scored.
    """
    began_s, stored = time.monotonic(), Registry(settings.models_folder()).load(model_id)
    settings = settings.model_copy(update={"signals_bar_size": size, "paper_instruments": tape.names()})
    replay = Replay(settings, model=stored, paper=PaperFold(settings))
    total_s = (tape.until_ns - tape.from_ns) // NS_PER_SECOND
    for number, record in enumerate(tape.records()):
        if number % _TELL_EVERY == 0:
            report("trading", max(0, min(total_s, (record.received_ns - tape.from_ns) // NS_PER_SECOND)), total_s)
        replay.fold([record])
    return _judged(replay, stored, settings, f"trades of {tape.source.name}", began_s)


def _judged(replay: Replay, stored: Stored, settings: Settings, data: str, began_s: float) -> Backtest:
    assert replay.paper is not None  # with a model there is one
    elapsed_s, book, model_id = time.monotonic() - began_s, replay.paper.book, stored.document.model_id
    outcomes = Counter(one.abstention or one.model_id for one in replay.scored.predictions())
    size = settings.signals_bar_size
    if not outcomes[model_id] or not book.accounts():
        warm_up = max(one.warm_up for one in sets_of(SIZES_NS[size]))
        raise ConfigError(
            f"backtest: expected {data} to have a bar that the model scores, found none; of the bars: "
            f"{dict(outcomes.most_common()) or 'no bar'}. Features need {warm_up} bars in a row before the first."
        )
    accounts = book.accounts()
    made = make_report(
        Run(accounts, book.fills(), book.orders()),
        title=f"Backtest of {data}, model {model_id}",
        prices=_prices(replay, size),
        currency=settings.paper_currency,
        rules=recorded(*replay.paper.gone_by()),
        warnings=overlap(stored.document, (accounts[0].at_ns, accounts[-1].at_ns)),
        is_synthetic=stored.document.is_synthetic,
        seed=settings.paper_seed,
    )
    count = outcomes.total()
    known = dict(outcomes.most_common())
    hashes, models = book.hashes(), f"model {model_id}"
    return Backtest(made, count, count / elapsed_s, elapsed_s, known, models, hashes)


def _prices(replay: Replay, size: str) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for bar in replay.book.bars(SIZES_NS[size]):
        if bar.venue == CONSOLIDATED and bar.close is not None:
            found.setdefault(bar.symbol, []).append((bar.start_ns, float(bar.close)))
    return found

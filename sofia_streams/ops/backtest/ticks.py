"""Recordings as a backtest: every frame through ingest, bars, the model and the paper account, as in a replay.

Nothing stands for trades here: orders meet the quotes and prints that were recorded. What it does not do: fold frames
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
from sofia_streams.model import CONSOLIDATED
from sofia_streams.ops.backtest.models import overlap
from sofia_streams.ops.backtest.run import Backtest
from sofia_streams.ops.replay.in_process import Replay, replay_in_process
from sofia_streams.ops.report.making import Run, make_report
from sofia_streams.paper_rules import paper_rules
from sofia_streams.settings import Settings
from sofia_streams.training.registry import Registry


def backtest_captures(captures: Sequence[Path], settings: Settings, model_id: str, size: str) -> Backtest:
    """One model over recordings, in one merged receive order. Raises BadCapture, BadModel, and ConfigError where
    nothing was scored.
    """
    began_s, stored = time.monotonic(), Registry(settings.models_folder()).load(model_id)
    settings = settings.model_copy(update={"signals_bar_size": size})
    replay = replay_in_process(captures, settings, model=stored)
    assert replay.paper is not None  # with a model there is one
    elapsed_s, book = time.monotonic() - began_s, replay.paper.book
    outcomes = Counter(one.abstention or one.model_id for one in replay.scored.predictions())
    if not outcomes[model_id] or not book.accounts():
        warm_up = max(one.warm_up for one in sets_of(SIZES_NS[size]))
        raise ConfigError(
            "backtest: expected recordings of which the model scores a bar, found none; of the bars: "
            f"{dict(outcomes.most_common()) or 'no bar'}. Features need {warm_up} bars in a row before the first."
        )
    accounts = book.accounts()
    made = make_report(
        Run(accounts, book.fills(), book.orders()),
        title=f"Backtest of {', '.join(path.name for path in captures)}, model {model_id}",
        prices=_prices(replay, size),
        currency=settings.paper_currency,
        rules=recorded(paper_rules(settings), (), ()),
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

"""The same work with Bytewax: one state a symbol, kept in its recovery store at every epoch."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from bench.peers.task import COMMIT_EVERY_S, step, task
from sofia_streams.core.bars.windows import Row

work = task()
seen = False


def fold(rows: dict[str, Row] | None, message: Any) -> tuple[dict[str, Row], Iterable[Any]]:
    """One record of a symbol."""
    global seen
    rows = {} if rows is None else rows
    bars = step(rows, message.value, message.offset)
    if not seen:
        seen = True
        work.mark("first_s")
    return rows, [KafkaSinkMessage(key=key, value=value) for key, value in bars]


def main() -> None:
    """Until the topic's end."""
    recovery = Path(work.folder) / "recovery"
    recovery.mkdir()
    init_db_dir(recovery, 1)
    flow = Dataflow("candles")
    messages = op.input("trades", flow, KafkaSource([work.broker], [work.trades], tail=False))
    keyed = op.map("key", messages, lambda message: (message.key.decode(), message))
    bars = op.map("unkey", op.stateful_flat_map("fold", keyed, fold), lambda pair: pair[1])
    op.output("bars", bars, KafkaSink([work.broker], work.bars))
    cli_main(flow, epoch_interval=timedelta(seconds=COMMIT_EVERY_S), recovery_config=RecoveryConfig(recovery))
    work.mark("done_s")


if __name__ == "__main__":
    main()

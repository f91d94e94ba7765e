"""The same work with Quix Streams: state in its store with a changelog topic, rows encoded as in ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from quixstreams import Application, message_context

from bench.peers.task import COMMIT_EVERY_S, RULES, task
from sofia_streams import codec
from sofia_streams.core.bars import candles
from sofia_streams.core.bars.windows import Row

work = task()
seen = False


class Rows(dict):
    """The rows of one symbol, read through from Quix's state."""

    def __init__(self, state: Any) -> None:
        self._state = state

    def get(self, key: str, default: Row | None = None) -> Row | None:
        data = self._state.get_bytes(key)
        return default if data is None else codec.decode_row(data)


def fold(value: bytes, state: Any) -> Iterator[bytes]:
    """One record; the bars it closed."""
    global seen
    step = candles.apply(Rows(state), codec.decode_trades(value), offset=message_context().offset, rules=RULES)
    for key, row in step.rows.items():
        if row is None:
            state.delete(key)
        else:
            state.set_bytes(key, codec.encode(row))
    if not seen:
        seen = True
        work.mark("first_s")
    return [codec.encode(bar) for bar in step.bars]


def main() -> None:
    """Until it is stopped."""
    app = Application(
        broker_address=work.broker,
        consumer_group=work.group,
        auto_offset_reset="earliest",
        commit_interval=COMMIT_EVERY_S,
        state_dir=f"{work.folder}/state",
        loglevel="WARNING",
    )
    trades = app.topic(work.trades, key_deserializer="bytes", value_deserializer="bytes")
    bars = app.topic(work.bars, key_serializer="bytes", value_serializer="bytes")
    frame = app.dataframe(trades)
    frame.apply(fold, stateful=True, expand=True).to_topic(bars)
    app.run()


if __name__ == "__main__":
    main()

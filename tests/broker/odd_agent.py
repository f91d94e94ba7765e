"""A worker for tests: a sink agent whose handling of a record is what the record's line says. Writes ids to stdout."""

import sys
import time

from sofia_streams import codec, topics
from sofia_streams.app import create_app, sink_agent, topic_on
from sofia_streams.settings import load_settings
from sofia_streams.worker.sink import Sink

settings = load_settings()
app = create_app("redis_bridge", settings)  # a group that the tests know how to ask about


def handled(record, offset):
    if record.line == "poison":
        raise KeyError("a handler that fails on this record for ever")
    if record.line == "memory":
        return bytes(1 << 62)
    if record.line == "hog":
        return [bytearray(16 << 20) for _ in range(1 << 20)]
    if record.line == "block":
        hold_the_loop(5.0)
    return f"handled {record.trades[0].trade_id} at {time.time():.3f}"


def hold_the_loop(seconds):
    time.sleep(seconds)


async def write(batch):
    for item in batch:
        sys.__stdout__.write(f"{item.record}\n")
    sys.__stdout__.flush()


sink = Sink("odd", write, rows_max=10, wait_s_max=0.01)


@app.task
async def run():
    await sink.run()


trades = topic_on(app, topics.TRADES, settings)
sink_agent(app, settings, trades, codec.decode_trades, sink, name="odd", prepare=handled)

if __name__ == "__main__":
    app.main()

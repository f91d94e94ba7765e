"""Signals and the market in; orders, fills, the account out.   in worker.accounting.READS   state tables.account"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from sofia_streams import codec, topics
from sofia_streams.app import add_acknowledger, add_table_pages, create_app, set_aside, topic_on, was_given_up
from sofia_streams.core.oms import view
from sofia_streams.core.oms.steps import Said, Snapshot
from sofia_streams.ingest.rest.lots import kept_lots, wait_for_lots
from sofia_streams.paper import ACCOUNT, Fill, Order, Taken
from sofia_streams.paper_rules import paper_steps
from sofia_streams.settings import load_settings
from sofia_streams.worker.accounting import READS, WRITES, Accounting
from sofia_streams.worker.beginning import begin_at_end
from sofia_streams.worker.paper_gauges import observe
from sofia_streams.worker.transport import STEADY
from tables.account import account_table

_EVERY_S, _LOTS_S = 0.25, 15.0
settings = load_settings()
reads = [topic for topic in topics.TOPICS.values() if topic.name in READS]
app = create_app("paper_oms", settings, pace=STEADY)
inputs = topic_on(app, reads[0], settings, *reads[1:])
orders, fills, account, alerts = (topic_on(app, one, settings) for one in WRITES)
table = account_table(app)
accounting = Accounting(settings, table, lambda row: paper_steps(settings, kept_lots(settings), row), key=ACCOUNT)
acknowledger = add_acknowledger(app, table.write, forget=accounting.forget)
add_table_pages(app, "account", lambda: view.account(accounting.steps), lambda key: view.part(accounting.steps, key))


async def begin() -> None:
    """For the first time: from the end of the log, and with what venues say of their ticks, if it comes soon."""
    market = [one for one in reads if one is not topics.CONTROL]
    if await begin_at_end(settings, app.conf.id, market) and not settings.replay_url:
        await wait_for_lots(settings, _LOTS_S)


async def put(said: Sequence[Said | Snapshot]) -> None:
    """Send what was said; a decision is in the log before what follows from it."""
    for one in said:
        topic = orders if isinstance(one, Order) else fills if isinstance(one, Fill) else account
        sent = await topic.send(key=getattr(one, "symbol", ACCOUNT).encode(), value=codec.encode(one))
        if isinstance(one, Taken):
            await sent
        accounting.owe(sent)
    for alert in observe(said, app.conf.id):
        accounting.owe(await alerts.send(key=app.conf.id.encode(), value=codec.encode(alert)))


@app.agent(inputs, name="paper_oms")
async def trade(stream: Any) -> None:
    """Take each record once; what is due by then is said, and the rest waits for its time."""
    async for event in stream.noack().events():
        await accounting.wait_for_all(app.consumer.assignment, lambda: was_given_up(app, event.message))  # noqa: B023
        async with acknowledger.in_hand:
            if was_given_up(app, event.message):
                continue
            is_back, steps, record = accounting.steps is None, await accounting.begin(), None
            if is_back:  # all that it goes by stands before anything that follows from it
                await put(accounting.snapshots())
            async with set_aside(app, settings, event):
                record = READS[topics.catalogue_name(event.message)](event.value)
            if record is not None:
                accounting.take(steps, record, event)
                await put(steps.run())


@app.task
async def look_after() -> None:
    """Four times a second: acknowledge, and lose patience with inputs that are silent."""
    while True:
        await asyncio.sleep(_EVERY_S)
        async with acknowledger.in_hand:
            if (steps := accounting.steps) is not None:
                accounting.lose_patience(steps)
                await put([*steps.run(), *accounting.snapshots()])
                if (due := accounting.checkpoint()) is not None:
                    await acknowledger.add(*due)
                app.consumer.read_but(accounting.ahead(steps))


app.begin = begin
if __name__ == "__main__":
    app.main()

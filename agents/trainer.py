"""Live quality of models, and new ones.   in features, predictions   out model_quality, alerts, models, bars

Quality follows from the log: what stands before the first record of a partition is read, from a bounded time back.
New models are the business of one process, whichever has partition 0 of `features` (`training.retraining`).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from aiokafka import TopicPartition

from sofia_streams import codec, topics
from sofia_streams.app import add_acknowledger, create_app, set_aside, topic_on, was_given_up
from sofia_streams.core.bars.windows import SIZES_NS
from sofia_streams.core.features.sets import sets_of
from sofia_streams.core.monitoring.watching import Told, Watches, recall_bars
from sofia_streams.model import Alert
from sofia_streams.obs import metrics
from sofia_streams.scored import ModelQuality
from sofia_streams.settings import load_settings
from sofia_streams.training.registry import Registry
from sofia_streams.training.retraining.follow import followed
from sofia_streams.training.retraining.library import Library
from sofia_streams.training.retraining.trainer import Trainer
from sofia_streams.worker.model_gauges import show, show_nothing
from sofia_streams.worker.recalling import Recalling

settings = load_settings()
app = create_app("trainer", settings)
BOTH = (topics.FEATURES, topics.PREDICTIONS)
quality, alerts, *inputs = (topic_on(app, topic, settings) for topic in (topics.MODEL_QUALITY, topics.ALERTS, *BOTH))
base, flow = sets_of(SIZES_NS[settings.signals_bar_size])
library = Library(Registry(settings.models_folder()), [base, flow])
watches = Watches(base, library)
FIRST = TopicPartition(topics.wire_name(topics.FEATURES, settings.namespace), 0)


async def send(record: Alert | ModelQuality) -> Any:
    """Into its topic, and where it is quality onto the metrics page; the future of its acknowledgement."""
    if isinstance(record, Alert):
        return await alerts.send(key=app.conf.id.encode(), value=codec.encode(record))
    show(record)
    return await quality.send(key=record.symbol.encode(), value=codec.encode(record))


trainer = Trainer(settings, base, library, owns=lambda: FIRST in app.consumer.assignment(), tell=send)
recalling = Recalling(
    settings, "trainer", BOTH, followed, partial(watches.take, is_new=False),
    back_ns=recall_bars(settings.train_horizon_bars) * base.size_ns,
)  # fmt: skip


app.task(trainer.run)


def forget() -> None:
    """What it knows is read from the log again."""
    watches.by_symbol.clear()
    recalling.forget()
    show_nothing()


acknowledger = add_acknowledger(app, forget=forget)


async def judge(stream: Any) -> None:
    """Take each record of a topic once; what it leads to is in the log before it is acknowledged."""
    async for event in stream.noack().events():
        told: list[Told] | None = None
        async with acknowledger.in_hand:
            if was_given_up(app, event.message):
                continue
            await recalling.before(event.message)
            async with set_aside(app, settings, event):
                told = watches.take(followed(event.value), is_new=True)
            if told is not None:
                outputs = [await send(one) for each in told for one in each.said]
                await acknowledger.add(event, outputs, [])
                metrics.RECORDS.labels(topics.catalogue_name(event.message)).inc()


for channel, topic in zip(inputs, BOTH, strict=True):
    app.agent(channel, name=f"judge_{topic.name}")(judge)

if __name__ == "__main__":
    app.main()

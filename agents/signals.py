"""Closed bars in; features, predictions, signals out.   in bars   state tables.rolling_features   (keyed by symbol)"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from sofia_streams import codec, topics
from sofia_streams.app import add_acknowledger, add_table_pages, create_app, set_aside, topic_on, was_given_up
from sofia_streams.core.bars.windows import SIZES_NS
from sofia_streams.core.features.sets import sets_of
from sofia_streams.core.signals.predicting import Model
from sofia_streams.core.signals.steps import Step
from sofia_streams.model import Alert
from sofia_streams.obs import metrics
from sofia_streams.scored import Activation
from sofia_streams.settings import load_settings
from sofia_streams.topics import place_of
from sofia_streams.training.registry import Registry
from sofia_streams.worker.scoring import Scoring, Shelf, observe, told_of
from sofia_streams.worker.transport import PROMPT
from tables.rolling_features import rolling_features_table

settings = load_settings()
app = create_app("signals", settings, pace=PROMPT)
bars = topic_on(app, topics.BARS, settings)
features, predictions, signals, models, alerts = (
    topic_on(app, topic, settings)
    for topic in (topics.FEATURES, topics.PREDICTIONS, topics.SIGNALS, topics.MODELS, topics.ALERTS)
)
table = rolling_features_table(app, settings.topic_partitions)
sets = sets_of(SIZES_NS[settings.signals_bar_size])
registry = Registry(settings.models_folder())


def load(activation: Activation) -> Model:
    """The model of an activation. Raises BadModel."""
    return registry.load(activation.model_id, activation.sha256).model(sets)


scoring = Scoring(sets, Shelf(load), table, confidence_min=float(settings.ai_min_signal_confidence))
acknowledger = add_acknowledger(app, table.write, forget=scoring.forget)
add_table_pages(app, "rolling_features", scoring.symbols, scoring.symbol)


async def put(step: Step, message: Any) -> list[Any]:
    """Send what a step gives; the futures of the acknowledgements."""
    sent = []
    for told in told_of(step, app.conf.id, time.time_ns()):
        topic = alerts if isinstance(told, Alert) else models
        sent.append(await topic.send(key=app.conf.id.encode(), value=codec.encode(told)))
    if step.silence is not None:
        sent.append(await signals.send(key=step.silence.symbol.encode(), value=codec.encode(step.silence)))
    if step.outputs is None:
        return sent
    prediction = step.outputs[1]
    for topic, record in zip((features, predictions, signals), step.outputs, strict=True):
        sent.append(await topic.send(key=prediction.symbol.encode(), value=codec.encode(record)))
    sent[-2].add_done_callback(partial(observe, message.headers, prediction.end_ns))
    return sent


@app.agent(bars, name="signals")
async def score_bars(stream: Any) -> None:
    """Take each record once; outputs reach the log before the rows that say so, rows before the acknowledgement."""
    async for event in stream.noack().events():
        message, step = event.message, None
        async with acknowledger.in_hand:
            if was_given_up(app, message):
                continue
            async with set_aside(app, settings, event):
                step = await scoring.apply(codec.decode_bars(event.value), message.partition, place_of(message))
            if step is not None:
                await acknowledger.add(event, await put(step, message), table.take_changes())
                metrics.RECORDS.labels("bars").inc()


if __name__ == "__main__":
    app.main()

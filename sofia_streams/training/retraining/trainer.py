"""Trains anew when it is time, lets what was trained compete with the model in force, and activates what is better.

One process decides: the one that has partition 0 of `features`. It reads both topics of all partitions itself, from a
bounded time back, so it knows every symbol, and a restart or another process goes on with the same knowledge; a contest
that was under way is counted again from its first bar. Who loses the partition notices within seconds and ends its
training. Training is a child process, so nothing here waits for it.
What it does not do: decide what is due, better, or worse (`core.monitoring`), touch the scoring path.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from sofia_streams import topics
from sofia_streams.core.features.sets import FeatureSet
from sofia_streams.core.monitoring.contest import Contest, over
from sofia_streams.core.monitoring.retraining import (
    InForce,
    Reason,
    Situation,
    due,
    fate,
    is_in_force,
    pause_s,
    windows_needed,
)
from sofia_streams.core.monitoring.shadow import Shadow
from sofia_streams.core.monitoring.watching import WatchedModel, Watches, recall_bars
from sofia_streams.core.signals.in_force import begun, chosen_of
from sofia_streams.errors import BadModel, NotWritten
from sofia_streams.logread import places, reader
from sofia_streams.obs import metrics
from sofia_streams.scored import Activation, Refusal
from sofia_streams.settings import Settings
from sofia_streams.training.activation import activate, said_of_models
from sofia_streams.training.retraining.announcing import Announcer, Tell
from sofia_streams.training.retraining.child import Ended, Source, options_of, source_of, train
from sofia_streams.training.retraining.follow import Follower
from sofia_streams.training.retraining.library import Library
from sofia_streams.training.retraining.notes import Notes, read_notes, with_notes, write_notes

_log = structlog.get_logger("trainer")
_EVERY_S, _AGAIN_S = 5.0, 2.0
_VENUES_AGAIN_S = 6 * 3_600.0
"""So long the venues are not asked again for candles to train on."""


class Trainer:
    """`owns` says whether this process is to decide now; `tell` puts a record into the log."""

    def __init__(
        self, settings: Settings, base: FeatureSet, library: Library, *, owns: Callable[[], bool], tell: Tell
    ) -> None:
        self._settings, self._base, self._library, self._owns = settings, base, library, owns
        self._folder, self._announcer = settings.models_folder(), Announcer(tell)
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._notes = Notes()
        self._follower, self._shadow = Follower(self._settings), Shadow()
        self._watches = Watches(self._base, self._library, self._challenger)
        self._said: list[Activation | Refusal] = []
        self._said_until = -1
        self._training: asyncio.Task[Ended] | None = None
        self._source: Source = "questdb"
        self._not_before_s = self._venues_not_before_s = 0.0

    async def run(self) -> None:
        """For ever; a broker that is away is waited for."""
        while True:
            if self._owns():
                try:
                    await self._while_ours()
                except (KafkaError, BadModel) as error:
                    _log.warning("the trainer begins anew", error=str(error))
                finally:
                    await self._stop()
            await asyncio.sleep(_AGAIN_S)

    async def _while_ours(self) -> None:
        self._begin_anew()
        self._notes = read_notes(self._folder)
        self._not_before_s = time.monotonic() + pause_s(self._notes.failures)
        back_ns = recall_bars(self._settings.train_horizon_bars) * self._base.size_ns
        from_ns = time.time_ns() - back_ns
        if self._notes.challenger is not None:
            from_ns = min(from_ns, self._notes.since_ns)
        async with reader(self._settings) as consumer:
            await self._follower.begin(consumer, from_ns)
            is_new = False
            while self._owns():
                await self._learn_models(consumer)
                await self._follow(consumer, is_new=is_new)
                await self._step()
                is_new = True
                if self._training is None:
                    await asyncio.sleep(_EVERY_S)
                else:
                    await asyncio.wait([self._training], timeout=_EVERY_S)

    async def _stop(self) -> None:
        if self._training is not None:
            self._training.cancel()
            await asyncio.gather(self._training, return_exceptions=True)
            self._training = None
        metrics.TRAINING.set(0)

    async def _learn_models(self, consumer: AIOKafkaConsumer) -> None:
        """What was activated, where something was said since; and who then competes with whom."""
        end = sum((await consumer.end_offsets(places(self._settings, topics.MODELS))).values())
        if end != self._said_until:
            self._said, self._said_until = await said_of_models(self._settings), end
        champion, challenger = self._champion(), self._challenger()
        if challenger is not None and champion is not None and challenger.model_id == champion.model_id:
            challenger = None  # somebody activated it
        elif challenger and champion and (why := over(champion, challenger, self._now_ns())):
            await self._announcer.dropped(challenger.model_id, why)
            challenger = None
        if self._notes.challenger is not None and challenger is None:
            self._note(challenger=None)
        contest = self._shadow.contest
        if champion is None or challenger is None:
            self._shadow.contest = None
        elif contest is None or (contest.champion, contest.challenger) != (champion.model_id, challenger.model_id):
            since_ns = self._notes.since_ns
            self._shadow.contest = Contest(champion.model_id, challenger.model_id, challenger.rule, since_ns)

    def _champion(self) -> WatchedModel | None:
        """The model in force, as the signals worker chooses it."""
        chosen = begun(chosen_of(self._said), max(self._now_ns(), time.time_ns()))
        return next((known for one in chosen if (known := self._library(one.model_id)) is not None), None)

    def _challenger(self) -> WatchedModel | None:
        return None if self._notes.challenger is None else self._library(self._notes.challenger)

    def _now_ns(self) -> int:
        """End of the newest bar; before there is one, the clock's."""
        return self._shadow.newest_ns or time.time_ns()

    async def _follow(self, consumer: AIOKafkaConsumer, *, is_new: bool) -> None:
        async for record in self._follower.read(consumer):
            try:
                all_told = self._watches.take(record, is_new=is_new)
            except BadModel as error:  # of the challenger: the model in force has scored elsewhere
                if self._notes.challenger is not None:
                    await self._announcer.dropped(self._notes.challenger, str(error))
                    self._note(challenger=None)
                raise
            for told in all_told:
                self._shadow.note(told)
                for quality in told.quality if told.is_new else ():
                    if quality.role == "challenger":
                        await self._announcer.tell(quality)

    async def _step(self) -> None:
        champion = self._champion()
        self._look(champion)
        if self._training is not None and self._training.done():
            ended, self._training = self._training.result(), None
            metrics.TRAINING.set(0)
            await self._ended(ended, champion)
            return
        await self._judge(champion)
        situation = self._situation(champion)
        if self._training is None and time.monotonic() >= self._not_before_s:
            reason = due(situation, after_hours=self._settings.train_after_hours)
            if reason is not None:
                has_bars = champion is not None or situation.has_bars
                self._begin_training(reason, champion, source_of(self._settings, has_bars=has_bars))
        self._announcer.where_it_stands(situation, self._shadow.contest, is_training=self._training is not None)

    def _look(self, champion: WatchedModel | None) -> None:
        drift = self._shadow.look(champion, self._watches.by_symbol)
        if drift is not None:
            metrics.MODEL_DRIFT.set(drift)
        if champion is not None:
            metrics.MODEL_AGE_SECONDS.set((self._now_ns() - champion.model.document.trained_until_ns) / 1e9)

    def _situation(self, champion: WatchedModel | None) -> Situation:
        model = None
        if champion is not None:
            document = champion.model.document
            model = InForce(document.trained_until_ns, document.expires_ns, document.is_synthetic)
        needed = windows_needed(len(self._watches.by_symbol), self._settings.train_horizon_bars)
        return Situation(
            self._now_ns(), model, self._follower.windows, needed, self._shadow.drift, len(self._watches.faults()),
            self._notes.challenger is not None, self._notes.trained_ns, self._settings.simulator_url is not None,
            time.monotonic() >= self._venues_not_before_s,
        )  # fmt: skip

    def _begin_training(self, reason: Reason, champion: WatchedModel | None, source: Source) -> None:
        options = options_of(self._settings, None if champion is None else champion.model.document, source)
        self._source = source
        if source == "venues":
            self._venues_not_before_s = time.monotonic() + _VENUES_AGAIN_S
        why = {"drift": self._shadow.drift_text, "degradation": "; ".join(self._watches.faults())}.get(reason, "")
        _log.info("training", reason=reason, why=why, options=" ".join(options))
        self._training = asyncio.create_task(train(self._settings, options))
        metrics.TRAINING.set(1)

    async def _ended(self, ended: Ended, champion: WatchedModel | None) -> None:
        """What becomes of a new model, or that there is none."""
        known = None
        if ended.model_id is not None:
            self._library.forget(ended.model_id)  # written anew: the same bars give the same id
            known = self._library(ended.model_id)
        if known is None and self._source == "venues":  # nothing is wrong with us: bars of our own come all the same
            _log.warning("no candles of the venues to train on; collecting bars", why=ended.text)
            return
        if known is None:
            self._note(failures=self._notes.failures + 1)
            self._not_before_s = time.monotonic() + pause_s(self._notes.failures)
            metrics.TRAININGS.labels("failed").inc()
            await self._announcer.failed(ended.text, self._notes.failures)
            return
        if self._notes.failures:
            await self._announcer.succeeds_again()
        is_same_rule = champion is None or champion.rule == known.rule
        chosen = fate(self._situation(champion), is_better=self._library.is_better(known), is_same_rule=is_same_rule)
        metrics.TRAININGS.labels(chosen).inc()
        if chosen == "activate":
            await self._activate(known, f"none was in force. {ended.text}")
        elif chosen == "keep":
            other = None if champion is None else over(champion, known, self._now_ns())
            await self._announcer.kept(known.model_id, ended.text if other is None else f"{other}.")
        is_contest = chosen == "contest" and (champion is None or known.model_id != champion.model_id)
        self._note(
            trained_ns=self._now_ns(), failures=0, challenger=known.model_id if is_contest else None,
            since_ns=self._now_ns(),
        )  # fmt: skip

    async def _judge(self, champion: WatchedModel | None) -> None:
        """Of a challenger: it takes over, is dropped, or goes on."""
        challenger, contest = self._challenger(), self._shadow.contest
        if challenger is None or not self._shadow.newest_ns:  # what has expired is told by bars, not by the clock
            return
        verdict = None if contest is None else contest.verdict()
        is_expired = self._now_ns() > challenger.model.document.expires_ns
        if verdict is not None and verdict.outcome == "won":
            await self._activate(challenger, f"better than {contest and contest.champion} on the same bars: {verdict}")
        elif is_expired or (verdict is not None and verdict.outcome == "lost"):
            await self._announcer.dropped(challenger.model_id, "it has expired" if is_expired else str(verdict))
        elif not is_in_force(situation := self._situation(champion)):
            if fate(situation, is_better=self._library.is_better(challenger), is_same_rule=True) == "activate":
                await self._activate(challenger, "the one before has expired")
            else:
                await self._announcer.kept(challenger.model_id, "The one before has expired.")
        else:
            return
        self._note(challenger=None)

    async def _activate(self, known: WatchedModel, reason: str) -> None:
        self._library.forget(known.model_id)  # where its files are damaged by now, it is known no more
        stored = self._library.registry.load(known.model_id)
        done = await activate(self._settings, stored, reason=reason[:500])
        await self._announcer.activated(known.model_id, reason, done.cancelled)

    def _note(self, **changed: object) -> None:
        """What is noted holds for this process even where it cannot be written: else it would train without a pause."""
        self._notes = with_notes(self._notes, **changed)
        try:
            write_notes(self._folder, self._notes)
        except NotWritten as error:
            _log.warning("the trainer's notes cannot be written: after a restart it begins anew", error=str(error))

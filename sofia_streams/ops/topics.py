"""Brings the topics of the catalogue onto a broker, any broker: makes what is missing, sets what differs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, TopicAlreadyExistsError, for_code

from sofia_streams import topics
from sofia_streams.errors import DependencyDown
from sofia_streams.logread import broker_down, check_partitions, places, reader, records_between
from sofia_streams.settings import Settings

_LEADERS_WITHIN_S = 30.0


async def apply_topics(settings: Settings) -> list[str]:
    """Make every topic of the namespace, and the changelogs; the names of those that were new.

    Raises DependencyDown, and ConfigError where a topic has other partitions than configured: they cannot change,
    because a symbol would move to another partition.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.broker_address())
    try:
        await admin.start()
    except KafkaConnectionError as error:
        raise broker_down(settings, error) from error
    try:
        wanted = {_name(topic, settings): topic for topic in topics.TOPICS.values()}
        there = set(await admin.list_topics())
        counts = topics.all_partitions(settings.namespace, settings.topic_partitions)
        if known := [name for name in counts if name in there]:
            check_partitions(await admin.describe_topics(known), settings)
        configs = {name: _configs(topic, settings) for name, topic in wanted.items()}
        configs |= dict.fromkeys(topics.changelog_names(settings.namespace), topics.changelog_settings())
        missing = [name for name in configs if name not in there]
        new = await _create(admin, [NewTopic(name, counts[name], 1, topic_configs=configs[name]) for name in missing])
        await _wait_led(admin, missing)
        await _set(admin, {name: found for name, found in configs.items() if name not in new})
        return new
    finally:
        await admin.close()


async def describe_topics(settings: Settings) -> list[dict[str, object]]:
    """Every topic of the namespace, changelogs included: partitions and records. Raises DependencyDown."""
    marks = [f"sofia{mark}{settings.namespace}{mark}" if settings.namespace else f"sofia{mark}" for mark in ".-"]
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.broker_address())
    try:
        async with reader(settings) as consumer:
            await admin.start()
            rows: list[dict[str, object]] = []
            for found in await admin.describe_topics():
                name = found["topic"]
                if not name.startswith(tuple(marks)):
                    continue
                there = [TopicPartition(name, place["partition"]) for place in found["partitions"]]
                first, last = await consumer.beginning_offsets(there), await consumer.end_offsets(there)
                records = sum(last[place] - first[place] for place in there)
                rows.append({"topic": name, "partitions": len(there), "records": records})
            return sorted(rows, key=lambda row: str(row["topic"]))
    except KafkaConnectionError as error:
        raise broker_down(settings, error) from error
    finally:
        await admin.close()


async def tail_topic(settings: Settings, topic: topics.Topic, count: int) -> list[dict[str, object]]:
    """The last records of a topic, oldest first: place, key and JSON value. Raises DependencyDown."""
    chosen = places(settings, topic)
    try:
        async with reader(settings) as consumer:
            first, last = await consumer.beginning_offsets(chosen), await consumer.end_offsets(chosen)
            starts = {place: max(first[place], last[place] - count) for place in chosen}
            found = [message async for message in records_between(consumer, starts, last)]
    except KafkaConnectionError as error:
        raise broker_down(settings, error) from error
    found.sort(key=lambda message: (message.timestamp, message.partition, message.offset))
    return [
        {
            "place": f"{message.partition}/{message.offset}",
            "key": (message.key or b"").decode("utf-8", "replace"),
            "value": (message.value or b"").decode("utf-8", "replace"),
        }
        for message in found[-count:]
    ]


async def delete_namespace(settings: Settings) -> None:
    """Delete all topics of a namespace, changelogs included. Raises ValueError for the live (empty) namespace."""
    if not settings.namespace:
        raise ValueError("expected a namespace, found the live one, which is never deleted")
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.broker_address())
    await admin.start()
    try:
        marks = (f"sofia.{settings.namespace}.", f"sofia-{settings.namespace}-")
        await admin.delete_topics([name for name in await admin.list_topics() if name.startswith(marks)])
    finally:
        await admin.close()


def _name(topic: topics.Topic, settings: Settings) -> str:
    return topics.wire_name(topic, settings.namespace)


def _configs(topic: topics.Topic, settings: Settings) -> dict[str, str]:
    found = topics.settings_of(topic, retention_hours=settings.topic_retention_hours)
    if settings.replay_url:  # the time of a record is then when the broker got it, not the recording's
        found["message.timestamp.type"] = "LogAppendTime"
    return found


async def _create(admin: AIOKafkaAdminClient, wanted: list[NewTopic]) -> list[str]:
    """Make these; the names without those that somebody else has just made."""
    if not wanted:
        return []
    made = []
    for name, code, *rest in (await admin.create_topics(wanted)).topic_errors:
        error = for_code(code)
        if not code:
            made.append(name)
        elif error is not TopicAlreadyExistsError:
            raise DependencyDown(f"expected to make topic {name}, found {error.__name__} {rest}; see the broker's log")
    return made


async def _wait_led(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Until every partition has a leader: a client that subscribes before sees no partition for minutes."""
    deadline_s = time.monotonic() + _LEADERS_WITHIN_S
    while names:
        found = await admin.describe_topics(names)
        names = [topic["topic"] for topic in found if not _is_led(topic)]
        if names and time.monotonic() > deadline_s:
            raise DependencyDown(
                f"expected leaders for {', '.join(names)} within {_LEADERS_WITHIN_S:.0f} s, found none; "
                "see the broker's log"
            )
        await asyncio.sleep(0.02 if names else 0)


def _is_led(topic: dict[str, Any]) -> bool:
    places = topic["partitions"]
    return bool(places) and not topic["error_code"] and all(place["leader"] >= 0 for place in places)


async def _set(admin: AIOKafkaAdminClient, there: Mapping[str, dict[str, str]]) -> None:
    if there:
        topic = ConfigResourceType.TOPIC
        await admin.alter_configs([ConfigResource(topic, name, configs=found) for name, found in there.items()])

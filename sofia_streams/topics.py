"""The catalogue of topics: the only list. Names, keys, partitions, retention. Talks to no broker."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Topic(NamedTuple):
    """One topic. `keyed` ones are spread over the configured partitions by symbol; the others have one partition."""

    name: str
    key: str
    holds: str
    keyed: bool = True
    for_ever: bool = False
    """Whether no record is ever dropped: a replay of any time needs all of them."""
    record_bytes_max: int = 4 * 1024 * 1024


TRADES = Topic("trades", "symbol", "trades of one instrument that arrived together, and punctuation")
TICKERS = Topic("tickers", "symbol", "last price, best bid and ask, 24 h statistics, conflated; said again while quiet")
BARS = Topic(
    "bars",
    "symbol",
    "1 s and 1 m candles, per venue and consolidated; a later revision replaces; history, model swaps, silence",
)
GAPS = Topic("gaps", "symbol", "a hole or staleness and its end")
FEATURES = Topic("features", "symbol", "what was known behind each consolidated candle, and the candle as it was then")
PREDICTIONS = Topic("predictions", "symbol", "score of the model in force, or why it abstains; one a consolidated bar")
SIGNALS = Topic("signals", "symbol", "what to do, one a consolidated bar; silence, where none is to come")
MODEL_QUALITY = Topic("model_quality", "symbol", "how good predictions were, once their labels had matured")
MODELS = Topic("models", "model", "which model is in force from when", keyed=False, for_ever=True)
OUTAGES = Topic("outages", "store", "a store that could not be written, and what of the log it missed", keyed=False)
ORDERS = Topic("orders", "symbol", "a paper order as it stands; a later revision of its id replaces it")
FILLS = Topic("fills", "symbol", "paper executions")
ACCOUNT = Topic("account", "account", "the paper account as it stands; decisions on order, snapshots", keyed=False)
CONTROL = Topic("control", "account", "halts and resumes, and who said them", keyed=False, for_ever=True)
ALERTS = Topic("alerts", "source", "anything that must reach a person", keyed=False)
QUARANTINE = Topic("quarantine", "source", "bytes that could not be understood, and why", keyed=False)
HEALTH = Topic("health", "component", "what a worker has done so far", keyed=False)

TOPICS = {
    topic.name: topic
    for topic in (
        *(TRADES, TICKERS, BARS, GAPS, FEATURES, PREDICTIONS, SIGNALS, MODEL_QUALITY, MODELS),
        *(ORDERS, FILLS, ACCOUNT, CONTROL, OUTAGES, ALERTS, QUARANTINE, HEALTH),
    )
}


class Changelog(NamedTuple):
    """The changelog of a worker's table. A `keyed` one has as many partitions as the topics spread by symbol."""

    worker: str
    table: str
    keyed: bool = True


CHANGELOGS = (
    Changelog("ohlcv", "ohlcv"),
    Changelog("signals", "rolling_features"),
    Changelog("paper_oms", "account", keyed=False),
)
"""Every changelog."""


def wire_name(topic: Topic, namespace: str) -> str:
    """The topic's name on the broker: `sofia.trades.v1`, in a namespace `sofia.demo.trades.v1`."""
    return ".".join(["sofia", *filter(None, [namespace]), topic.name, "v1"])


class InPartition(Protocol):
    """A partition, or a record of it."""

    @property
    def topic(self) -> str: ...  # noqa: D102
    @property
    def partition(self) -> int: ...  # noqa: D102


def partition_name(place: InPartition) -> str:
    """ "topic/partition", by which stores, outages and people know a partition; the topic as it is on the broker."""
    return f"{place.topic}/{place.partition}"


class Stands(InPartition, Protocol):
    """A record of the log."""

    @property
    def offset(self) -> int: ...  # noqa: D102


def place_of(message: Stands) -> str:
    """ "topic/partition/offset", by which a record is named in others and to people."""
    return f"{partition_name(message)}/{message.offset}"


def partition_named(name: str) -> tuple[str, int]:
    """The topic and the number of a partition by its `partition_name`."""
    topic, _, partition = name.rpartition("/")
    return topic, int(partition)


def catalogue_name(place: InPartition) -> str:
    """The catalogue's name of a topic of ours: `trades` of `sofia.demo.trades.v1`."""
    return place.topic.split(".")[-2]


def partitions(topic: Topic | Changelog, configured: int) -> int:
    """How many partitions it has; `configured` is for those that are spread by symbol."""
    return configured if topic.keyed else 1


def app_id(worker: str, namespace: str) -> str:
    """The consumer group of a worker, and the first part of its changelog topics."""
    return "-".join(["sofia", *filter(None, [namespace]), worker])


def changelog_name(changelog: Changelog, namespace: str) -> str:
    """Its topic on the broker, as Faust names it."""
    return f"{app_id(changelog.worker, namespace)}-{changelog.table}-changelog"


def changelog_names(namespace: str) -> list[str]:
    """The topics of all changelogs on the broker."""
    return [changelog_name(one, namespace) for one in CHANGELOGS]


def all_partitions(namespace: str, configured: int) -> dict[str, int]:
    """How many partitions each topic of the namespace has, changelogs included, by its name on the broker."""
    found = {wire_name(topic, namespace): partitions(topic, configured) for topic in TOPICS.values()}
    return found | {changelog_name(one, namespace): partitions(one, configured) for one in CHANGELOGS}


def changelog_settings() -> dict[str, str]:
    """The broker's settings of a changelog. A worker reads all of it before it goes on, so it is kept short.

    A broker compacts closed segments only, and by default a segment is open until it has 1 GiB or is a week old, and a
    deleted row is kept for a day. The last must be longer than a worker needs to read it all. A row may be as large as
    a record of any topic: that of an instrument holds the id of each trade in its open seconds.
    """
    return {
        "cleanup.policy": "compact",
        "segment.bytes": str(1024 * 1024),
        "segment.ms": "600000",
        "min.cleanable.dirty.ratio": "0.2",
        "delete.retention.ms": "600000",
        "max.message.bytes": str(TRADES.record_bytes_max),
    }


def settings_of(topic: Topic, *, retention_hours: int) -> dict[str, str]:
    """The broker's settings of a topic; 0 hours keep records for ever."""
    hours = 0 if topic.for_ever else retention_hours
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(hours * 3_600_000) if hours else "-1",
        "max.message.bytes": str(topic.record_bytes_max),
    }

"""Training from a real QuestDB: candles as they were when features were computed, else the last revisions of bars."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec
import pytest
from stored_records import ANY_PORTS
from waiting import blocking_eventually as eventually

from sofia_streams.core.features.book import candle_of
from sofia_streams.embedded.stack import Stack
from sofia_streams.errors import ConfigError
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, Bar
from sofia_streams.scored import Features
from sofia_streams.stores.questdb import QuestDb
from sofia_streams.training.sources.bars import windows
from sofia_streams.training.sources.stored import read_stored

pytestmark = pytest.mark.broker
BEGIN_NS = 1_754_000_040_000_000_000
DAY = 1_440


@pytest.fixture
def questdb(tmp_path: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuestDb]:
    data_dir = tmp_path_factory.mktemp("training") / "data"
    with Stack(data_dir, kafka=False, preferred_ports=ANY_PORTS) as running:
        own = QuestDb(running.addresses.questdb_http, "training_")
        yield own
        own.close()


def bar(number: int, close: str | None, venue: str = CONSOLIDATED, quality: str = "complete") -> Bar:
    price, amount = None if close is None else Decimal(close), Decimal(0 if close is None else 3)
    return Bar(
        venue, "spot", "BTC/USDT", NS_PER_MINUTE, BEGIN_NS + number * NS_PER_MINUTE, price, price, price, price, amount,
        amount * (price or 0), amount / 2, int(amount), price, "", "", quality=quality,  # type: ignore[arg-type]
    )  # fmt: skip


def test_bars_are_read_exactly_and_features_go_before_them(questdb: QuestDb) -> None:
    with pytest.raises(ConfigError, match="found none"):  # no tables yet
        read_stored(questdb, "1m", NS_PER_MINUTE, None)
    questdb.create_tables({})
    with pytest.raises(ConfigError, match="found none"):  # and no rows in them
        read_stored(questdb, "1m", NS_PER_MINUTE, None)
    made = [bar(n, f"{60_000 + n}.123456789") for n in range(3 * DAY)]
    made[5], made[7] = bar(5, None), bar(7, "60007.5", quality="gap")
    single = [bar(3, "60003.9", "okx"), bar(3, "60002.1", "bybit")]
    scored = candle_of(bar(9, "59999.75"), {"okx": 59_999.5}, None)
    quiet = candle_of(bar(11, None), {}, 60_010.123456789)
    features = [
        Features("spot", "BTC/USDT", NS_PER_MINUTE, BEGIN_NS + at * NS_PER_MINUTE, "complete", candle, {})
        for at, candle in ((9, scored), (11, quiet))
    ]
    others = [
        *(msgspec.structs.replace(bar(n, f"{3_000 + n}", "okx"), symbol="ETH/USDT") for n in range(DAY)),
        *(msgspec.structs.replace(bar(n, f"{3_001 + n}", "bybit"), symbol="ETH/USDT") for n in range(DAY, 3 * DAY)),
    ]
    questdb.write([*made, *single, *others, *features])
    expected_counts = len(made) + len(single) + len(others), len(features)
    eventually(lambda: (questdb.count("bars_1m"), questdb.count("features_1m")) == expected_counts, within_s=60)
    both = windows(read_stored(questdb, "1m", NS_PER_MINUTE, None), NS_PER_MINUTE, data="QuestDB")
    found = [one for one in both if one.symbol == "BTC/USDT"]
    assert [one.start_ns for one in both[len(found) :]] == [one.start_ns for one in made[DAY:]], "bybit has most"
    assert {*both[-1].candle.venues} == {"bybit"}
    assert [one.start_ns for one in found] == [one.start_ns for one in made]
    closes: list[float] = [60_000.0]
    for number, one in enumerate(found):
        expected = candle_of(made[number], {"okx": 60_003.9, "bybit": 60_002.1} if number == 3 else {}, closes[-1])
        assert one.candle == {9: scored, 11: quiet}.get(number, expected), number
        closes.append(one.candle.close)
    newest = [*read_stored(questdb, "1m", NS_PER_MINUTE, 1)]
    assert [row.symbol for row in newest[:2]] == ["BTC/USDT", "ETH/USDT"], "by time"
    assert {row.start_ns for row in newest} == {one.start_ns for one in made[-DAY - 1 :]}

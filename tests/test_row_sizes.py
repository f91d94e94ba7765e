"""The largest row that `ohlcv` keeps is a record that its changelog takes."""

from decimal import Decimal
from uuid import UUID

import pytest

from sofia_streams import codec, topics
from sofia_streams.core.bars.candles import apply, store
from sofia_streams.core.bars.windows import Rules
from sofia_streams.errors import ConfigError
from sofia_streams.model import NS_PER_MS, NS_PER_SECOND, Trade, TradeBatch
from sofia_streams.settings import load_settings

LATENESS_MS_MAX = 10_000
BEGIN_NS = 1_700_000_040 * NS_PER_SECOND
A_RECORD = 2_000


def test_a_changelog_takes_records_as_large_as_every_topic_does():
    wanted = topics.settings_of(topics.BARS, retention_hours=1)["max.message.bytes"]
    assert topics.changelog_settings()["max.message.bytes"] == wanted


def test_no_longer_lateness_can_be_set():
    assert load_settings(None, {"LATENESS_MS": str(LATENESS_MS_MAX)}).lateness_ms == LATENESS_MS_MAX
    with pytest.raises(ConfigError, match="LATENESS_MS"):
        load_settings(None, {"LATENESS_MS": str(LATENESS_MS_MAX + 1)})


def test_with_the_longest_lateness_two_thousand_trades_a_second_with_long_ids_are_a_row_of_half_that_size():
    """Bybit's ids of contracts are UUIDs: nothing about them can be said shorter."""
    rows, number = {}, 0
    for second in range(LATENESS_MS_MAX // 1_000 + 2):
        found = []
        for place in range(A_RECORD):
            number += 1
            at_ns = BEGIN_NS + second * NS_PER_SECOND + place * NS_PER_SECOND // A_RECORD
            name = str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))
            found.append(Trade(name, Decimal("100.5"), Decimal("0.01"), "buy", at_ns, number))
        batch = TradeBatch("bybit", "linear", "BTC/USDT", BEGIN_NS, "1", found)
        step = apply(rows, batch, offset=second, rules=Rules(lateness_ns=LATENESS_MS_MAX * NS_PER_MS))
        store(rows, step.rows)
    largest = max(len(codec.encode(row)) for row in rows.values())
    assert 500_000 < largest < topics.BARS.record_bytes_max / 2

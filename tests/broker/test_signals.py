"""The signals worker on a real log: what is scored and what is not, swaps, kills, several workers, bad models."""

import signal
from collections import Counter
from collections.abc import Iterator

import pytest
from signals_scene import BEGIN_NS, SYMBOLS, bars_of, by_window, outputs, signals, stored_model, write_bars
from waiting import eventually

from sofia_streams import topics
from sofia_streams.crash_points import EXIT_CODE
from sofia_streams.embedded import process
from sofia_streams.errors import DependencyDown
from sofia_streams.logwrite import Written, write_records
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Bar
from sofia_streams.ops.workers import Lag, start_worker, wait_drained, wait_joined
from sofia_streams.scored import Refusal, Silence
from sofia_streams.settings import Settings
from sofia_streams.training.activation import activate, said_of_models

pytestmark = pytest.mark.broker


@pytest.fixture
async def settings(make_namespace) -> Settings:
    return await make_namespace(topic_partitions=3)


def bars_of_all(minutes: range) -> Iterator[Bar]:
    """Of all symbols, minute by minute."""
    by_symbol = [[*bars_of(symbol, minutes)] for symbol in SYMBOLS]
    yield from sorted((bar for bars in by_symbol for bar in bars), key=lambda bar: bar.start_ns)


async def run(settings: Settings, *, copies: int = 1) -> None:
    """Workers until they have taken everything."""
    workers = [start_worker("signals", settings, settings.data_dir, copy=number + 1) for number in range(copies)]
    try:
        await wait_drained(settings, workers, stalled_after_s=120)
    finally:
        process.stop(workers, grace_s=10)


async def found(settings: Settings) -> dict[str, dict[tuple[str, int], list[bytes]]]:
    return {name: by_window(records) for name, records in (await outputs(settings)).items()}


async def test_every_consolidated_bar_has_one_of_each_output_and_its_first_revision_counts(settings):
    await activate(settings, stored_model(settings, 1), reason="test", from_ns=BEGIN_NS + 100 * NS_PER_MINUTE)
    await write_bars(settings, bars_of_all(range(300)))
    ends_ns = BEGIN_NS + 300 * NS_PER_MINUTE
    quiet = [Silence("spot", symbol, ends_ns + second * NS_PER_SECOND) for symbol in SYMBOLS for second in range(3)]
    await write_records(settings, [Written(topics.BARS, one.symbol, one, one.until_ns) for one in quiet])
    await run(settings)
    logged = await signals(settings)
    for symbol in SYMBOLS:
        assert [one for one in logged if one.symbol == symbol][-3:] == [one for one in quiet if one.symbol == symbol]
    wrote = await found(settings)
    scored = {(bar.symbol, bar.start_ns): bar for bar in reversed([*bars_of_all(range(300))]) if bar.venue == "all"}
    for name, windows in wrote.items():
        assert set(windows) == set(scored), name
        assert {len(records) for records in windows.values()} == {1}, name
    said = Counter()
    for one in (await outputs(settings))["predictions"]:
        bar = scored[one.symbol, one.start_ns]
        said[one.abstention] += 1
        expected = None
        if one.end_ns < BEGIN_NS + 100 * NS_PER_MINUTE:
            expected = "no model"
        elif bar.quality in ("gap", "stale"):
            expected = bar.quality
        elif bar.close is None:
            expected = "no trades"
        assert one.abstention == expected or one.abstention == "not ready", one
    print("bars by abstention", said)
    assert min(said[one] for one in (None, "no model", "gap", "stale", "no trades")) > 0
    assert said[None] > 1_000


async def test_a_worker_that_stands_still_is_not_waited_for(settings):
    worker = start_worker("signals", settings, settings.data_dir)
    try:
        await wait_joined(settings, [worker], timeout_s=60)
        worker.signal(signal.SIGSTOP)
        await write_bars(settings, bars_of("BTC/USDT", range(3)))
        with pytest.raises(DependencyDown, match=r"signals: .* committed nothing for 1 s with \d+ records left"):
            await wait_drained(settings, [worker], stalled_after_s=1)
    finally:
        worker.signal(signal.SIGCONT)
        process.stop([worker], grace_s=10)


async def test_a_swap_under_load_is_at_one_bar_for_all_symbols_and_no_bar_is_missed_or_scored_twice(settings):
    """Bars come while three workers score, and the second model while bars come."""
    first, second = stored_model(settings, 1), stored_model(settings, 2)
    await activate(settings, first, reason="first", from_ns=0)
    swap_ns = BEGIN_NS + 200 * NS_PER_MINUTE
    workers = [start_worker("signals", settings, settings.data_dir, copy=number) for number in (1, 2, 3)]
    try:
        await wait_joined(settings, workers, timeout_s=60)
        await write_bars(settings, bars_of_all(range(150)))
        await activate(settings, second, reason="second", from_ns=swap_ns)
        await write_bars(settings, bars_of_all(range(150, 300)))
        await wait_drained(settings, workers, stalled_after_s=120)
    finally:
        process.stop(workers, grace_s=10)
    counts = Counter()
    for one in (await outputs(settings))["predictions"]:
        assert one.model_id == (first if one.end_ns < swap_ns else second).document.model_id
        counts[one.symbol, one.start_ns] += 1
    assert set(counts.values()) == {1}
    assert len(counts) == len({(bar.symbol, bar.start_ns) for bar in bars_of_all(range(300)) if bar.venue == "all"})


async def test_a_worker_killed_again_and_again_writes_what_an_undisturbed_one_does(settings, make_namespace):
    """At crash points and by -9, in a log with a swap; another namespace has the run without kills."""
    calm = await make_namespace(topic_partitions=1)
    for one in (settings, calm):
        await activate(one, stored_model(one, 1), reason="first", from_ns=0)
        await write_bars(one, bars_of_all(range(150)))
        await activate(one, stored_model(one, 2), reason="second", from_ns=BEGIN_NS + 200 * NS_PER_MINUTE)
        await write_bars(one, bars_of_all(range(150, 300)))
    await run(calm)
    for point in ("published", "rows_sent", "acknowledged"):
        worker = start_worker("signals", settings, settings.data_dir, crash_at=f"{point}:150")
        await eventually(lambda child=worker: _ended(child), within_s=60)
        assert worker.exit_code() == EXIT_CODE
    for share in (0.5, 0.7):
        await kill_9_at(settings, share)
    await run(settings)
    disturbed, expected = await found(settings), await found(calm)
    for name in ("features", "predictions", "signals"):
        assert set(disturbed[name]) == set(expected[name])
        for window, records in disturbed[name].items():
            assert {*records} == {*expected[name][window]}, (name, window)


async def kill_9_at(settings: Settings, share: float) -> None:
    """A worker, once such a share of the records is committed."""
    worker = start_worker("signals", settings, settings.data_dir)
    async with Lag(settings) as lag:
        total = sum(end for _, end in (await lag.positions("signals")).values())
        await eventually(lambda: _is_committed(lag, share * total), within_s=60)
    worker.signal(signal.SIGKILL)
    process.stop([worker], grace_s=10)


async def _is_committed(lag: Lag, records: float) -> bool:
    return await lag.committed("signals") >= records


async def _ended(child: process.Child) -> bool:
    return child.exit_code() is not None


@pytest.mark.parametrize("damage", ["missing", "truncated", "other hash"])
async def test_a_model_that_cannot_be_loaded_is_refused_and_the_one_before_goes_on(settings, damage):
    first, second = stored_model(settings, 1), stored_model(settings, 3)
    await activate(settings, first, reason="first", from_ns=0)
    await activate(settings, second, reason="second", from_ns=BEGIN_NS + 100 * NS_PER_MINUTE)
    path = second.folder / "model.json"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-100] if damage == "truncated" else path.read_bytes() + b" ")
    await write_bars(settings, bars_of_all(range(150)))
    await run(settings)
    models = {one.model_id for one in (await outputs(settings))["predictions"]}
    assert models == {first.document.model_id}
    refusals = [one for one in await said_of_models(settings) if isinstance(one, Refusal)]
    assert {one.model_id for one in refusals} == {second.document.model_id}
    assert 1 <= len(refusals) <= 3  # one a partition that has symbols
    assert all("expected" in one.reason for one in refusals)

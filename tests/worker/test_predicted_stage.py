"""How long a prediction took is told from its bar's header, in the form in which the log's client hands it over."""

import time

import pytest

from sofia_streams.obs import metrics
from sofia_streams.worker.scoring import observe


def seen(stage):
    """(count, sum in ms) of a stage so far."""
    histogram = metrics.STAGE_MS.labels(stage)
    return sum(bucket.get() for bucket in histogram._buckets), histogram._sum.get()


@pytest.mark.parametrize("form", [lambda pairs: tuple(pairs), lambda pairs: dict(pairs)])
def test_both_stages_are_timed_from_the_bars_header(form):
    before = {stage: seen(stage) for stage in ("predicted", "bar_to_prediction")}
    now_ms = time.time() * 1e3
    observe(form([("received_ms", str(int(now_ms - 5_000)).encode())]), int((now_ms - 8_000) * 1e6))
    for stage, expected_ms in (("predicted", 5_000), ("bar_to_prediction", 8_000)):
        count, total_ms = seen(stage)
        assert count == before[stage][0] + 1
        assert expected_ms <= total_ms - before[stage][1] < expected_ms + 1_000


@pytest.mark.parametrize("headers", [None, (), (("other", b"1"),)])
def test_a_bar_that_no_record_closed_is_not_timed(headers):
    before = seen("predicted")
    observe(headers, 0)
    assert seen("predicted") == before

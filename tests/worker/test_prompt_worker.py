"""A prompt worker takes a record as it comes and sends at once; the others take and send many together."""

import pytest

from sofia_streams.app import create_app
from sofia_streams.settings import load_settings
from sofia_streams.worker.transport import FETCH_BYTES_MIN, FETCH_MS_MAX


@pytest.mark.parametrize(("is_prompt", "bytes_min", "linger_s"), [(True, 1, 0.0), (False, FETCH_BYTES_MIN, 0.01)])
async def test_what_its_client_asks_the_log_for(is_prompt, bytes_min, linger_s):
    settings = load_settings(None, {"BROKER_URL": "kafka://127.0.0.1:1"})
    app = create_app("signals", settings, is_prompt=is_prompt)
    consumer = app.consumer._new_consumer_thread()._create_worker_consumer(app.transport)
    await consumer.stop()
    assert (consumer._fetch_min_bytes, consumer._fetch_max_wait_ms) == (bytes_min, FETCH_MS_MAX)
    assert app.conf.producer_linger == linger_s

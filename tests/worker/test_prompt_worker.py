"""What each pace asks of the log, and how long it keeps what it sends."""

import pytest

from sofia_streams.app import create_app
from sofia_streams.settings import load_settings
from sofia_streams.worker.transport import BRISK, CALM, PROMPT, STEADY


@pytest.mark.parametrize("pace", [CALM, STEADY, BRISK, PROMPT])
async def test_what_its_client_asks_the_log_for(pace):
    settings = load_settings(None, {"BROKER_URL": "kafka://127.0.0.1:1"})
    app = create_app("signals", settings, pace=pace)
    consumer = app.consumer._new_consumer_thread()._create_worker_consumer(app.transport)
    await consumer.stop()
    assert (consumer._fetch_max_wait_ms, consumer._fetch_min_bytes) == pace[:2]
    assert app.conf.producer_linger == pace.linger_s

"""Exchange sockets into the log.   in WebSockets or a replay   out trades, gaps, tickers, quarantine, alerts, health"""

from __future__ import annotations

from sofia_streams.app import create_app
from sofia_streams.ingest.intake import Intake, Limits
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.rest.listing_check import check_listings
from sofia_streams.ingest.sockets.live import run_live
from sofia_streams.ingest.sockets.replayed import replay
from sofia_streams.ingest.trade_log import TradeLog
from sofia_streams.logread import read_gaps
from sofia_streams.settings import load_settings
from sofia_streams.worker.logtail import read_tail

settings = load_settings()
app = create_app("crypto_ws", settings, reads_log=False)
names = Names(settings.listings(), guesses=settings.replay_url is not None)
intake = Intake(Limits.of(settings), names)


@app.task
async def run() -> None:
    """Remember the end of the log, then take frames."""
    async for gap in read_gaps(settings):
        intake.remember(gap)
    async for record in read_tail(settings):
        intake.remember(record)
    async with TradeLog(settings) as log:
        if settings.replay_url:
            await replay(settings.replay_url, intake, log)
        else:
            await run_live(settings, intake, names, log)


@app.task
async def check() -> None:
    """Beside the frames, once: are the configured pairs listed?"""
    if not settings.replay_url:
        await check_listings(settings)


if __name__ == "__main__":
    app.main()

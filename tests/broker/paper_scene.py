"""A made-up market that is traded: quotes and prints of four venues, a model, settings that make an account busy."""

from itertools import takewhile
from pathlib import Path

from signals_scene import stored_model

from sofia_streams.capture import CapturedFrame, CaptureWriter
from sofia_streams.model import NS_PER_SECOND, ParsedTrade
from sofia_streams.settings import Settings
from sofia_streams.simulator.market import Market, Plan
from sofia_streams.training.registry import Stored
from sofia_streams.venues.registry import VENUES

START_NS, SECONDS = 1_760_000_040_000_000_000, 240
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
BUSY = {
    "SIGNALS_BAR_SIZE": "1s",
    "AI_MIN_SIGNAL_CONFIDENCE": "0.5",
    "PAPER_PARTICIPATION_PCT": "2",
    "PAPER_IMPACT": "0.1",
    "PAPER_TAKE_PROFIT_BPS": "2",
    "PAPER_STOP_LOSS_BPS": "3",
    "PAPER_ORDERS_PER_MIN": "12",
    "PAPER_DAILY_LOSS_PCT": "50",
    "PAPER_DRAWDOWN_PCT": "0.09",
    "PAPER_LOSSES_MAX": "0",
}
"""Orders every few seconds, fills in parts, guards by price, too many orders a minute, and a halt near the end."""


def write_market(path: Path, seconds: int = SECONDS) -> Path:
    """A recording of prints and quotes; three symbols, in order."""
    events = Market(Plan(tuple(VENUES), SYMBOLS, 8.0, 7), START_NS).events()
    with CaptureWriter(path) as writer:
        for event in takewhile(lambda event: event.at_ns < START_NS + seconds * NS_PER_SECOND, events):
            venue, said = VENUES[event.venue], event.said
            frames = [venue.encode_trade(said)] if isinstance(said, ParsedTrade) else venue.encode_ticker(said)
            for frame in frames:
                writer.write(CapturedFrame(event.at_ns, event.venue, "spot", event.venue, "in", frame))
    return path


def busy_model(settings: Settings) -> Stored:
    """In the registry of the settings."""
    return stored_model(settings, 1, NS_PER_SECOND)

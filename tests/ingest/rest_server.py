"""Shared by tests of what goes through ccxt: the simulator's REST on a free port, and the place that points there."""

from contextlib import asynccontextmanager

from websockets.asyncio.server import serve

from sofia_streams.ingest.rest.budget import forget_budgets
from sofia_streams.ingest.rest.instruments import Place
from sofia_streams.simulator.faults import parse_faults
from sofia_streams.simulator.server import Exchanges
from sofia_streams.venues.registry import VENUES


@asynccontextmanager
async def serving_rest(rest, faults=(), seed=1):
    """The port of a simulator that has only this REST."""
    forget_budgets()
    exchanges = Exchanges({}, parse_faults(faults), seed, rest=rest)
    async with serve(exchanges.serve, "127.0.0.1", 0, process_request=exchanges.plain_http) as server:
        yield next(iter(server.sockets)).getsockname()[1]


def at(port, kept=None, say=lambda text: None):
    return Place({venue: f"http://127.0.0.1:{port}/{venue}" for venue in VENUES}, kept, say)

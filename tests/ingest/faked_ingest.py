"""A process of its own with ingest on one venue: says what it has read, and what it alerted. `faked_ingest.py URL`."""

import asyncio
import json
import sys

from scripted import PAIRS, addresses, hastened, taken_ids
from sockets import Kept

from sofia_streams.ingest.intake import Intake
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.sockets.live import run_live
from sofia_streams.model import Gap, Punctuation, Quarantined
from sofia_streams.settings import Settings


async def main(url):
    names, log = Names(), Kept()
    settings = Settings(crypto_exchanges=("bybit",), crypto_symbols=PAIRS)
    with hastened("bybit"), addresses({"bybit": url}):
        running = asyncio.create_task(run_live(settings, Intake(names=names), names, log))
        while not running.done():
            await asyncio.sleep(0.1)
            kinds = [type(one).__name__ for one in log.records if isinstance(one, Gap | Quarantined | Punctuation)]
            found = {
                "ids": taken_ids(log, PAIRS[0], "bybit"),
                "alerts": [alert.text for alert in log.alerts],
                "odd": [kind for kind in kinds if kind != "Punctuation"],
                "reports": len(log.reports),
            }
            print(json.dumps(found), flush=True)
        running.result()


asyncio.run(main(sys.argv[1]))

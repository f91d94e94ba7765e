"""Lots of paper trading from kept answers: what was kept by the real command, nothing where there is none."""

from decimal import Decimal

import pytest
from rest_server import serving_rest

from sofia_streams.core.oms.rules import Lot
from sofia_streams.ingest.rest.instruments import Place, listed
from sofia_streams.ingest.rest.lots import kept_lots
from sofia_streams.settings import Settings
from sofia_streams.simulator.instrument import SimulatedInstrument
from sofia_streams.simulator.rest import Rest


def test_nothing_kept_is_no_lots(tmp_path):
    assert kept_lots(Settings(data_dir=tmp_path)) == {}


@pytest.mark.slow
async def test_lots_are_those_of_the_last_answers_and_an_override_has_its_listings(tmp_path):
    simulated = [SimulatedInstrument("binance", "BTC/USDT", 0), SimulatedInstrument("coinbase", "BTC/USD", 0)]
    async with serving_rest(Rest(simulated)) as port:
        settings = Settings(
            data_dir=tmp_path,
            simulator_url=f"ws://127.0.0.1:{port}",
            symbol_overrides=("coinbase:BTC/USDT=BTC-USD",),
        )
        for venue in ("binance", "coinbase"):
            await listed(venue, "spot", Place.of(settings))
    found = kept_lots(settings)
    assert sorted(found) == [("binance", "BTC/USDT"), ("coinbase", "BTC/USD"), ("coinbase", "BTC/USDT")]
    first = found["binance", "BTC/USDT"]
    assert (first.price_tick, first.quantity_step) == (simulated[0].tick, Decimal(1).scaleb(-simulated[0].lot_digits))
    assert found["coinbase", "BTC/USDT"] == found["coinbase", "BTC/USD"] != Lot()
    # answers of the real venues are others
    assert kept_lots(Settings(data_dir=tmp_path, symbol_overrides=settings.symbol_overrides)) == {}


@pytest.mark.parametrize("tick", ['"0"', '"-1"', '"NaN"', "null"])
def test_a_size_that_cannot_be_is_not_known(tmp_path, tick):
    folder = tmp_path / "instruments"
    folder.mkdir()
    (folder / "okx-spot.json").write_text(
        '{"schema":1,"as_of_ns":1,"ccxt":"4","instruments":[{"venue":"okx","market":"spot","symbol":"BTC/USDT",'
        '"listing":"BTC-USDT","base":"BTC","quote":"USDT","settle":null,"contract_size":null,"price_tick":'
        f'{tick},"quantity_step":"0.001","quantity_min":null,"notional_min":"5","active":true,"as_of_ns":1}}]}}'
    )
    assert kept_lots(Settings(data_dir=tmp_path)) == {
        ("okx", "BTC/USDT"): Lot(None, Decimal("0.001"), None, Decimal(5))
    }

"""The row that the paper account comes back from: sealed, refused where it was changed, and what its settings lack."""

import re
from decimal import Decimal
from types import SimpleNamespace

import msgspec
import pytest

from sofia_streams import codec
from sofia_streams.core.oms.rules import Instrument, Rules
from sofia_streams.core.oms.steps import PaperSteps
from sofia_streams.errors import BadRecord
from sofia_streams.settings import Settings
from sofia_streams.worker.accounting import Accounting

HELD = [Instrument("binance", "spot", "BTC/USDT")]


def sealed():
    """Of an account that holds one bitcoin."""
    steps = PaperSteps(Rules(), HELD)
    money = steps.books.money
    money.settle(money.holding("spot", "BTC/USDT"), "buy", Decimal(1), Decimal(100), Decimal("0.1"), 5)
    return codec.seal(steps.row())


def test_a_row_comes_back_as_it_was_also_through_the_changelog():
    data = sealed()
    read_back = codec.encode(codec.decode_row(data))
    assert read_back == data
    row = codec.opened(read_back)
    assert row.books.money.holding("spot", "BTC/USDT").quantity == 1
    assert codec.seal(row) == data


def test_a_row_in_which_any_digit_was_changed_is_refused():
    data = sealed()
    places = [one.start() for one in re.finditer(rb"[0-9]", data)]
    assert len(places) > 50
    for place in places:
        other = b"8" if data[place : place + 1] == b"7" else b"7"
        with pytest.raises(BadRecord, match="account's state is damaged"):
            codec.opened(data[:place] + other + data[place + 1 :])


async def test_a_damaged_row_is_no_new_account():
    def make(row):
        raise AssertionError("no account is made")

    for found in (msgspec.Raw(sealed().replace(b"BTC", b"ETH")), codec.decode_row(sealed().replace(b"BTC", b"ETH"))):
        accounting = Accounting(Settings(), SimpleNamespace(data={"paper": found}), make, key="paper")
        with pytest.raises(BadRecord, match="expected the row of the table `account`, found digest"):
            await accounting.begin()


def test_positions_that_the_settings_leave_out_are_named():
    row = codec.opened(sealed())
    assert PaperSteps(Rules(), HELD, row=row).stranded() == []
    (left,) = PaperSteps(Rules(), [Instrument("binance", "spot", "ETH/USDT")], row=row).stranded()
    assert (left.symbol, left.quantity) == ("BTC/USDT", 1)

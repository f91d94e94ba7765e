"""The strict decimal parser: venue digits and nothing else."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.model import decimal_from_text, positive_from_text

BAD = ["NaN", "Infinity", "1_000", "1e5", "1e999999999", "１２３", "", " 1", "1 ", "+1", ".5", "5.", "9" * 21, "1\n"]


@pytest.mark.parametrize("text", BAD)
def test_what_decimal_takes_and_venues_never_send_is_refused(text):
    with pytest.raises(ValueError, match="expected plain decimal"):
        decimal_from_text(text)


@pytest.mark.parametrize("text", ["0", "0.000", "-1", *BAD])
def test_a_price_is_above_zero(text):
    with pytest.raises(ValueError, match="above zero"):
        positive_from_text(text)


@given(st.integers(1, 10**20 - 1), st.integers(0, 20))
def test_every_digit_is_kept(units, places):
    text = f"{units:0{places + 1}d}"
    text = f"{text[:-places]}.{text[-places:]}" if places else text
    assert str(positive_from_text(text)) == str(Decimal(text))

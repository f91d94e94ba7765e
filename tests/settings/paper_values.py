"""Values that settings of paper trading may have, for tests that draw them."""

from typing import Literal, get_args, get_origin

from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from sofia_streams.settings.paper import PaperSettings

_FEES = st.tuples(st.decimals(-9999, 9999, places=2), st.decimals(0, 9999, places=6)).map("{0[0]:f}/{0[1]:f}".format)
_OWN = {
    "paper_currency": st.from_regex(r"[A-Z0-9]{2,12}", fullmatch=True),
    "paper_order_ttl_s": st.integers(61, 86_400),  # longer than any latency
    "paper_latency_ms": st.integers(0, 59_999),
    "paper_policy": st.from_regex(r"[a-z][a-z0-9_]{0,40}", fullmatch=True),
    "paper_fees": st.dictionaries(st.sampled_from(["binance", "okx", "bybit"]), _FEES, min_size=1).map(
        lambda found: tuple(f"{venue}={fee}" for venue, fee in found.items())
    ),
}


def _values(field: FieldInfo) -> st.SearchStrategy[object]:
    if get_origin(field.annotation) is Literal:
        return st.sampled_from(get_args(field.annotation))
    if field.annotation is bool:
        return st.booleans()
    marks = {key: getattr(mark, key) for mark in field.metadata for key in ("gt", "ge", "le") if hasattr(mark, key)}
    if field.annotation is int:
        return st.integers(marks["ge"], marks.get("le", 10**14))
    return st.decimals("0.0001" if "gt" in marks else 0, marks.get("le", 10**9), places=4)


PAPER_VALUES = {name: _values(field) for name, field in PaperSettings.model_fields.items() if name not in _OWN} | _OWN

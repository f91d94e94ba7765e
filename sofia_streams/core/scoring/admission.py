"""Whether a bar is scored, and if not, why: in words that go into the prediction record. Pure.

A model abstains rather than guess: on a bar that lacks trades, on features that are not known, past its own end.
"""

from __future__ import annotations

from typing import Literal, get_args

from sofia_streams.core.scoring.document import Document
from sofia_streams.model import Bar, Quality

Abstention = Literal["no model", "gap", "stale", "no trades", "not ready", "expired", "other features", "other size"]
_UNFIT: dict[Quality, Abstention] = {"gap": "gap", "stale": "stale"}
ABSTENTIONS: tuple[Abstention, ...] = get_args(Abstention)


def abstains(bar: Bar, document: Document | None, schemas: dict[str, str], *, is_ready: bool) -> Abstention | None:
    """Why this bar is not scored by this model; None where it is.

    `schemas` are the hashes of the feature sets that the values come from, `is_ready` whether every input is known.
    """
    if document is None:
        return "no model"
    if bar.size_ns != document.size_ns:
        return "other size"
    if any(schemas.get(name) != schema for name, schema in document.schemas.items()):
        return "other features"
    if bar.start_ns + bar.size_ns > document.expires_ns:
        return "expired"
    if bar.quality in _UNFIT:
        return _UNFIT[bar.quality]
    if bar.close is None:
        return "no trades"
    return None if is_ready else "not ready"

"""How long each stage took, from the histograms that workers serve at /metrics. Measures nothing itself.

A stage is timed from the time of its log record. That is the receipt at the socket when venues are live. In a replay
receipts are as old as the recording, so there the broker stamps records on appending, and a stage is timed from then.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from sofia_streams.embedded.ports import HOST
from sofia_streams.errors import DependencyDown

_TIMEOUT_S = 10
_SHARES = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99))
Buckets = dict[float, float]
"""Cumulative counts by upper bound in ms; the last bound is infinite."""


def read_page(port: int) -> list[Metric]:
    """What one worker serves at /metrics. Raises DependencyDown."""
    connection = http.client.HTTPConnection(HOST, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise DependencyDown(f"expected metrics at http://{HOST}:{port}/metrics, found {error!r}") from error
    finally:
        connection.close()
    return [*text_string_to_metric_families(text)]


def read_stages(port: int) -> dict[str, Buckets]:
    """The buckets of every stage of one worker. Raises DependencyDown."""
    found: dict[str, Buckets] = {}
    for family in read_page(port):
        if family.name == "sofia_stage_ms":
            for sample in family.samples:
                if sample.name.endswith("_bucket"):
                    found.setdefault(sample.labels["stage"], {})[float(sample.labels["le"])] = sample.value
    return found


def quantiles(buckets: Mapping[float, float]) -> dict[str, float]:
    """p50, p95 and p99 in ms and how many records they are of, interpolated inside a bucket (20 % wide)."""
    total = max(buckets.values(), default=0.0)
    return {"records": total, **{name: round(_quantile(buckets, share * total), 2) for name, share in _SHARES}}


def _quantile(buckets: Mapping[float, float], rank: float) -> float:
    below_ms = below_count = 0.0
    for bound_ms, count in sorted(buckets.items()):
        if count >= rank and count > below_count:
            if bound_ms == float("inf"):
                return below_ms  # over the largest bound; how far is not known
            return below_ms + (bound_ms - below_ms) * (rank - below_count) / (count - below_count)
        below_ms, below_count = bound_ms, count
    return 0.0

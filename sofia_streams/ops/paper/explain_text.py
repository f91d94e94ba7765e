"""What `sofia explain` found, as lines for people. Plain text; reads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sofia_streams.model import NS_PER_SECOND

_FEATURES, _TRADES = 12, 3
"""So many features, and trades from either end, are shown; `--json` has all."""
_INDENT = "  "


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """From the order back to its trades, then what is not there any more."""
    if "meaning" in found:
        yield f"{found['code']}: {found['meaning']}"
        return
    yield from _order(found)
    for fill in found.get("fills", []):
        yield from _fill(fill)
    if cause := found.get("cause"):
        yield from _cause(cause)
    for text in found["missing"]:
        yield f"not shown: {text}"


def _order(found: Mapping[str, Any]) -> Iterator[str]:
    if (order := found.get("order")) is None:
        return
    price = order.get("limit_price") or order.get("stop_price")
    yield (
        f"order {order['order_id']}: {order['purpose']}, {order['side']} {order['quantity']} {order['symbol']} at "
        f"{order['venue']}, {order['type']}{f' {price}' if price else ''}, {order['status']}"
    )
    for one in found["revisions"]:
        yield f"{_INDENT}{_moment(one['at_ns'])} {one['status']} [{one['place']}]" + (
            f" {one['reason']}" if one["reason"] else ""
        )
    for code, meaning in (found["reason"] or {}).items():
        yield f"{_INDENT}{code}: {meaning}"


def _fill(found: Mapping[str, Any]) -> Iterator[str]:
    fill = found["fill"]
    yield (
        f"fill {fill['fill_id']}: {fill['quantity']} at {fill['price']}, {fill['liquidity']}, fee {fill['fee_quote']}, "
        f"{_moment(fill['at_ns'])} [{found['place_in_log']}]"
    )
    yield f"{_INDENT}{_evidence(found['evidence'])}"


def _evidence(found: Mapping[str, Any]) -> str:
    record = found["record"]
    if record is None:
        return f"{found['evidence']}: {found['missing']}"
    names = ("venue", "price", "quantity", "taker_side", "last", "bid", "ask", "bid_quantity", "ask_quantity")
    shown = ", ".join(f"{name} {record[name]}" for name in names if record.get(name) is not None)
    return f"{found['evidence']}: {shown} [{found['place']}]"


def _cause(cause: Mapping[str, Any]) -> Iterator[str]:
    if cause["kind"] == "fill":
        fill = cause["fill"]
        what = f"{fill['side']} {fill['quantity']} at {fill['price']}"
        yield f"because of fill {fill['fill_id']}: {what} [{cause['place']}]"
        yield f"{_INDENT}{_evidence(cause['evidence'])}"
        if behind := cause.get("behind"):
            yield "behind it:"
            yield from (f"{_INDENT}{line}" for line in lines(behind))
    elif cause["kind"] == "command":
        command = cause["command"]
        yield f"because of {command['action']} by {command['by']}: {command['reason']} [{cause['place']}]"
    elif cause["kind"] == "signal":
        yield from _signal(cause)


def _signal(cause: Mapping[str, Any]) -> Iterator[str]:
    if one := cause["signal"]:
        record = one["record"]
        yield (
            f"because of signal {record['action']} at {_moment(record['start_ns'] + record['size_ns'])}: "
            f"{record['reason']}, confidence {record.get('confidence')} [{one['place']}]"
        )
    if one := cause["prediction"]:
        record = one["record"]
        yield (
            f"prediction {record.get('prediction_class')}: raw {record.get('raw_score')}, calibrated "
            f"{record.get('calibrated_score')} [{one['place']}]"
        )
    if one := cause["model"]:
        said = one["activation"]
        since = f"in force since {_moment(said['from_ns'])}" if said else "no record of `models` says so"
        yield f"model {one['model_id']}, sha256 {one['sha256']}, {since}"
        if one["card"]:
            yield f"{_INDENT}{one['card']['verdict']}"
    if one := cause["features"]:
        yield f"features [{one['place']}]"
        for name, values in one["values"].items():
            shown = ", ".join(f"{feature} {value}" for feature, value in [*values.items()][:_FEATURES])
            left = len(values) - _FEATURES
            yield f"{_INDENT}{name}: {shown}{f', and {left} more' if left > 0 else ''}"
    yield from _bar(cause)


def _bar(cause: Mapping[str, Any]) -> Iterator[str]:
    if one := cause["bar"]:
        bar = one["record"]
        yield (
            f"bar {_moment(bar['start_ns'])}, {bar['size_ns'] // NS_PER_SECOND} s: open {bar['open']}, high "
            f"{bar['high']}, low {bar['low']}, close {bar['close']}, volume {bar['volume']}, {bar['trade_count']} "
            f"trades [{one['place']}]"
        )
    if one := cause["trades"]:
        yield f"trades: {one['count']} with {one['quantity']}"
        trades = one["trades"]
        shown = trades if len(trades) <= 2 * _TRADES else [*trades[:_TRADES], None, *trades[-_TRADES:]]
        for trade in shown:
            yield _INDENT + (
                "…" if trade is None else
                f"{trade['venue']} {trade['trade_id']}: {trade['quantity']} at {trade['price']} [{trade['place']}]"
            )  # fmt: skip


def _moment(at_ns: int) -> str:
    seconds, rest_ns = divmod(at_ns, NS_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // 1_000_000:03d}Z"

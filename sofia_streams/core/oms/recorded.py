"""The rules, lots and instruments that an account went by, as names and texts: what of them was changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from sofia_streams.core.oms.money import told
from sofia_streams.core.oms.rules import Instrument, Lot, Rules


def recorded(
    rules: Rules, instruments: Iterable[Instrument], lots: Iterable[tuple[str, str, Lot]]
) -> dict[str, str]:
    """By name: "limits.collar", "input binance|spot|BTC/USDT", "lot binance BTC/USDT".

    Decimals have all their digits and no zeros behind them, so that 5 and 5.0 are the same.
    """
    found: dict[str, str] = {}
    for name, value in rules._asdict().items():
        if isinstance(value, tuple) and hasattr(value, "_asdict"):
            found |= {f"{name}.{field}": _text(one) for field, one in value._asdict().items()}
        else:
            found[name] = _text(value)
    for one in instruments:
        found[f"input {one.venue}|{one.market}|{one.symbol}"] = "with quotes" if one.has_tickers else "trades alone"
    return found | {f"lot {venue} {symbol}": _text(tuple(lot)) for venue, symbol, lot in lots}


def changed(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """What differs, a line each: "limits.collar: 0.02, now 0.05"."""
    names = [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
    return [f"{name}: {then.get(name, 'not there')}, now {now.get(name, 'not there')}" for name in names]


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return told(value)
    if isinstance(value, tuple):
        return " ".join(map(_text, value))
    return "-" if value is None else str(value)

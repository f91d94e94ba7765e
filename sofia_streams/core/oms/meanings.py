"""What each reason code means, in words: one table for `sofia explain` and the docs. Decides nothing."""

from __future__ import annotations

from sofia_streams.core.oms import reasons

MEANINGS: dict[str, str] = {
    reasons.TRADING_HALTED: "trading is halted by `sofia halt`, the daily loss or the drawdown, until `sofia resume`",
    reasons.TRADING_REDUCING: "the daily loss limit is reached: until the next UTC day only exits are taken",
    reasons.COOL_DOWN: "losing round trips in a row: nothing new for a while (PAPER_LOSSES_MAX, PAPER_COOL_DOWN_S)",
    reasons.UNKNOWN_SYMBOL: "no venue has quoted or traded this symbol yet",
    reasons.OTHER_CURRENCY: "the pair is not quoted in the account's currency (PAPER_CURRENCY)",
    reasons.NO_QUOTE: "the venue has no best bid or no best ask",
    reasons.STALE_QUOTE: "the last quote is older than PAPER_QUOTE_AGE_S_MAX",
    reasons.CROSSED_QUOTE: "the best bid is not below the best ask: one of them is wrong",
    reasons.DATA_GAP: "trades of the venue are known to be missing right now",
    reasons.STALE_SIGNAL: "the signal came longer behind its bar than PAPER_SIGNAL_AGE_S_MAX",
    reasons.QUANTITY_BELOW_MINIMUM: "less than the venue's smallest quantity, or than one step of it",
    reasons.NOTIONAL_BELOW_MINIMUM: "worth less than the venue takes",
    reasons.NOTIONAL_EXCEEDS_MAXIMUM: "worth more than one order may be (PAPER_ORDER_NOTIONAL_MAX)",
    reasons.PRICE_OUTSIDE_COLLAR: "a price too far from the middle of the market (PAPER_PRICE_COLLAR_PCT)",
    reasons.POSITION_EXCEEDS_MAXIMUM: "with open orders, too large a position (PAPER_MAX_POSITION_SIZE_PCT)",
    reasons.GROSS_EXPOSURE_EXCEEDS_MAXIMUM: "with open orders, too large positions together (PAPER_GROSS_EXPOSURE_PCT)",
    reasons.CASH_INSUFFICIENT: "less cash than the order may cost, fees and what open orders have reserved included",
    reasons.SHORT_NOT_ENABLED: "it would sell more than is held (PAPER_SHORT_ENABLED)",
    reasons.ORDER_RATE_EXCEEDED: "too many orders this second or minute (PAPER_ORDERS_PER_S, PAPER_ORDERS_PER_MIN)",
    reasons.OPEN_ORDERS_EXCEED_MAXIMUM: "too many orders are open (PAPER_OPEN_ORDERS_MAX)",
    reasons.REDUCE_ONLY_WOULD_INCREASE: "an exit that would open or enlarge a position: what it was to reduce is gone",
    reasons.NOT_FILLED_AT_ONCE: "what an immediate order could not get at once",
    reasons.TIME_IN_FORCE_ENDED: "its time was over (PAPER_ORDER_TTL_S); a code behind it says what held it up",
    reasons.DAILY_LOSS: "the account lost its daily limit (PAPER_DAILY_LOSS_PCT), or one and a half times that",
    reasons.DRAWDOWN: "the account is too far below its highest equity (PAPER_DRAWDOWN_PCT)",
    reasons.HALTED_BY_COMMAND: "somebody halted trading (`sofia halt`)",
    reasons.POSITION_CLOSED: "its position is gone: another exit was first",
    reasons.REPLACED: "another order took its place: the signal, or what is held, has changed",
}
"""What each code means, in words; `sofia explain CODE` prints it, docs/paper_trading.md lists it."""

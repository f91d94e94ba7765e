"""Paper trading looked at from outside: backtests, parity, explanations, reports, the switch."""

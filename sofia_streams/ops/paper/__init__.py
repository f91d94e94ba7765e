"""Paper trading looked at from outside: parity, explanations, the switch."""

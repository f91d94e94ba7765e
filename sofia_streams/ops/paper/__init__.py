"""Paper trading looked at from outside: how it stands, parity, explanations, the switch."""

"""Pure market-state functions: no I/O, no clock, no randomness."""

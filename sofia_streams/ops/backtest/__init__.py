"""Backtests: stored bars or recordings traded by the live steps and the paper account, and judged."""

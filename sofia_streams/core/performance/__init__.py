"""PURE. Returns, and what is said of them: Sharpe, drawdown, round trips, costs."""

"""PURE. From signals and the market to orders, fills and an account: the same code live, replayed and in backtests."""

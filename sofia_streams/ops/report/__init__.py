"""Reports on a paper account or a backtest: what they hold, and how they are written."""

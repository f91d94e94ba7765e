"""OKX's public market data: pure functions between frames and records."""

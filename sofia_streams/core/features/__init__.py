"""PURE. Features of closed bars: incremental, bounded, the same live and in training. One indicator a file."""

"""PURE. A trained model as files, and as the scorer that is built of them: microseconds a row, the same everywhere."""

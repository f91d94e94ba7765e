"""PURE. From a symbol's bars to features, predictions and signals, one of each a consolidated bar."""

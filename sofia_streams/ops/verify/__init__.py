"""Compares what the stores hold with what the log says, and writes again from the log what is not so."""

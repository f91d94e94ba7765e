"""Benchmarks: figures of one run on one machine, never tests."""

"""Runs and checks the whole."""

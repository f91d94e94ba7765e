"""Hurts a whole running pipeline on purpose, by a seeded plan, and then proves what it still holds."""

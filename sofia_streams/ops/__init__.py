"""Runs and checks the whole, a room a concern; beside them the commands of one file, and what all of them stand on."""

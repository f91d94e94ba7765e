"""Connections to venues and their life: opened, paced, watched, renewed; their frames go to the intake, then the log.

What is not here: what a frame means (`ingest.intake`), REST.
"""

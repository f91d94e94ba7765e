"""Frames to records to the log, and what each venue calls its instruments; sockets and REST stand in rooms above it."""

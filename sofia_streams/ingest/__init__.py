"""Sockets in, log records out."""

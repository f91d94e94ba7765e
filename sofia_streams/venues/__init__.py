"""The venues' protocols: bytes to records and back. Pure: no socket, no clock."""

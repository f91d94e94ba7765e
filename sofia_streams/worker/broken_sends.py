"""A send of aiokafka (0.14) on a connection that has just broken fails as its callers expect, on uvloop too.

Where asyncio's transports take such a write, or raise OSError, uvloop's raise RuntimeError until the loop has told the
protocol. aiokafka expects only OSError: its task that keeps the cluster's metadata ends, in silence, and whatever waits
for new metadata after the broker has come back (the group's coordinator, every commit) waits for ever.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


def mend_sends() -> None:
    """For every client of this process; a second call changes nothing."""
    send = AIOKafkaConnection.send
    if hasattr(send, "__wrapped__"):
        return

    @wraps(send)
    def sent(connection: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return send(connection, *arguments, **options)
        except RuntimeError as error:
            connection.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"connection at {connection.host}:{connection.port} broken: {error}") from error

    AIOKafkaConnection.send = sent

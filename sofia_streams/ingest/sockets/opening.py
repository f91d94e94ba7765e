"""A venue's WebSocket, opened with our limits; and what it means when we close it because of them. Reads no frame."""

from __future__ import annotations

import websockets
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError

from sofia_streams.ingest.sockets.session import CLOSE_S

_OPEN_S = 10.0
FRAME_BYTES_MAX = 4 * 1024 * 1024
FRAMES_WAITING_MAX = 64
"""While more wait in memory nothing is read, the rest waits at the venue. On top comes what one read of asyncio may
hold, READ_BYTES_MAX of small frames, and one frame that is not whole yet: never more than 261 MiB."""
READ_BYTES_MAX = 256 * 1024
_UNREADABLE = {1002: "a frame as the protocol has it", 1007: "UTF-8", 1009: f"at most {FRAME_BYTES_MAX} bytes"}
"""Close codes that we send when a frame cannot be taken, and what was expected."""


async def open_socket(url: str, ping_every_s: float | None) -> ClientConnection:
    """A connection, pinged by the protocol where `ping_every_s` is given. Raises OSError, WebSocketException.

    An answer that does not come ends nothing: it may stand behind frames that we had no time to read, and to reconnect
    would lose them and make the work more. A venue that is silent is noticed by its silence (`connection`).
    """
    return await websockets.connect(
        url,
        open_timeout=_OPEN_S,
        close_timeout=CLOSE_S,
        ping_interval=ping_every_s,
        ping_timeout=None,
        max_size=FRAME_BYTES_MAX,
        max_queue=FRAMES_WAITING_MAX,
        compression=None,
        user_agent_header="sofia-streams",
    )


def unreadable(error: Exception) -> str | None:
    """What was expected and found, where a connection ended because a frame could not even be taken."""
    sent = error.sent if isinstance(error, ConnectionClosedError) else None
    if sent is None or sent.code not in _UNREADABLE:
        return None
    return f"expected {_UNREADABLE[sent.code]}, found a frame that is not: {sent.reason}"

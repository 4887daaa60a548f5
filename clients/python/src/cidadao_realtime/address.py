"""What a connection asks for with its address."""

from __future__ import annotations

from urllib.parse import urlencode

from .cursors import Cursor
from .options import Options
from .rooms import socket_path


def address(room: str | None, cursor: Cursor | None, options: Options) -> str:
    """Path and query of the socket of a room, or of the general connection, to go on from a place if there is one."""
    query: dict[str, str] = {}
    if cursor is not None:
        query |= {"epoch": cursor.epoch, "since": str(cursor.seq)}
    if options.device is not None:
        query["device"] = options.device
    query |= {name: "true" for name in ("acks", "presence") if getattr(options, name)}
    path = socket_path(room)
    return f"{path}?{urlencode(query)}" if query else path

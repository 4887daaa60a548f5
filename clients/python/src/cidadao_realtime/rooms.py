"""Names of rooms, and the paths that lead to them."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from .errors import InvalidIdError

PREFIX = "/api/v1/ws"
SYSTEM = "system:all"

_COLLECTIONS = {"analysis": "analysis", "chat": "chat", "investigation": "investigations", "user": "users"}
_ID = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~@|+=:-]{1,128}")
_SUBSCRIBABLE = ("analysis", "investigation")


def check_id(value: str) -> str:
    """The id itself, if it is one that the server takes."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise InvalidIdError(
            f"an id is 1 to 128 ASCII letters, digits and - . _ ~ @ | + = :, and more than dots (not {value!r:.60})"
        )
    return value


def room_name(kind: str, identifier: str) -> str:
    """``investigation`` and ``inv-1`` make ``investigation:inv-1``."""
    if kind == "system":
        return SYSTEM
    if kind not in _COLLECTIONS:
        raise ValueError(f"a kind of room is analysis, chat, investigation, system or user, not {kind!r}")
    return f"{kind}:{check_id(identifier)}"


def split_room(room: str) -> tuple[str, str]:
    """``investigation:inv-1`` is of kind ``investigation``, with the id ``inv-1``."""
    kind, _, identifier = room.partition(":")
    return kind, identifier


def is_subscribable(room: str) -> bool:
    """Whether a connection to another room can hear this one."""
    return split_room(room)[0] in _SUBSCRIBABLE


def socket_path(room: str | None) -> str:
    """The path of the socket of a room; ``None`` is the general connection of the token's user."""
    return PREFIX if room is None else PREFIX + _path(room)


def messages_path(room: str) -> str:
    """The path to publish into a room, and to read its log."""
    return f"{PREFIX}/system/messages" if room == SYSTEM else f"{PREFIX}{_path(room)}/messages"


def _path(room: str) -> str:
    kind, identifier = split_room(room)
    return f"/{_COLLECTIONS[kind]}/{quote(identifier, safe='')}"


def base_url(url: str, scheme: str) -> str:
    """The server's address, as ``scheme`` (``ws`` or ``http``), without the path of the interface, or a secret."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
        raise ValueError("the url of the server is one like wss://realtime.example.org or https://realtime.example.org")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("the url of the server has no query and no password: pass the token as `token`")
    secure = "s" if parts.scheme in ("wss", "https") else ""
    return f"{scheme}{secure}://{parts.netloc}{parts.path.rstrip('/').removesuffix(PREFIX)}"

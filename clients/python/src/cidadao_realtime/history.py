"""What the log of a room still has."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx

from .cursors import Cursor
from .errors import RefusedError, UnreachableError
from .protocol import FrameError, Message, decode
from .rooms import messages_path
from .tokens import Token, find_token

_OK = 200
_TIMEOUT = 10.0


@dataclass(frozen=True)
class History:
    """Messages of a room, in their order.

    Attributes:
        room: the room.
        messages: what was asked for.
        first: the oldest place that the log still has.
        newest: the newest, as a cursor.
        more: whether there are more in the direction that was asked for.
    """

    room: str
    messages: list[Message]
    first: int
    newest: Cursor
    more: bool


async def read_history(url: str, token: Token, room: str, query: dict[str, int | None]) -> History:
    """Reads a part of the log of a room."""
    params = {name: value for name, value in query.items() if value is not None}
    headers = {"Authorization": f"Bearer {await find_token(token)}"}
    try:
        async with httpx.AsyncClient(headers=headers, timeout=_TIMEOUT) as client:
            response = await client.get(url + messages_path(room), params=params)
    except httpx.TransportError as error:
        raise UnreachableError(f"the log of {room} was not reached: {type(error).__name__}") from None
    try:
        answer = json.loads(response.content)
        return _history(answer) if response.status_code == _OK else _refuse(answer)
    except (FrameError, KeyError, TypeError, ValueError):
        raise RefusedError(f"HTTP_{response.status_code}", "an answer that is not this server's") from None


def _history(answer: dict[str, Any]) -> History:
    frames = [frame for message in answer["messages"] for frame in decode(json.dumps(message))]
    return History(
        room=answer["room"],
        messages=[frame for frame in frames if isinstance(frame, Message)],
        first=answer["first"],
        newest=Cursor(answer["epoch"], answer["seq"]),
        more=answer["more"],
    )


def _refuse(answer: dict[str, Any]) -> History:
    error = answer["error"]
    raise RefusedError(error["code"], error.get("message", ""), retry=error.get("retry") is True)

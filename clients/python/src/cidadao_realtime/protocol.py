"""Frames: what the server says, as values, and what a client says, as text. ``docs/protocol.md`` has the meanings."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .cursors import Cursor
from .rooms import split_room

PING = '{"type":"ping"}'
SUBPROTOCOL = "cidadao.v1"

_PART = struct.Struct(">IQ")


class FrameError(ValueError):
    """Bytes that are no frame of this protocol."""


@dataclass(frozen=True)
class Message:
    """What was published into a room. What has no ``seq`` is ephemeral: it is in no log."""

    type: str
    data: Any
    room: str
    id: str = ""
    timestamp: str = ""
    seq: int | None = None


@dataclass(frozen=True)
class Welcome:
    """The first frame of a connection."""

    room: str
    cursor: Cursor
    recovered: bool | None = None
    reconnect_within: float = 1.0
    connection_id: str = ""
    presence: dict[str, Any] | None = None
    title: str | None = None


@dataclass(frozen=True)
class Subscribed:
    """From here on a room is heard."""

    room: str
    cursor: Cursor
    recovered: bool | None = None


@dataclass(frozen=True)
class Unsubscribed:
    """A room is heard no more."""

    room: str


@dataclass(frozen=True)
class TokenExpiring:
    """The token ends soon."""

    expires_in: float


@dataclass(frozen=True)
class Refreshed:
    """The connection goes on with another token."""

    expires_at: str = ""


@dataclass(frozen=True)
class Refusal:
    """A frame was refused, or the connection ends. It names the frame, the room or the file that it is about."""

    code: str
    message: str = ""
    retry: bool = False
    retry_after: float | None = None
    original_type: str | None = None
    original_id: str | None = None
    room: str | None = None
    file_id: str | None = None
    offset: int | None = None
    reply_to: str | None = None


@dataclass(frozen=True)
class Acknowledged:
    """A frame of the client's is in the log of its room."""

    id: str
    room: str
    seq: int
    duplicate: bool = False


@dataclass(frozen=True)
class PresenceFrame:
    """Who is in a room, or what has changed of it."""

    room: str
    data: dict[str, Any]


@dataclass(frozen=True)
class UploadFrame:
    """``upload_ready``, ``upload_progress``, ``upload_complete`` or ``upload_aborted``."""

    type: str
    file_id: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Alive:
    """A frame that says nothing but that the server is there, or that a later server added."""

    type: str


ServerFrame = (
    Message
    | Welcome
    | Subscribed
    | Unsubscribed
    | TokenExpiring
    | Refreshed
    | Refusal
    | Acknowledged
    | PresenceFrame
    | UploadFrame
    | Alive
)


@dataclass(frozen=True)
class Part:
    """Bytes of a file, to be sent as one binary frame."""

    file_id: str
    handle: int
    offset: int
    length: int

    @property
    def header(self) -> bytes:
        """What goes before the bytes."""
        return _PART.pack(self.handle, self.offset)


def decode(text: str) -> list[ServerFrame]:
    """The frames in a text frame: one, or the messages of a batch. Raises FrameError if it is none."""
    try:
        frame = json.loads(text)
    except ValueError as error:
        raise FrameError("no JSON") from error
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise FrameError("no object with a `type`")
    if frame["type"] == "batch":
        return [_decode_one(message) for message in _list(frame, "messages")]
    return [_decode_one(frame)]


def _decode_one(frame: Any) -> ServerFrame:
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise FrameError("no object with a `type`")
    if isinstance(frame.get("room"), str):
        return _message(frame)
    reader = _READERS.get(frame["type"])
    data = frame.get("data")
    if reader is None or not isinstance(data, dict):
        return Alive(frame["type"])
    return reader(frame["type"], data)


def _message(frame: dict[str, Any]) -> Message:
    return Message(
        type=frame["type"],
        data=frame.get("data"),
        room=frame["room"],
        id=_optional_text(frame, "id") or "",
        timestamp=_optional_text(frame, "timestamp") or "",
        seq=_number(frame, "seq") if "seq" in frame else None,
    )


def _welcome(_: str, data: dict[str, Any]) -> Welcome:
    presence = data.get("presence")
    return Welcome(
        room=_text(data, "room"),
        cursor=_cursor(data),
        recovered=_optional_flag(data, "recovered"),
        reconnect_within=_seconds(data, "reconnect_within_ms", 1.0),
        connection_id=_optional_text(data, "connection_id") or "",
        presence=presence if isinstance(presence, dict) else None,
        title=_optional_text(data, "title"),
    )


def _subscribed(_: str, data: dict[str, Any]) -> Subscribed:
    return Subscribed(_text(data, "room"), _cursor(data), _optional_flag(data, "recovered"))


def _unsubscribed(_: str, data: dict[str, Any]) -> Unsubscribed:
    return Unsubscribed(_text(data, "room"))


def _expiring(_: str, data: dict[str, Any]) -> TokenExpiring:
    return TokenExpiring(_seconds(data, "expires_in_ms", 0.0))


def _refreshed(_: str, data: dict[str, Any]) -> Refreshed:
    return Refreshed(_optional_text(data, "expires_at") or "")


def _refusal(_: str, data: dict[str, Any]) -> Refusal:
    return Refusal(
        code=_text(data, "code"),
        message=_optional_text(data, "message") or "",
        retry=data.get("retry") is True,
        retry_after=_seconds(data, "retry_after_ms", 0.0) if "retry_after_ms" in data else None,
        original_type=_optional_text(data, "original_type"),
        original_id=_optional_text(data, "original_id"),
        room=_optional_text(data, "room"),
        file_id=_optional_text(data, "file_id"),
        offset=_number(data, "offset") if "offset" in data else None,
        reply_to=_optional_text(data, "reply_to"),
    )


def _acknowledged(_: str, data: dict[str, Any]) -> Acknowledged:
    return Acknowledged(_text(data, "id"), _text(data, "room"), _number(data, "seq"), data.get("duplicate") is True)


def _presence(_: str, data: dict[str, Any]) -> PresenceFrame:
    return PresenceFrame(_text(data, "room"), data)


def _upload(kind: str, data: dict[str, Any]) -> UploadFrame:
    return UploadFrame(kind, _text(data, "file_id"), data)


_READERS: dict[str, Callable[[str, dict[str, Any]], ServerFrame]] = {
    "ack": _acknowledged,
    "connection": _welcome,
    "connection_established": _welcome,
    "error": _refusal,
    "presence": _presence,
    "refreshed": _refreshed,
    "subscribed": _subscribed,
    "token_expiring": _expiring,
    "unsubscribed": _unsubscribed,
    "upload_aborted": _upload,
    "upload_complete": _upload,
    "upload_progress": _upload,
    "upload_ready": _upload,
}


def _cursor(data: dict[str, Any]) -> Cursor:
    return Cursor(_text(data, "epoch"), _number(data, "seq"))


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str):
        raise FrameError(f"`{name}` is no string")
    return value


def _optional_text(data: dict[str, Any], name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) else None


def _optional_flag(data: dict[str, Any], name: str) -> bool | None:
    value = data.get(name)
    return value if isinstance(value, bool) else None


def _number(data: dict[str, Any], name: str) -> int:
    value = data.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise FrameError(f"`{name}` is no whole number from 0")
    return value


def _seconds(data: dict[str, Any], name: str, default: float) -> float:
    value = data.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < 1e12:
        return default
    return value / 1000


def _list(data: dict[str, Any], name: str) -> list[Any]:
    value = data.get(name)
    if not isinstance(value, list):
        raise FrameError(f"`{name}` is no array")
    return value


def encode(kind: str, data: dict[str, Any], identifier: str | None = None) -> str:
    """A frame of the client's. Raises ValueError or TypeError for what JSON cannot say."""
    frame: dict[str, Any] = {"type": kind}
    if identifier is not None:
        frame["id"] = identifier
    frame["data"] = data
    text = json.dumps(frame, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text.encode()  # half of a surrogate pair cannot be sent
    return text


def subscribe(room: str, cursor: Cursor | None = None) -> str:
    """Asks to hear a room, from a place on if there is one."""
    place = {} if cursor is None else {"epoch": cursor.epoch, "since": cursor.seq}
    return encode("subscribe", _named(room) | place)


def unsubscribe(room: str) -> str:
    """Asks to hear a room no more."""
    return encode("unsubscribe", _named(room))


def ack(seq: int, room: str | None = None) -> str:
    """Confirms everything up to ``seq``, of the connection's own room if none is named."""
    return encode("ack", {"seq": seq} if room is None else {"seq": seq, "room": room})


def refresh(token: str) -> str:
    """Offers another token."""
    return encode("refresh", {"token": token})


def chat(
    identifier: str, content: str, *, context: Any = None, agent_id: str | None = None, ask: bool | None = None
) -> str:
    """Says something in a chat. Without ``ask`` an agent is asked."""
    optional = {"agent_id": agent_id, "context": context, "ask": ask}
    given = {name: value for name, value in optional.items() if value is not None}
    return encode("chat", {"content": content, **given}, identifier)


def chat_cancel(question: str) -> str:
    """Stops the answer to a question."""
    return encode("chat_cancel", {"reply_to": question})


def typing(is_typing: bool) -> str:
    """Says that the user types, or does no more."""
    return encode("typing", {"isTyping": is_typing})


def presence(state: dict[str, Any]) -> str:
    """Shows a state with the user."""
    return encode("presence", {"state": state})


def upload(file_id: str, name: str, size: int, content_type: str, sha256: str) -> str:
    """Announces a file."""
    data = {"name": name, "size": size, "content_type": content_type, "sha256": sha256}
    return encode("upload", data, file_id)


def upload_abort(file_id: str) -> str:
    """Gives a file up."""
    return encode("upload_abort", {"file_id": file_id})


def _named(room: str) -> dict[str, Any]:
    kind, identifier = split_room(room)
    return {f"{kind}_id": identifier}

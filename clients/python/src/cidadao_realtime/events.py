"""What happens to a client, beside messages. Handlers name the class: ``@client.on(Lost)``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .cursors import Cursor


@dataclass(frozen=True)
class Event:
    """Anything that happens to the connection to ``room``; ``""`` is a general connection that never was welcomed."""

    room: str


@dataclass(frozen=True)
class Connected(Event):
    """The connection is welcomed. ``recovered``: what was missed comes now. ``title``: what a chat is called."""

    recovered: bool | None = None
    connection_id: str = ""
    title: str | None = None


@dataclass(frozen=True)
class Disconnected(Event):
    """The connection is gone; it comes back in ``delay`` seconds, unless the client is being closed."""

    code: int = 1006
    reason: str = ""
    delay: float | None = None


@dataclass(frozen=True)
class Subscribed(Event):
    """The room is heard from here on."""

    recovered: bool | None = None


@dataclass(frozen=True)
class Unsubscribed(Event):
    """The room is heard no more. With a ``code`` it was the server that ended or refused it."""

    code: str | None = None
    message: str = ""


@dataclass(frozen=True)
class Lost(Event):
    """Messages of the room are gone for good: load its state anew, and go on with what comes.

    ``reason`` is ``log`` (the server's log no longer has them), ``hole`` (they did not come, though asked for again) or
    ``buffer`` (the program was too slow to take them).
    """

    cursor: Cursor | None = None
    reason: str = "log"


@dataclass(frozen=True)
class Sent(Event):
    """A frame from the outbox is in the log of its room."""

    id: str = ""
    seq: int = 0
    duplicate: bool = False


@dataclass(frozen=True)
class Rejected(Event):
    """The server refused a frame from the outbox."""

    id: str = ""
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class Dropped(Event):
    """A frame was dropped from the full outbox."""

    id: str = ""


@dataclass(frozen=True)
class Refused(Event):
    """The server refused a frame that nothing waits for, such as one that says that somebody types."""

    code: str = ""
    message: str = ""
    original_type: str | None = None


@dataclass(frozen=True)
class PresenceChanged(Event):
    """Who is there. ``users`` maps a user's id to the state that it shows; it is None where the server only counts."""

    count: int = 0
    users: dict[str, Any] | None = None
    joined: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()


@dataclass(frozen=True)
class UploadMoved(Event):
    """So much of a file is stored."""

    file_id: str = ""
    offset: int = 0
    size: int = 0


@dataclass(frozen=True)
class UploadEnded(Event):
    """A file is stored, or refused or aborted (then with a ``code``)."""

    file_id: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    code: str | None = None
    message: str = ""

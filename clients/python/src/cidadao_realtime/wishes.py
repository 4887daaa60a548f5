"""All that a connection has still to tell the server, in the order in which it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .backoff import Random
from .cancels import Cancels
from .cursors import Cursor
from .events import Event, Refused
from .options import Options
from .outbox import Outbox
from .protocol import Part, Refusal, presence, subscribe, unsubscribe
from .subscriptions import Subscriptions
from .uploads import Uploads

_UNREADABLE = ("INVALID_FRAME", "INVALID_JSON", "TOO_LARGE")


class Wishes:
    """Subscriptions, the state shown in presence, cancellations, the outbox and uploads.

    Whatever breaks, they are wished again until the server has answered.
    """

    def __init__(self, options: Options, random: Random) -> None:
        self.subscriptions = Subscriptions(random)
        self.outbox = Outbox(options, random)
        self.cancels = Cancels()
        self.uploads = Uploads(random)
        self._parts = (self.subscriptions, self.outbox, self.cancels, self.uploads)
        self._state: dict[str, Any] | None = None
        self._is_shown = False

    def show(self, state: dict[str, Any]) -> None:
        """Shows a state in presence."""
        self._state, self._is_shown = state, False

    def refused(self, refusal: Refusal, room: str, now: float) -> Event | None:
        """The server refused one of them; what that means to the program, if it is for good."""
        match refusal.original_type:
            case "subscribe":
                return self.subscriptions.refused(refusal, now)
            case "chat":
                return self.outbox.refused(refusal, room, now)
            case "chat_cancel":
                self.cancels.refused(refusal.reply_to)
                return None
            case "upload" | "upload_abort":
                return self.uploads.refused(refusal, room, now)
            case None:
                return self.outbox.doubt(refusal, room) if refusal.code in _UNREADABLE else None
            case _:
                return Refused(room, refusal.code, refusal.message, refusal.original_type)

    def unsure(self) -> None:
        """What is on its way may not have arrived."""
        for part in self._parts:
            part.unsure()
        self._is_shown = False

    def due(self, now: float) -> None:
        """Looks for what was not answered in time."""
        for part in self._parts:
            part.due(now)

    def next(self, now: float, cursor: Callable[[str], Cursor | None]) -> str | Part | None:
        """What to send now."""
        if (asked := self.subscriptions.next(now)) is not None:
            room, wanted = asked
            return subscribe(room, cursor(room)) if wanted else unsubscribe(room)
        if self._state is not None and not self._is_shown:
            self._is_shown = True
            return presence(self._state)
        return self.cancels.next(now, self.outbox) or self.outbox.next(now) or self.uploads.next(now)

    @property
    def deadline(self) -> float | None:
        """When to look next."""
        return min((at for part in self._parts if (at := part.deadline) is not None), default=None)

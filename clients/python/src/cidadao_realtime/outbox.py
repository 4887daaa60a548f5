"""Frames that wait for the server's acknowledgement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .backoff import Backoff, Random
from .errors import OutboxFullError
from .events import Rejected
from .said import check_same

if TYPE_CHECKING:
    from .options import Options
    from .protocol import Refusal

_PATIENCE = 10.0


@dataclass
class _Entry:
    frame: str
    size: int
    was_sent: bool = False


class Outbox:
    """A bounded queue. One frame at a time is on its way: were one refused for now, the next would overtake it."""

    def __init__(self, options: Options, random: Random) -> None:
        self._options = options
        self._entries: dict[str, _Entry] = {}
        self._bytes = 0
        self._under_way: str | None = None
        self._doubted: str | None = None
        self._patience_ends = 0.0
        self._not_before = 0.0
        self._backoff = Backoff(random, 1.0, 30.0)

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, identifier: str, frame: str) -> list[str]:
        """Takes a frame; the ids of those that were dropped for it, which may be its own. The same again is one."""
        known = self._entries.get(identifier)
        if known is not None:
            check_same(identifier, known.frame, frame)
            return []
        entry = _Entry(frame, len(frame.encode()))
        dropped: list[str] = []
        while not self._has_place_for(entry):
            victim = self._victim(entry)
            if victim is None:
                return [*dropped, identifier]
            self._remove(victim)
            dropped.append(victim)
        self._entries[identifier] = entry
        self._bytes += entry.size
        return dropped

    def next(self, now: float) -> str | None:
        """The frame to send now, if there is one."""
        if self._under_way is not None or now < self._not_before:
            return None
        for identifier, entry in self._entries.items():
            self._under_way, self._patience_ends = identifier, now + _PATIENCE
            entry.was_sent = True
            return entry.frame
        return None

    def acknowledged(self, identifier: str) -> bool:
        """The server has it; False if nobody waited for that."""
        self._backoff.reset()
        return self._remove(identifier)

    def refused(self, refusal: Refusal, room: str, now: float) -> Rejected | None:
        """A frame was refused; told if that is for good. Without an id the one that is on its way is meant."""
        identifier = refusal.original_id or self._under_way
        if identifier is None or identifier != self._under_way:
            return None
        self._under_way = None
        if refusal.retry:
            self._not_before = now + (refusal.retry_after or 0.5) + self._backoff.delay()
            return None
        self._remove(identifier)
        return Rejected(room, identifier, refusal.code, refusal.message)

    def doubt(self, refusal: Refusal, room: str) -> Rejected | None:
        """Something could not be read, of which no more is known than that. It goes again, and twice is no chance."""
        identifier, self._under_way = self._under_way, None
        if identifier is None or identifier != self._doubted:
            self._doubted = identifier
            return None
        self._remove(identifier)
        return Rejected(room, identifier, refusal.code, refusal.message)

    def withdraw(self, identifier: str) -> bool:
        """Takes a frame out; False if it has been sent, so that the server may have it."""
        entry = self._entries.get(identifier)
        return entry is not None and not entry.was_sent and self._remove(identifier)

    def unsure(self) -> None:
        """What is on its way may not have arrived: send it again."""
        self._under_way = None

    def due(self, now: float) -> None:
        """Sends again what was not acknowledged in time."""
        if self._under_way is not None and now >= self._patience_ends:
            self._under_way = None

    @property
    def deadline(self) -> float | None:
        """When to look next."""
        if self._under_way is not None:
            return self._patience_ends
        return self._not_before if self._entries else None

    def _has_place_for(self, entry: _Entry) -> bool:
        return (
            len(self._entries) < self._options.outbox_messages
            and self._bytes + entry.size <= self._options.outbox_bytes
        )

    def _victim(self, entry: _Entry) -> str | None:
        """Whom to drop; None for the new one itself."""
        if self._options.on_full == "raise":
            raise OutboxFullError(self._why_full(entry))
        if self._options.on_full == "drop_newest" or entry.size > self._options.outbox_bytes:
            return None
        return next((identifier for identifier, other in self._entries.items() if not other.was_sent), None)

    def _why_full(self, entry: _Entry) -> str:
        most = self._options.outbox_bytes
        if entry.size > most:
            return f"a frame of {entry.size} bytes; the outbox holds {most}"
        waiting = f"{len(self._entries)} frames of {self._bytes} bytes wait for the server"
        return f"{waiting}; the outbox holds {self._options.outbox_messages} of {most}"

    def _remove(self, identifier: str) -> bool:
        entry = self._entries.pop(identifier, None)
        if self._under_way == identifier:
            self._under_way = None
        if entry is not None:
            self._bytes -= entry.size
        return entry is not None

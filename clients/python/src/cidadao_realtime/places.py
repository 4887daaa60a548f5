"""The rooms that a connection hears, and how far."""

from __future__ import annotations

from typing import Literal

from .cursors import MAX_AHEAD, Cursor, Place
from .rooms import SYSTEM

_HOLE_PATIENCE = 5.0
_MAX_RESYNCS = 2


class Places:
    """A place in each room. It is noted when messages come, and again when the program is done with them."""

    def __init__(self, stored: dict[str, Cursor], every: int, interval: float) -> None:
        self._places: dict[str, Place] = {}
        self._stored = dict(stored)
        self._every = every
        self._interval = interval
        self._handled = 0
        self._report_at: float | None = None

    def cursor(self, room: str | None) -> Cursor | None:
        """Where to go on in a room."""
        if room is None:
            return None
        place = self._places.get(room)
        return place.cursor if place else self._stored.get(room)

    def begin(self, room: str, cursor: Cursor, recovered: bool | None) -> bool:
        """The server says where it goes on; False if what came before is lost."""
        known = self.cursor(room)
        place = self._places.get(room)
        self._stored.pop(room, None)
        lost = recovered is False or (known is not None and known.epoch != cursor.epoch)
        if place is None or place.epoch is None or lost:
            start = cursor if known is None or lost else known
            self._places[room] = Place(start.epoch, start.seq)
        return not lost

    def forget(self, room: str) -> None:
        """The room is heard no more."""
        self._places.pop(room, None)
        self._stored.pop(room, None)

    def take(self, room: str, seq: int, now: float) -> bool:
        """A message came; False if it came before, or of a room that is not heard."""
        if room == SYSTEM and room not in self._places:
            self._places[room] = Place(None, seq - 1)
        place = self._places.get(room)
        return place is not None and place.take(seq, now)

    def handle(self, room: str, seq: int, now: float) -> None:
        """The program is done with a message."""
        place = self._places.get(room)
        if place is None or not place.handle(seq):
            return
        self._handled += 1
        if self._report_at is None:
            self._report_at = now + self._interval
        if self._handled >= self._every:
            self._report_at = now

    def holes(self, now: float) -> list[tuple[str, Literal["ask", "lost"]]]:
        """Rooms where a message did not come: ask for it, or give it up."""
        found: list[tuple[str, Literal["ask", "lost"]]] = []
        for room, place in self._places.items():
            if place.hole_since is None or not self._is_due(place, now):
                continue
            place.hole_since, place.resyncs = now, place.resyncs + 1
            found.append((room, "ask" if place.resyncs <= _MAX_RESYNCS else "lost"))
        for room, verdict in found:
            if verdict == "lost":
                self._places[room].give_up()
        return found

    def settle(self) -> None:
        """The connection is a new one: a hole has all its time again."""
        for place in self._places.values():
            place.hole_since = None

    def report(self, now: float) -> bool:
        """Whether it is time to confirm, and to save."""
        if self._report_at is None or now < self._report_at:
            return False
        self._report_at, self._handled = None, 0
        return True

    def unconfirmed(self) -> list[tuple[str, int]]:
        """Rooms and how far to confirm them."""
        moved = [(room, place) for room, place in self._places.items() if place.handled.seq > place.acked]
        for _, place in moved:
            place.acked = place.handled.seq
        return [(room, place.acked) for room, place in moved]

    def unsure(self, now: float) -> None:
        """A confirmation may not have arrived."""
        if self._report_at is None and self._places:
            self._report_at = now + self._interval
        for place in self._places.values():
            place.acked = min(place.acked, place.handled.seq - 1)

    def kept(self) -> dict[str, Cursor]:
        """The cursors to save."""
        kept = {room: place.kept for room, place in self._places.items()}
        return self._stored | {room: cursor for room, cursor in kept.items() if cursor is not None}

    @property
    def deadline(self) -> float | None:
        """When to look next."""
        times = [place.hole_since + _HOLE_PATIENCE for place in self._places.values() if place.hole_since is not None]
        times += [] if self._report_at is None else [self._report_at]
        return min(times, default=None)

    def _is_due(self, place: Place, now: float) -> bool:
        patience = 0.0 if len(place.received.ahead) > MAX_AHEAD and place.resyncs == 0 else _HOLE_PATIENCE
        return place.hole_since is not None and now >= place.hole_since + patience

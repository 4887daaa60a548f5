"""The rooms that a connection is to hear, beside its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .backoff import Backoff, Random
from .events import Unsubscribed

if TYPE_CHECKING:
    from .protocol import Refusal

_PATIENCE = 5.0
_MAX_ASKED = 16


@dataclass
class _Wish:
    backoff: Backoff
    asked_at: float | None = None
    not_before: float = 0.0
    heard: bool = False
    wanted: bool = True


class Subscriptions:
    """What is wished for, asked for and heard."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._wishes: dict[str, _Wish] = {}
        self._goodbyes: list[str] = []
        self._leaving: list[str] = []

    def __contains__(self, room: str) -> bool:
        return room in self._wishes and self._wishes[room].wanted

    def add(self, room: str) -> None:
        """Wishes to hear a room."""
        wish = self._wishes.setdefault(room, _Wish(Backoff(self._random, 1.0, 60.0)))
        if not wish.wanted and room not in self._goodbyes:
            wish.asked_at = None  # the goodbye has overtaken whatever is answered to the question before it
        wish.wanted = True
        self._goodbyes = [other for other in self._goodbyes if other != room]

    def remove(self, room: str) -> None:
        """Wishes to hear a room no more."""
        wish = self._wishes.get(room)
        if wish is None or not wish.wanted:
            return
        if wish.heard or wish.asked_at is not None:
            self._goodbyes.append(room)
        self._want_no_more(room, wish)

    def ask_again(self, room: str) -> None:
        """Asks once more for a room that is heard, to be sent what is missing."""
        self._wishes[room].heard = False

    def forget_answers(self) -> None:
        """The connection is a new one, and hears nothing yet."""
        self._goodbyes.clear()
        self._leaving.clear()
        self._wishes = {room: wish for room, wish in self._wishes.items() if wish.wanted}
        for wish in self._wishes.values():
            wish.heard, wish.asked_at = False, None

    def next(self, now: float) -> tuple[str, bool] | None:
        """The room to ask for now (True), or to say goodbye to (False)."""
        if self._goodbyes:
            self._leaving.append(self._goodbyes[0])
            return self._goodbyes.pop(0), False
        if len(self._asked()) >= _MAX_ASKED:
            return None
        for room, wish in self._wishes.items():
            if self._waits(wish) and now >= wish.not_before:
                wish.asked_at = now
                return room, True
        return None

    def answered(self, room: str) -> bool:
        """The room is heard; False if nobody wishes that."""
        wish = self._wishes.get(room)
        if wish is None:
            return False
        wish.heard, wish.asked_at = True, None
        wish.backoff.reset()
        self._forget_unwanted()
        return wish.wanted

    def ended(self, room: str) -> bool:
        """The server ended a subscription; False if that was wished for."""
        if room in self._leaving:
            self._leaving.remove(room)
            return False
        if room not in self:
            return False
        self._want_no_more(room, self._wishes[room])
        return True

    def refused(self, refusal: Refusal, now: float) -> Unsubscribed | None:
        """A question was refused; told if that is for good."""
        room = refusal.room or ""
        wish = self._wishes.get(room)
        if wish is None:
            return None
        wish.asked_at, wish.heard = None, False
        if wish.wanted and refusal.retry:
            wish.not_before = now + (refusal.retry_after or 0.5) + wish.backoff.delay()
            return None
        del self._wishes[room]
        return Unsubscribed(room, refusal.code, refusal.message) if wish.wanted else None

    def unsure(self) -> None:
        """Any question may have been thrown away: ask all of them again."""
        self._goodbyes += [room for room in self._leaving if room not in self]
        self._leaving.clear()
        for wish in self._asked():
            wish.asked_at = None
        self._forget_unwanted()

    def due(self, now: float) -> None:
        """Asks again where no answer came."""
        for wish in self._asked():
            if wish.asked_at is not None and now >= wish.asked_at + _PATIENCE:
                wish.asked_at = None
        self._forget_unwanted()

    @property
    def deadline(self) -> float | None:
        """When to look next."""
        times = [wish.asked_at + _PATIENCE for wish in self._wishes.values() if wish.asked_at is not None]
        times += [wish.not_before for wish in self._wishes.values() if self._waits(wish) and wish.not_before > 0]
        return min(times, default=None)

    def _waits(self, wish: _Wish) -> bool:
        return wish.wanted and not wish.heard and wish.asked_at is None

    def _want_no_more(self, room: str, wish: _Wish) -> None:
        wish.wanted, wish.heard = False, False
        if wish.asked_at is None:
            del self._wishes[room]

    def _forget_unwanted(self) -> None:
        gone = [room for room, wish in self._wishes.items() if not wish.wanted and wish.asked_at is None]
        for room in gone:
            del self._wishes[room]

    def _asked(self) -> list[_Wish]:
        return [wish for wish in self._wishes.values() if wish.asked_at is not None]

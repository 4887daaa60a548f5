"""What a program says in a chat, and who waits until it has its place in the log."""

from __future__ import annotations

import asyncio

from .errors import InvalidMessageError, RealtimeError


class Said:
    """What is said to the people. To say it twice at once is to say it once, and both are told its place."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[int]]] = {}

    def wait_for(self, identifier: str) -> asyncio.Future[int]:
        """Somebody waits for a place."""
        place: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(identifier, set()).add(place)
        return place

    def leave(self, identifier: str, place: asyncio.Future[int]) -> bool:
        """Somebody waits no more; whether nobody else does."""
        others = self._waiting.get(identifier, set())
        others.discard(place)
        if not others:
            self._waiting.pop(identifier, None)
        return not others

    def sent(self, identifier: str, seq: int) -> None:
        """It has its place."""
        for place in self._of(identifier):
            place.set_result(seq)

    def fail(self, identifier: str, error: RealtimeError) -> None:
        """It gets none."""
        for place in self._of(identifier):
            place.set_exception(error)

    def fail_all(self, error: RealtimeError) -> None:
        """Nothing gets one any more."""
        for identifier in self._waiting:
            self.fail(identifier, error)

    def _of(self, identifier: str) -> list[asyncio.Future[int]]:
        return [place for place in self._waiting.get(identifier, ()) if not place.done()]


def check_text(content: str) -> str:
    """The text itself, if there is something in it."""
    if not isinstance(content, str) or not content.strip():
        raise InvalidMessageError("INVALID_FRAME", "what is said is a text that is not all white space")
    return content


def check_same(identifier: str, known: str, frame: str) -> None:
    """The same id is the same message, so it says the same."""
    if frame != known:
        raise InvalidMessageError("ID_TAKEN", f"something else is being said under the id {identifier}")

"""Who is typing."""

from __future__ import annotations

from collections.abc import Callable

from .protocol import Message

_LONGEST = 6_000


class Typists:
    """The users who type, until they stop, say something, or let the time pass in which they would type again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def take(self, message: Message) -> None:
        """Takes what the session hears; agents that think are no users that type."""
        data = message.data if isinstance(message.data, dict) else {}
        user = data.get("user_id")
        if message.type not in ("chat", "typing") or not isinstance(user, str):
            return
        self._until.pop(user, None)
        if message.type == "typing" and data.get("isTyping") is True:
            lasting = data.get("expires_in_ms")
            self._until[user] = self._clock() + (lasting if isinstance(lasting, int) else _LONGEST) / 1000

    @property
    def now(self) -> tuple[str, ...]:
        """Those who type now, in the order in which they began or said so again."""
        return tuple(user for user, until in self._until.items() if self._clock() < until)

    def clear(self) -> None:
        """What was known is not known any more."""
        self._until.clear()

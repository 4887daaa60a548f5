"""Answers that are not wanted any more."""

from __future__ import annotations

from collections.abc import Container

from .protocol import chat_cancel

_PATIENCE = 5.0


class Cancels:
    """Questions whose answers are to be stopped. Each is asked for again until the answer has ended."""

    def __init__(self) -> None:
        self._asked_at: dict[str, float | None] = {}

    def add(self, question: str) -> None:
        """Wishes the answer to a question stopped."""
        self._asked_at.setdefault(question, None)

    def next(self, now: float, waiting: Container[str]) -> str | None:
        """The frame to send now; not for a question that the server does not have yet."""
        for question, at in self._asked_at.items():
            if at is None and question not in waiting:
                self._asked_at[question] = now
                return chat_cancel(question)
        return None

    def ended(self, question: str) -> None:
        """The answer has ended."""
        self._asked_at.pop(question, None)

    def refused(self, question: str | None) -> None:
        """There is no such answer under way, or it is not for this user to stop."""
        if question is not None:
            self.ended(question)

    def unsure(self) -> None:
        """Any wish may not have arrived."""
        self._asked_at = dict.fromkeys(self._asked_at)

    def due(self, now: float) -> None:
        """Asks again where nothing came of it."""
        for question, at in self._asked_at.items():
            if at is not None and now >= at + _PATIENCE:
                self._asked_at[question] = None

    @property
    def deadline(self) -> float | None:
        """When to look next."""
        return min((at + _PATIENCE for at in self._asked_at.values() if at is not None), default=None)

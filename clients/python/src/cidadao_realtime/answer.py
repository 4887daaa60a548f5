"""An agent's answer, for who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator

from .errors import AnswerError, RealtimeError
from .protocol import Message
from .transcript import Piece, Status, Transcript, difference


class Answer:
    """The answer to a question: ``async for piece in answer`` while it is written, ``await answer`` for all of it.

    It goes on through broken connections. What was shown before is not shown again; should the server take back some
    of it, a piece with ``replaced`` holds the whole text anew. An answer that was cancelled ends like one that is
    complete; see ``status``. One that failed raises AnswerError.
    """

    def __init__(self, question: str, frame: str, cancel: Callable[[], None]) -> None:
        self.frame = frame
        self._question = question
        self._cancel = cancel
        self._transcript = Transcript()
        self._error: RealtimeError | None = None
        self._acknowledged: bool = False
        self._waiters: set[asyncio.Event] = set()

    @property
    def id(self) -> str:
        """The id of the question."""
        return self._question

    @property
    def text(self) -> str:
        """What has been written so far."""
        return self._transcript.text

    @property
    def status(self) -> Status:
        """``waiting``, ``streaming``, ``completed``, ``cancelled``, ``failed`` or ``interrupted``."""
        return self._transcript.status

    @property
    def transcript(self) -> Transcript:
        """The agent, the stage, and what came with the end."""
        return self._transcript

    def __repr__(self) -> str:
        return f"<Answer to {self._question}: {self.status}, {len(self.text)} characters>"

    def cancel(self) -> None:
        """Stops it. A question that was not sent yet is not asked."""
        if not self.is_over:
            self._cancel()

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self._error is not None or self._transcript.is_over

    async def acknowledged(self) -> None:
        """Waits until the question is in the log of its session. Raises what it was refused for."""
        await self._until(lambda: self._acknowledged or self.is_over)
        if self._error is not None:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[Piece]:
        shown = ""
        while True:
            piece = difference(shown, self.text)
            if piece is not None:
                shown = self.text
                yield piece
            elif self.is_over:
                self._raise_failure()
                return
            else:
                seen = shown
                await self._until(lambda: self.is_over or self.text != seen)  # noqa: B023

    def __await__(self) -> Generator[object, None, str]:
        return self._whole().__await__()

    async def _whole(self) -> str:
        await self._until(lambda: self.is_over)
        self._raise_failure()
        return self.text

    def take(self, message: Message) -> None:
        """A message belongs to this answer."""
        self._acknowledged = True
        self._transcript.take(message)
        self._wake()

    def sent(self) -> None:
        """The server has the question."""
        self._acknowledged = True
        self._wake()

    def reconnected(self) -> None:
        """The connection is a new one."""
        self._transcript.reconnected()

    def lost(self) -> None:
        """What would have ended it is gone."""
        if self._acknowledged:
            self._transcript.fail("LOST", "the log of the session no longer has the answer")
            self._wake()

    def withdrawn(self) -> None:
        """The question was taken back before it was sent."""
        self._transcript.status = "cancelled"
        self._wake()

    def fail(self, error: RealtimeError) -> None:
        """Nothing comes any more."""
        if not self.is_over:
            self._error = error
            self._wake()

    def _raise_failure(self) -> None:
        if self._error is not None:
            raise self._error
        if self.status in ("failed", "interrupted"):
            code, message = self._transcript.error or ("AGENT_FAILED", "")
            raise AnswerError(code, message, self.text)

    async def _until(self, condition: Callable[[], bool]) -> None:
        changed = asyncio.Event()
        self._waiters.add(changed)
        try:
            while not condition():
                changed.clear()
                await changed.wait()
        finally:
            self._waiters.discard(changed)

    def _wake(self) -> None:
        for waiter in self._waiters:
            waiter.set()

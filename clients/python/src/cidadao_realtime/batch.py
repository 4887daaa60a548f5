"""Messages that are collected and published together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from types import TracebackType

from .publishing import MAX_MESSAGES, Kind, OutgoingMessage, Published, prepare, room_of


class _Collection:
    """Messages that wait, by their room.

    Attributes:
        published: what has been published, in the order of the requests.
    """

    def __init__(self) -> None:
        self._rooms: dict[str, list[str]] = {}
        self.published: list[Published] = []

    def _add(self, kind: Kind, identifier: str | None, message: OutgoingMessage) -> bool:
        """Adds a message; whether its room has as many as go together."""
        waiting = self._rooms.setdefault(room_of(kind, identifier), [])
        waiting.append(prepare(message))
        return len(waiting) >= MAX_MESSAGES

    def _waiting(self) -> Iterator[tuple[str, list[str]]]:
        """Takes out room after room, each once it has been published."""
        while self._rooms:
            room = next(iter(self._rooms))
            yield room, self._rooms[room]
            del self._rooms[room]


class Batch(_Collection):
    """Messages that wait to go together. Made by `Publisher.batch`."""

    def __init__(self, deliver: Callable[[str, Sequence[str]], list[Published]]) -> None:
        super().__init__()
        self._deliver = deliver

    def publish(self, kind: Kind, identifier: str | None, message: OutgoingMessage) -> None:
        """Adds a message. Those of a room keep their order."""
        if self._add(kind, identifier, message):
            self.flush()

    def flush(self) -> None:
        """Publishes what waits. After an error what was not published waits still: flush again."""
        for room, messages in self._waiting():
            self.published += self._deliver(room, messages)

    def __enter__(self) -> Batch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.flush()


class AsyncBatch(_Collection):
    """Messages that wait to go together. Made by `AsyncPublisher.batch`; see `Batch`."""

    def __init__(self, deliver: Callable[[str, Sequence[str]], Awaitable[list[Published]]]) -> None:
        super().__init__()
        self._deliver = deliver

    async def publish(self, kind: Kind, identifier: str | None, message: OutgoingMessage) -> None:
        """Adds a message. Those of a room keep their order."""
        if self._add(kind, identifier, message):
            await self.flush()

    async def flush(self) -> None:
        """Publishes what waits. After an error what was not published waits still: flush again."""
        for room, messages in self._waiting():
            self.published += await self._deliver(room, messages)

    async def __aenter__(self) -> AsyncBatch:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.flush()

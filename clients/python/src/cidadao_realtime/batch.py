"""Messages that are collected and published together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, TypeVar

from .errors import PublishError
from .publishing import MAX_MESSAGES, Kind, OutgoingMessage, Published, check_size, prepare, room_of

_Lock = TypeVar("_Lock", threading.Lock, asyncio.Lock)


@dataclass
class _Waiting(Generic[_Lock]):
    """The messages of one room that wait. Who publishes them holds ``turn``; they stay until that has succeeded."""

    room: str
    turn: _Lock
    messages: list[str] = field(default_factory=list)
    failures: int = 0


class _Collection(Generic[_Lock]):
    """Messages that wait, by their room.

    Attributes:
        published: what has been published, in the order of the requests.
    """

    def __init__(self, make_lock: Callable[[], _Lock]) -> None:
        self._make_lock: Callable[[], _Lock] = make_lock
        self._rooms: dict[str, _Waiting[_Lock]] = {}
        self._guard = threading.Lock()  # held only while something is looked up or changed here
        self.published: list[Published] = []

    def _add(self, kind: Kind, identifier: str | None, message: OutgoingMessage) -> _Waiting[_Lock]:
        room, prepared = room_of(kind, identifier), prepare(message)
        check_size(prepared.encode())
        with self._guard:
            waiting = self._rooms.setdefault(room, _Waiting(room, self._make_lock()))
            waiting.messages.append(prepared)
        return waiting

    def _all(self) -> list[_Waiting[_Lock]]:
        with self._guard:
            return list(self._rooms.values())

    def _take(self, waiting: _Waiting[_Lock], least: int, failures: int | None) -> list[str]:
        """What to publish now: nothing, if that is too little by now, or has failed while one waited for one's turn."""
        with self._guard:
            messages = list(waiting.messages)
        return messages if len(messages) >= least and failures in (None, waiting.failures) else []

    def _failed(self, waiting: _Waiting[_Lock], error: PublishError) -> None:
        waiting.failures += 1
        self._done(waiting, error.published)

    def _done(self, waiting: _Waiting[_Lock], published: Sequence[Published]) -> None:
        """The first of a room have been published."""
        with self._guard:
            self.published += published
            del waiting.messages[: len(published)]
            if not waiting.messages and self._rooms.get(waiting.room) is waiting:
                del self._rooms[waiting.room]


class Batch(_Collection[threading.Lock]):
    """Messages that wait to go together. Made by `Publisher.batch`. It may be shared by threads."""

    def __init__(self, deliver: Callable[[str, Sequence[str]], list[Published]]) -> None:
        super().__init__(threading.Lock)
        self._deliver = deliver

    def publish(self, kind: Kind, identifier: str | None, message: OutgoingMessage) -> None:
        """Adds a message. Those of a room keep their order. If its room has a thousand then, they go."""
        waiting = self._add(kind, identifier, message)
        if len(waiting.messages) >= MAX_MESSAGES:
            self._flush(waiting, MAX_MESSAGES, waiting.failures)

    def flush(self) -> None:
        """Publishes what waits. After an error what was not published waits still: flush again.

        What is refused in one room keeps none of the others waiting: they go, and then the first error is raised.
        """
        errors: list[PublishError] = []
        for waiting in self._all():
            try:
                self._flush(waiting, 1)
            except PublishError as error:
                _note(errors, error)
        _raise_first(errors)

    def _flush(self, waiting: _Waiting[threading.Lock], least: int, failures: int | None = None) -> None:
        with waiting.turn:
            messages = self._take(waiting, least, failures)
            if not messages:
                return
            try:
                published = self._deliver(waiting.room, messages)
            except PublishError as error:
                self._failed(waiting, error)
                raise
            self._done(waiting, published)

    def __enter__(self) -> Batch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while error is None and self._rooms:
            self.flush()


class AsyncBatch(_Collection[asyncio.Lock]):
    """Messages that wait to go together. Made by `AsyncPublisher.batch`; see `Batch`. It may be shared by tasks."""

    def __init__(self, deliver: Callable[[str, Sequence[str]], Awaitable[list[Published]]]) -> None:
        super().__init__(asyncio.Lock)
        self._deliver = deliver

    async def publish(self, kind: Kind, identifier: str | None, message: OutgoingMessage) -> None:
        """Adds a message. Those of a room keep their order. If its room has a thousand then, they go."""
        waiting = self._add(kind, identifier, message)
        if len(waiting.messages) >= MAX_MESSAGES:
            await self._flush(waiting, MAX_MESSAGES, waiting.failures)

    async def flush(self) -> None:
        """Publishes what waits, as `Batch.flush` does."""
        errors: list[PublishError] = []
        for waiting in self._all():
            try:
                await self._flush(waiting, 1)
            except PublishError as error:
                _note(errors, error)
        _raise_first(errors)

    async def _flush(self, waiting: _Waiting[asyncio.Lock], least: int, failures: int | None = None) -> None:
        async with waiting.turn:
            messages = self._take(waiting, least, failures)
            if not messages:
                return
            try:
                published = await self._deliver(waiting.room, messages)
            except PublishError as error:
                self._failed(waiting, error)
                raise
            self._done(waiting, published)

    async def __aenter__(self) -> AsyncBatch:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while error is None and self._rooms:
            await self.flush()


def _note(errors: list[PublishError], error: PublishError) -> None:
    """What can succeed later has been tried for long: the other rooms would most likely have to wait as long."""
    if error.retry:
        raise error
    errors.append(error)


def _raise_first(errors: Sequence[PublishError]) -> None:
    if errors:
        raise errors[0]

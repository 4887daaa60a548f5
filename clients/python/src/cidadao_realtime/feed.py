"""Messages and events on their way to one consumer: a loop, or the callbacks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from .errors import RealtimeError
from .events import Event, Lost
from .protocol import Message


class Delivery:
    """A message on its way to several consumers. When the last is done with it, so is the program."""

    def __init__(self, message: Message, consumers: int, done: Callable[[], None]) -> None:
        self.message = message
        self._consumers = consumers
        self._done = done

    def finish(self) -> None:
        """One consumer is done with it."""
        self._consumers -= 1
        if self._consumers == 0:
            self._done()


class Feed:
    """A bounded queue for one consumer, who is done with an item when it asks for the next one."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[Delivery | Event] = deque()
        self._current: Delivery | None = None
        self._changed = asyncio.Event()
        self._is_closed = False
        self._error: RealtimeError | None = None
        self._overflowing = False

    def put(self, item: Delivery | Event) -> Lost | None:
        """Takes an item; tells if the oldest had to go for it, once until the consumer has caught up."""
        if self._is_closed:
            if isinstance(item, Delivery):
                item.finish()
            return None
        lost = self._make_place() if len(self._items) >= self._limit else None
        self._items.append(item)
        self._changed.set()
        return lost

    async def get(self) -> Message | Event | None:
        """The next item; None at the end. Raises what ended it, if it was not the consumer or the client."""
        self._finish_current()
        while not self._items:
            self._overflowing = False
            if self._error is not None:
                raise self._error
            if self._is_closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        item = self._items.popleft()
        if isinstance(item, Event):
            return item
        self._current = item
        return item.message

    def close(self, error: RealtimeError | None = None) -> None:
        """Ends it after what has arrived."""
        if not self._is_closed:
            self._is_closed, self._error = True, error
            self._changed.set()

    def abandon(self) -> None:
        """The consumer is gone, and is done with everything."""
        self.close()
        self._finish_current()
        while self._items:
            _finish(self._items.popleft())

    def _make_place(self) -> Lost | None:
        """Drops the oldest message, and leaves word of it in its place, once until the consumer has caught up."""
        found = next(((at, item) for at, item in enumerate(self._items) if isinstance(item, Delivery)), None)
        if found is None:
            self._items.popleft()
            return None
        at, item = found
        del self._items[at]
        item.finish()
        if self._overflowing:
            return None
        self._overflowing = True
        lost = Lost(item.message.room, None, "buffer")
        self._items.appendleft(lost)
        return lost

    def _finish_current(self) -> None:
        current, self._current = self._current, None
        if current is not None:
            current.finish()


def _finish(item: Delivery | Event) -> None:
    if isinstance(item, Delivery):
        item.finish()

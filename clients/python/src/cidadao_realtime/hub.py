"""Who in the program hears what: loops, each with a feed, and callbacks."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from .callbacks import call
from .errors import RealtimeError
from .events import Event, Lost
from .feed import Delivery, Feed
from .protocol import Message

Topic = str | type[Event]
"""A type of messages, ``"*"`` for all of them, or a class of events."""

Handler = Callable[[Any], Awaitable[None] | None]
"""A callback, plain or async, that takes a `Message` or an event."""

_log = logging.getLogger("cidadao_realtime")


class Hub:
    """Callbacks are called one after the other, in the order of what happened."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._handlers: dict[Topic, list[Handler]] = {}
        self._rooms: dict[Feed, str | None] = {}
        self._callbacks: Feed | None = None
        self._task: asyncio.Task[None] | None = None
        self._running: asyncio.Future[None] | None = None
        self._is_stopped = False

    def on(self, topic: Topic, handler: Handler) -> None:
        """Calls a handler from now on."""
        self._handlers.setdefault(topic, []).append(handler)

    def off(self, topic: Topic, handler: Handler) -> None:
        """Calls a handler no more."""
        handlers = self._handlers.get(topic, [])
        if handler in handlers:
            handlers.remove(handler)

    def start(self) -> None:
        """Begins to call handlers."""
        self._callbacks = Feed(self._limit)
        self._task = asyncio.create_task(self._call_all(self._callbacks))

    async def stop(self, error: RealtimeError | None = None) -> None:
        """Ends all feeds, and the callback that runs."""
        self._is_stopped = True
        self.end(None, error)
        if self._callbacks is not None:
            self._callbacks.close()
        # A callback may close its client: then it runs to its end, and nothing after it.
        if self._task is not None and asyncio.current_task() not in (self._task, self._running):
            self._task.cancel()
            await asyncio.wait([self._task])

    def open(self, room: str | None) -> Feed:
        """A feed for a room, or for all of them."""
        feed = Feed(self._limit)
        self._rooms[feed] = room
        return feed

    def release(self, feed: Feed) -> None:
        """The consumer of a feed is gone."""
        self._rooms.pop(feed, None)
        feed.abandon()

    def has(self, room: str) -> bool:
        """Whether a feed is for that room."""
        return room in self._rooms.values()

    def end(self, room: str | None, error: RealtimeError | None) -> None:
        """Ends the feeds of a room, or all."""
        for feed, other in list(self._rooms.items()):
            if room is None or other == room:
                feed.close(error)
                del self._rooms[feed]

    def deliver(self, message: Message, done: Callable[[], None]) -> None:
        """Gives a message to all who want it; calls ``done`` when they are done with it."""
        feeds = [feed for feed, room in self._rooms.items() if room is None or room == message.room]
        if self._callbacks is not None and self._handlers_of(message):
            feeds.append(self._callbacks)
        delivery = Delivery(message, len(feeds), done)
        if not feeds:
            done()
        for feed in feeds:
            lost = feed.put(delivery)
            if lost is not None and feed is not self._callbacks:
                self.tell(lost, only_callbacks=True)

    def tell(self, event: Event, *, only_callbacks: bool = False) -> None:
        """Gives an event to the callbacks, and a loss to the loops of its room too."""
        if self._callbacks is not None and self._handlers_of(event):
            self._callbacks.put(event)
        if isinstance(event, Lost) and not only_callbacks:
            for feed, room in list(self._rooms.items()):
                if room is None or room == event.room:
                    feed.put(event)

    def _handlers_of(self, item: Message | Event) -> list[Handler]:
        if isinstance(item, Message):
            return [*self._handlers.get(item.type, ()), *self._handlers.get("*", ())]
        return [handler for kind in type(item).__mro__ for handler in self._handlers.get(kind, ())]

    async def _call_all(self, feed: Feed) -> None:
        while (item := await feed.get()) is not None:
            for handler in self._handlers_of(item):
                if not self._is_stopped:
                    await self._call(handler, item)

    async def _call(self, handler: Handler, item: Message | Event) -> None:
        try:
            await call(self._begin, handler, item)
        except Exception:
            _log.exception("the callback %s failed", getattr(handler, "__qualname__", handler))

    def _begin(self, handler: Handler, item: Message | Event) -> Awaitable[None] | None:
        result = handler(item)
        if not inspect.isawaitable(result):
            return None
        self._running = asyncio.ensure_future(result)
        return self._running

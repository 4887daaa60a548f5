"""A room that is listened to."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable
from types import TracebackType

from .errors import RealtimeError
from .events import Lost
from .feed import Feed
from .protocol import Message


class Subscription:
    """The messages of one room: ``async for message in subscription``.

    It hears the room from the moment it is made, and until it is closed: by ``close``, at the end of ``async with``, or
    when nothing refers to it any more, as after a ``break`` out of ``async for message in client.investigation(…)``.
    """

    def __init__(self, room: str, feed: Feed, ready: asyncio.Future[None], release: Callable[[Feed], None]) -> None:
        self.room = room
        self._feed = feed
        self._ready = ready
        loop = asyncio.get_running_loop()
        self._finalizer = weakref.finalize(self, _release, loop, release, feed)
        self._finalizer.atexit = False

    async def ready(self) -> Subscription:
        """Waits until the room is heard: what is published after that comes. Raises RefusedError if it may not be."""
        await asyncio.shield(self._ready)
        return self

    def close(self) -> None:
        """Hears the room no more."""
        self._finalizer()

    async def events(self) -> AsyncIterator[Message | Lost]:
        """The messages, and `Lost` in the place where some are missing."""
        while (item := await self._feed.get()) is not None:
            if isinstance(item, (Lost, Message)):
                yield item

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Message:
        while (item := await self._feed.get()) is not None:
            if isinstance(item, Message):
                return item
        raise StopAsyncIteration

    async def __aenter__(self) -> Subscription:
        return await self.ready()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _release(loop: asyncio.AbstractEventLoop, release: Callable[[Feed], None], feed: Feed) -> None:
    """The garbage collector may run in any thread, and after the end of the loop."""
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if running is loop:
        release(feed)
    elif not loop.is_closed():
        loop.call_soon_threadsafe(release, feed)


def settle(ready: asyncio.Future[None], refusal: RealtimeError | None = None) -> None:
    """Tells who waits that the room is heard, or refused."""
    if ready.done():
        return
    if refusal is None:
        ready.set_result(None)
    else:
        ready.set_exception(refusal)
        ready.exception()  # nobody need wait for it

"""The client: one general connection, and one for each chat session."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TypeVar

from . import events, steps
from .backoff import Backoff, Random
from .chat import Chat
from .connection import Connection
from .cursors import Cursor
from .errors import ClosedError, RealtimeError, RefusedError, UnreachableError
from .feed import Feed
from .history import History, read_history
from .hub import Handler, Hub, Topic
from .keeper import GENERAL, Keeper
from .lookup import look_up
from .machine import Machine
from .options import Options
from .protocol import Message
from .rooms import base_url, is_subscribable, room_name
from .storage import Storage
from .subscription import Subscription, settle
from .tokens import Token, check_token

_MAX_READ = 1_000

_AnyHandler = TypeVar("_AnyHandler", bound=Handler)


class RealtimeClient:
    """Hears what happens, and comes back whenever the connection breaks.

    ::

        async with RealtimeClient("wss://realtime.example.org", token=token) as client:
            async for message in client.investigation("inv-1"):
                print(message.type, message.data)

    Args:
        url: the address of the server.
        token: a token, or a function, plain or async, that gives a fresh one each time it is called.
        options: see `Options`.
        storage: where to keep cursors, so that what was published while the program did not run comes too.
        open_timeout: how many seconds entering may take until the first connection is welcomed. With None it does not
            wait: the client connects as soon as it can.
        general: open the general connection. Without it there are chats only.
        random: gives numbers from 0 to 1, for the waits.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token,
        options: Options | None = None,
        storage: Storage | None = None,
        open_timeout: float | None = 10.0,
        general: bool = True,
        random: Random = random.random,
    ) -> None:
        self._url = base_url(url, "ws")
        self._token = check_token(token) if isinstance(token, str) else token
        self._options = options or Options()
        self._open_timeout = open_timeout
        self._wants_general = general
        self._random = random
        self._hub = Hub(self._options.buffer)
        self._keeper = Keeper(storage)
        self._general: Connection | None = None
        self._chats: dict[Connection, Chat] = {}
        self._finishing: set[asyncio.Task[None]] = set()
        self._ready: dict[str, list[asyncio.Future[None]]] = {}
        self._heard: set[str] = set()
        self._wanted: set[str] = set()
        self._error: RealtimeError | None = None
        self._is_open = False
        self._opened: asyncio.Future[None] | None = None
        self._ended: asyncio.Event | None = None

    def __repr__(self) -> str:
        return f"<RealtimeClient of {self._url}>"

    # Coming and going

    async def __aenter__(self) -> RealtimeClient:
        if self._ended is not None:
            raise RealtimeError("a client is entered once: make another one")
        self._ended = asyncio.Event()
        try:
            await self._open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all connections; loops end, and whoever waits is told. Being cancelled only makes it hurry."""
        self._is_open = False
        connections = [*self._chats, *([self._general] if self._general else [])]
        work = [*self._finishing, *(asyncio.create_task(connection.close()) for connection in connections)]
        try:
            self._settle_all(self._error)
            if work:
                await asyncio.wait(work)
            await self._hub.stop(self._error)
            await self._keeper.finish()
        except asyncio.CancelledError:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, self._hub.stop(), self._keeper.abandon(), return_exceptions=True)
            raise

    async def wait_closed(self) -> None:
        """Waits until the client is closed, or the server does not want it; raises what ended it then."""
        if self._ended is None:
            raise RealtimeError("the client is not open: use `async with`")
        await self._ended.wait()
        if self._error is not None:
            raise self._error

    async def _open(self) -> None:
        await self._keeper.load()
        self._is_open = True
        self._hub.start()
        self._opened = asyncio.get_running_loop().create_future()
        if not self._wants_general:
            return
        self._general = self._connect(None)
        for room in self._wanted:
            self._general.feed(steps.Subscribe(room))
        if self._open_timeout is not None:
            await self._wait_opened(self._open_timeout)

    async def _wait_opened(self, timeout: float) -> None:
        assert self._opened is not None
        # Not `wait_for`: until Python 3.12 it forgets that it was cancelled if the welcome comes in that moment.
        await asyncio.wait([self._opened], timeout=timeout)
        if not self._opened.done():
            raise UnreachableError(f"no welcome from {self._url} within {timeout:g} s")
        self._opened.result()

    def _connect(self, room: str | None) -> Connection:
        machine = Machine(
            room,
            self._options,
            self._random,
            renewable=not isinstance(self._token, str),
            cursors=self._keeper.cursors(room or GENERAL),
        )
        connection = Connection(machine, self._url, self._token, self._options.welcome_timeout, self)
        connection.feed(steps.Start())
        return connection

    # Listening

    def on(self, topic: Topic) -> Callable[[_AnyHandler], _AnyHandler]:
        """Calls the decorated function, plain or async, with each message of a type, or each event of a class.

        ``"*"`` is every message, `Event` every event. Callbacks run one after the other; what one raises is logged, a
        CancelledError too, unless the client is being closed.
        """

        def register(handler: _AnyHandler) -> _AnyHandler:
            self._hub.on(topic, handler)
            return handler

        return register

    def off(self, topic: Topic, handler: Handler) -> None:
        """Calls a function no more."""
        self._hub.off(topic, handler)

    def investigation(self, investigation_id: str) -> Subscription:
        """Hears an investigation."""
        return self._listen(room_name("investigation", investigation_id))

    def analysis(self, analysis_id: str) -> Subscription:
        """Hears an analysis."""
        return self._listen(room_name("analysis", analysis_id))

    def messages(self) -> Subscription:
        """Hears everything that any connection of this client does: the user's own messages, those for everybody, and
        those of all rooms that are heard."""
        return self._overhear(None)

    def subscribe(self, kind: str, identifier: str) -> None:
        """Hears a room for callbacks, until `unsubscribe`. May be called before the client is entered."""
        room = room_name(kind, identifier)
        if not is_subscribable(room):
            raise ValueError("investigations and analyses are subscribed to; a chat is opened with `chat`")
        self._wanted.add(room)
        if self._general is not None:
            self._general.feed(steps.Subscribe(room))

    def unsubscribe(self, kind: str, identifier: str) -> None:
        """Hears a room no more, unless a loop does."""
        room = room_name(kind, identifier)
        self._wanted.discard(room)
        self._leave(room)

    async def history(
        self,
        kind: str,
        identifier: str,
        *,
        since: int | None = None,
        before: int | None = None,
        limit: int | None = None,
    ) -> History:
        """Reads what the log of a room still has, to load its state anew after `Lost`.

        Args:
            kind: ``investigation``, ``analysis``, ``chat``, ``user`` or ``system``.
            identifier: the id; of no importance for ``system``.
            since: the oldest messages after this place. Without ``since`` and ``before`` the newest come.
            before: the newest messages before this place.
            limit: how many at most, up to 1,000; by default 100.

        Raises:
            RefusedError: the token does not open the room.
            UnreachableError: the server was not reached.
        """
        return await self._read(room_name(kind, identifier), {"since": since, "before": before, "limit": limit})

    def chat(self, session_id: str) -> Chat:
        """Opens a chat session, on a connection of its own; a user has ten."""
        self._check_open()
        room = room_name("chat", session_id)
        for chat in self._chats.values():
            if chat.room == room and chat.is_open:
                return chat
        connection = self._connect(room)
        chat = Chat(
            room,
            connection,
            lambda: self._overhear(room),
            lambda: self._close_chat(connection),
            lambda answer, seq: look_up(answer, seq, partial(self._read_on, room), Backoff(self._random, 1.0, 30.0)),
        )
        self._chats[connection] = chat
        return chat

    async def _read(self, room: str, query: dict[str, int | None]) -> History:
        return await read_history(base_url(self._url, "http"), self._token, room, query)

    async def _read_on(self, room: str, since: int) -> History:
        return await self._read(room, {"since": since, "limit": _MAX_READ})

    def _listen(self, room: str) -> Subscription:
        self._check_open()
        if self._general is None:
            raise RealtimeError("this client has no general connection: it was made with general=False")
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if room in self._heard:
            settle(ready)
        else:
            self._ready.setdefault(room, []).append(ready)
        feed = self._hub.open(room)
        self._general.feed(steps.Subscribe(room))
        return Subscription(room, feed, ready, lambda feed: self._release(room, feed))

    def _overhear(self, room: str | None) -> Subscription:
        """Hears what comes without asking: of a chat, or everything."""
        self._check_open()
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        settle(ready)
        return Subscription(room or "*", self._hub.open(room), ready, self._hub.release)

    def _release(self, room: str, feed: Feed) -> None:
        self._hub.release(feed)
        self._leave(room)

    def _leave(self, room: str) -> None:
        if self._general is None or not self._is_open or self._hub.has(room) or room in self._wanted:
            return
        self._heard.discard(room)
        for ready in self._ready.pop(room, ()):
            settle(ready, ClosedError("the subscription was closed"))
        self._general.feed(steps.Unsubscribe(room))

    async def _close_chat(self, connection: Connection) -> None:
        chat = self._chats.get(connection)
        if chat is not None:
            chat.fail(None)
            self._hub.end(chat.room, None)
            await connection.close()
            self._chats.pop(connection, None)

    def _check_open(self) -> None:
        if self._error is not None:
            raise self._error
        if not self._is_open:
            raise ClosedError("the client is not open: use `async with`")

    # What connections tell

    def delivered(self, connection: Connection, message: Message) -> None:
        """A message came."""
        chat = self._chats.get(connection)
        if chat is not None:
            chat.delivered(message)
        room, seq = message.room, message.seq
        done = (lambda: None) if seq is None else (lambda: connection.feed(steps.Handled(room, seq)))
        self._hub.deliver(message, done)

    def happened(self, connection: Connection, event: events.Event) -> None:
        """Something else happened."""
        chat = self._chats.get(connection)
        if chat is not None:
            chat.happened(event)
        elif isinstance(event, events.Connected) and self._opened is not None and not self._opened.done():
            self._opened.set_result(None)
        self._hub.tell(event)
        if isinstance(event, events.Subscribed):
            self._subscribed(event.room)
        elif isinstance(event, events.Unsubscribed) and event.code is not None:
            self._refused(event.room, RefusedError(event.code, event.message))

    def saved(self, connection: Connection, cursors: dict[str, Cursor]) -> None:
        """These cursors may be kept."""
        chat = self._chats.get(connection)
        if chat is not None or connection is self._general:
            self._keeper.keep(GENERAL if chat is None else chat.room, cursors)

    def failed(self, connection: Connection, error: RealtimeError) -> None:
        """A connection is over: that of a chat ends the chat, the general one the client."""
        chat = self._chats.pop(connection, None)
        if chat is not None:
            chat.fail(error)
            self._hub.end(chat.room, error)
            self._finish(connection)
            return
        self._error = error
        self._settle_all(error)
        self._hub.end(None, error)

    def _finish(self, connection: Connection) -> None:
        """Waits for what is left of a connection that is over; closing the client waits for that."""
        task = asyncio.create_task(connection.close())
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)

    def _subscribed(self, room: str) -> None:
        self._heard.add(room)
        for ready in self._ready.pop(room, ()):
            settle(ready)

    def _refused(self, room: str, error: RefusedError) -> None:
        self._heard.discard(room)
        self._wanted.discard(room)
        for ready in self._ready.pop(room, ()):
            settle(ready, error)
        self._hub.end(room, error)

    def _settle_all(self, error: RealtimeError | None) -> None:
        reason = error or ClosedError("the client was closed")
        waiters = [ready for waiting in self._ready.values() for ready in waiting]
        self._ready.clear()
        for ready in [*waiters, *([self._opened] if self._opened else [])]:
            settle(ready, reason)
        for chat in self._chats.values():
            chat.fail(error)
        if self._ended is not None:
            self._ended.set()

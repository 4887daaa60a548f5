"""Carries out what a machine asks for, with asyncio and a WebSocket."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from . import steps
from .callbacks import within
from .cursors import Cursor
from .errors import RealtimeError, RefusedError
from .events import Event
from .machine import Machine
from .protocol import Message, Part
from .tokens import Token, find_token
from .wire import Wire

_TOKEN_TIMEOUT = 30.0
_GOODBYE_TIMEOUT = 3.0

_log = logging.getLogger("cidadao_realtime")


class Listener(Protocol):
    """Whom a connection tells what happens."""

    def delivered(self, connection: Connection, message: Message) -> None:
        """A message came. If it has a ``seq``, feed ``Handled`` when the program is done with it."""

    def happened(self, connection: Connection, event: Event) -> None:
        """Something else happened."""

    def saved(self, connection: Connection, cursors: dict[str, Cursor]) -> None:
        """These cursors may be kept."""

    def failed(self, connection: Connection, error: RealtimeError) -> None:
        """The connection is over."""


ReadPart = Callable[[Part], Awaitable[bytes | None]]


class Connection:
    """A machine with a socket, a clock and a source of tokens."""

    def __init__(self, machine: Machine, url: str, token: Token, open_timeout: float, listener: Listener) -> None:
        self.machine = machine
        self.read_part: ReadPart | None = None
        self._url = url
        self._token = token
        self._open_timeout = open_timeout
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._wire: Wire | None = None
        self._leaving: Wire | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._token_task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._effects: deque[steps.Effect] = deque()
        self._is_draining = False

    def feed(self, step: steps.Input) -> None:
        """Takes what happened, and does what comes of it. Raises OutboxFullError for a ``Post`` without a place."""
        self._effects.extend(self.machine.step(step, self._loop.time()))
        if self._is_draining:
            return
        self._is_draining = True
        try:
            while self._effects:
                self._carry_out(self._effects.popleft())
        finally:
            self._is_draining = False
        self._arm()

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs what belongs to the connection, and ends with it at the latest."""
        return self._keep(asyncio.create_task(work))

    async def close(self) -> None:
        """Says goodbye, and waits until nothing is left. Being cancelled only makes it hurry."""
        self.feed(steps.Stop())
        if self._timer is not None:
            self._timer.cancel()
        self._cancel_token()
        try:
            await self._finish(_GOODBYE_TIMEOUT)
        finally:
            if self._tasks:
                self._abort_all()
                await asyncio.wait(self._tasks, timeout=_GOODBYE_TIMEOUT)

    async def _finish(self, timeout: float) -> None:
        others = self._tasks - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=timeout)

    def _abort_all(self) -> None:
        for wire in (self._wire, self._leaving):
            if wire is not None:
                wire.abort()
        for task in self._tasks:
            task.cancel()

    def _carry_out(self, effect: steps.Effect) -> None:
        match effect:
            case steps.AskToken():
                self._token_task = self.run(self._ask_token())
            case steps.Open(path, token):
                self._open(self._url + path, token)
            case steps.Transmit(text):
                self._send(text)
            case steps.TransmitPart(part):
                self._send(part)
            case steps.Drop(code):
                self._drop(code)
            case steps.Deliver(message):
                self._listener.delivered(self, message)
            case steps.Emit(event):
                self._listener.happened(self, event)
            case steps.Save(cursors):
                self._listener.saved(self, cursors)
            case steps.Fail(code, message):
                self._cancel_token()
                self._listener.failed(self, RefusedError(code, message))

    def _cancel_token(self) -> None:
        if self._token_task is not None:
            self._token_task.cancel()

    def _open(self, uri: str, token: str) -> None:
        self._wire = Wire(uri, token, self._open_timeout, self._feed_safely, self._read)
        self._keep(self._wire.task)

    def _send(self, item: str | Part) -> None:
        if self._wire is not None:
            self._wire.send(item)

    def _drop(self, code: int | None) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.drop(code)
            self._leaving = wire

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.machine.deadline
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._feed_safely, steps.Woken())

    def _feed_safely(self, step: steps.Input) -> None:
        """Feeds where nobody waits for an exception: one would be a fault of this package, and is not kept back."""
        try:
            self.feed(step)
        except Exception as error:
            _log.exception("a connection failed")
            failure = RealtimeError(f"a fault of the client: {type(error).__name__}")
            failure.__cause__ = error
            self._drop(None)
            self.machine.state = "closed"
            self._listener.failed(self, failure)

    async def _ask_token(self) -> None:
        try:
            token = await within(_TOKEN_TIMEOUT, find_token(self._token))
        except Exception as error:
            # The exception may quote a token, so only its kind is told.
            _log.warning("no token: %s", type(error).__name__)
            self._feed_safely(steps.TokenFailed())
        else:
            self._feed_safely(steps.TokenGiven(token))

    async def _read(self, part: Part) -> bytes | None:
        return None if self.read_part is None else await self.read_part(part)

    def _keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

"""Publishers: how backends say what happens. `Publisher` is for plain code, `AsyncPublisher` for asyncio."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType

import httpx

from .backoff import Random
from .batch import AsyncBatch, Batch
from .publishing import Kind, Outcome, OutgoingMessage, Pause, Published, Request, Retrying, deliver, prepare, room_of
from .rooms import base_url
from .tokens import SyncToken, Token, check_token, find_token

_TIMEOUT = 10.0


class Publisher:
    """Publishes from plain code. It may be shared by threads.

    ::

        with Publisher("https://realtime.example.org", token) as publisher:
            publisher.publish("investigation", "inv-1", {"type": "report_ready", "data": {"pages": 3}})

    Args:
        url: the address of the server.
        token: a service's token, or a function that gives a fresh one.
        retrying: how often to try.
        timeout: how many seconds one request may take.
        client: an ``httpx.Client`` to use; it is not closed.
        random: gives numbers from 0 to 1, for the waits.
    """

    def __init__(
        self,
        url: str,
        token: SyncToken,
        *,
        retrying: Retrying | None = None,
        timeout: float = _TIMEOUT,
        client: httpx.Client | None = None,
        random: Random = random.random,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = base_url(url, "http")
        self._token = check_token(token) if isinstance(token, str) else token
        self._retrying = retrying or Retrying()
        self._timeout = timeout
        self._client = client or httpx.Client()
        self._owns_client = client is None
        self._random = random
        self._sleep = sleep

    def __repr__(self) -> str:
        return f"<Publisher to {self._url}>"

    def publish(
        self, kind: Kind, identifier: str | None, messages: OutgoingMessage | Sequence[OutgoingMessage]
    ) -> list[Published]:
        """Publishes a message, or several in their order, and returns when they are in the log of the room.

        Each message gets an id before it is sent, so that trying again publishes nothing twice. Up to 1,000 messages
        and 1 MiB go together, and are taken together or not at all; more go in several requests.

        Args:
            kind: ``investigation``, ``analysis``, ``chat``, ``user`` or ``system``.
            identifier: the id; None for ``system``.
            messages: see `OutgoingMessage`.

        Raises:
            PublishError: the server refused, or was not reached.
            ValueError, TypeError: what was given is no message.
        """
        return self._deliver(room_of(kind, identifier), _prepared(messages))

    def batch(self) -> Batch:
        """Collects messages, and publishes them at the end of ``with``, or when a room has 1,000."""
        return Batch(self._deliver)

    def close(self) -> None:
        """Closes connections that are kept open for the next request."""
        if self._owns_client:
            self._client.close()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _deliver(self, room: str, prepared: Sequence[str]) -> list[Published]:
        renewable = not isinstance(self._token, str)
        steps = deliver(room, prepared, self._retrying, self._random, renewable=renewable)
        try:
            step = next(steps)
            while True:
                step = steps.send(self._carry_out(step))
        except StopIteration as end:
            return _result(end)

    def _carry_out(self, step: Request | Pause) -> Outcome | None:
        if isinstance(step, Pause):
            self._sleep(step.seconds)
            return None
        token = self._token if isinstance(self._token, str) else check_token(self._token())
        try:
            response = self._client.post(
                self._url + step.path, content=step.body, headers=_headers(token), timeout=self._timeout
            )
        except httpx.TransportError as error:
            return Outcome(error=type(error).__name__)
        return Outcome(response.status_code, response.content, response.headers.get("retry-after"))


class AsyncPublisher:
    """Publishes from asyncio. It belongs to one event loop.

    ::

        async with AsyncPublisher("https://realtime.example.org", token) as publisher:
            await publisher.publish("investigation", "inv-1", {"type": "report_ready", "data": {"pages": 3}})

    The arguments are those of `Publisher`; ``token`` may be an async function too, ``client`` is an
    ``httpx.AsyncClient``.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        *,
        retrying: Retrying | None = None,
        timeout: float = _TIMEOUT,
        client: httpx.AsyncClient | None = None,
        random: Random = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._url = base_url(url, "http")
        self._token = check_token(token) if isinstance(token, str) else token
        self._retrying = retrying or Retrying()
        self._timeout = timeout
        self._client = client or httpx.AsyncClient()
        self._owns_client = client is None
        self._random = random
        self._sleep = sleep

    def __repr__(self) -> str:
        return f"<AsyncPublisher to {self._url}>"

    async def publish(
        self, kind: Kind, identifier: str | None, messages: OutgoingMessage | Sequence[OutgoingMessage]
    ) -> list[Published]:
        """Publishes a message, or several; see `Publisher.publish`. Being cancelled leaves open what was taken."""
        return await self._deliver(room_of(kind, identifier), _prepared(messages))

    def batch(self) -> AsyncBatch:
        """Collects messages, and publishes them at the end of ``async with``, or when a room has 1,000."""
        return AsyncBatch(self._deliver)

    async def close(self) -> None:
        """Closes connections that are kept open for the next request."""
        if self._owns_client:
            await self._client.aclose()

    async def __aenter__(self) -> AsyncPublisher:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _deliver(self, room: str, prepared: Sequence[str]) -> list[Published]:
        renewable = not isinstance(self._token, str)
        steps = deliver(room, prepared, self._retrying, self._random, renewable=renewable)
        try:
            step = next(steps)
            while True:
                step = steps.send(await self._carry_out(step))
        except StopIteration as end:
            return _result(end)

    async def _carry_out(self, step: Request | Pause) -> Outcome | None:
        if isinstance(step, Pause):
            await self._sleep(step.seconds)
            return None
        token = await find_token(self._token)
        try:
            response = await self._client.post(
                self._url + step.path, content=step.body, headers=_headers(token), timeout=self._timeout
            )
        except httpx.TransportError as error:
            return Outcome(error=type(error).__name__)
        return Outcome(response.status_code, response.content, response.headers.get("retry-after"))


def _prepared(messages: OutgoingMessage | Iterable[OutgoingMessage]) -> list[str]:
    return [prepare(message) for message in ([messages] if isinstance(messages, Mapping) else messages)]


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


def _result(end: StopIteration) -> list[Published]:
    return list(end.value)

"""Batches that several tasks or threads share, and that fail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cidadao_realtime import AsyncBatch, Batch, Published, PublishError
from cidadao_realtime.jsons import to_json
from cidadao_realtime.publishing import MAX_BYTES


def numbers(bodies: list[list[str]]) -> list[int]:
    return [int(message.split('"n":')[1].split("}")[0]) for body in bodies for message in body]


def news(n: int) -> dict[str, Any]:
    return {"type": "news", "data": {"n": n}, "id": f"m{n}"}


class Slow:
    """Takes messages when the test says so; one flush of a room at a time."""

    def __init__(self) -> None:
        self.rooms: dict[str, list[list[str]]] = {}
        self.goes = asyncio.Event()
        self.begun = asyncio.Event()
        self.errors: list[Exception] = []
        self._busy: set[str] = set()

    async def __call__(self, room: str, messages: Sequence[str]) -> list[Published]:
        assert room not in self._busy, "two at a time"
        self._busy.add(room)
        taken = list(messages)
        self.begun.set()
        try:
            await self.goes.wait()
            await asyncio.sleep(0)
        finally:
            self._busy.discard(room)
        if self.errors:
            raise self.errors.pop(0)
        self.rooms.setdefault(room, []).append(taken)
        return [Published(message) for message in taken]


async def test_what_comes_while_a_flush_is_under_way_goes_with_the_next() -> None:
    slow = Slow()
    async with AsyncBatch(slow) as batch:
        await batch.publish("chat", "1", news(1))
        flushing = asyncio.create_task(batch.flush())
        await slow.begun.wait()
        await batch.publish("chat", "1", news(2))
        slow.goes.set()
        await flushing
        assert numbers(slow.rooms["chat:1"]) == [1]
    assert numbers(slow.rooms["chat:1"]) == [1, 2]
    assert len(batch.published) == 2


async def test_what_comes_while_the_last_flush_is_under_way_goes_too() -> None:
    slow = Slow()

    async def late(batch: AsyncBatch) -> None:
        await slow.begun.wait()
        await batch.publish("chat", "1", news(2))
        slow.goes.set()

    async with AsyncBatch(slow) as batch:
        await batch.publish("chat", "1", news(1))
        task = asyncio.create_task(late(batch))
    await task
    assert numbers(slow.rooms["chat:1"]) == [1, 2]


async def test_tasks_that_share_a_batch_publish_each_message_once_and_in_order() -> None:
    slow = Slow()
    slow.goes.set()
    async with AsyncBatch(slow) as batch:
        await asyncio.gather(*[batch.publish("chat", str(n % 2), news(n)) for n in range(5_000)])
    for room in (0, 1):
        assert numbers(slow.rooms[f"chat:{room}"]) == list(range(room, 5_000, 2))
    assert len(batch.published) == 5_000


async def test_a_flush_that_fails_fails_who_flushed_and_what_waits_goes_with_the_next_once() -> None:
    slow = Slow()
    error = PublishError("FORBIDDEN", "no")
    error.published = [Published("m0")]
    slow.errors = [error]
    batch = AsyncBatch(slow)
    publishing = [asyncio.create_task(batch.publish("chat", "1", news(n))) for n in range(1_010)]
    await slow.begun.wait()
    slow.goes.set()
    outcomes = await asyncio.gather(*publishing, return_exceptions=True)
    assert [outcome for outcome in outcomes if outcome is not None] == [error]
    assert slow.rooms == {}
    await batch.flush()
    assert numbers(slow.rooms["chat:1"]) == list(range(1, 1_010))


async def test_a_flush_that_is_cancelled_loses_nothing() -> None:
    slow = Slow()
    batch = AsyncBatch(slow)
    await batch.publish("chat", "1", news(1))
    flushing = asyncio.create_task(batch.flush())
    await slow.begun.wait()
    flushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flushing
    slow.goes.set()
    await batch.flush()
    assert numbers(slow.rooms["chat:1"]) == [1]


class Server:
    """Takes messages of several threads, and lets others run meanwhile."""

    def __init__(self) -> None:
        self.bodies: list[list[str]] = []
        self.began = threading.Event()
        self.goes = threading.Event()
        self._turn = threading.Lock()

    def __call__(self, room: str, messages: Sequence[str]) -> list[Published]:
        assert self._turn.acquire(blocking=False), "two at a time"
        self.began.set()
        assert self.goes.wait(60)
        self.bodies.append(list(messages))
        self._turn.release()
        return [Published(message) for message in messages]


def test_threads_that_share_a_batch_publish_each_message_once() -> None:
    server = Server()
    server.goes.set()
    with Batch(server) as batch, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: batch.publish("chat", "1", news(n)), range(5_000)))
    assert sorted(numbers(server.bodies)) == list(range(5_000))


def test_what_a_thread_adds_while_another_flushes_goes_with_the_next() -> None:
    server = Server()
    batch = Batch(server)
    batch.publish("chat", "1", news(1))
    with ThreadPoolExecutor(1) as threads:
        flushing = threads.submit(batch.flush)
        assert server.began.wait(60)
        batch.publish("chat", "1", news(2))
        server.goes.set()
        flushing.result()
    batch.flush()
    assert [numbers([body]) for body in server.bodies] == [[1], [2]]


def test_a_message_that_is_too_large_is_refused_at_once_and_does_not_hold_up_the_others() -> None:
    server = Server()
    server.goes.set()
    with Batch(server) as batch:
        batch.publish("chat", "1", news(1))
        with pytest.raises(PublishError, match="TOO_LARGE"):
            batch.publish("chat", "1", {"type": "a", "data": "x" * MAX_BYTES})
    assert numbers(server.bodies) == [1]
    assert to_json(news(1)) == server.bodies[0][0]


async def test_a_room_that_is_refused_keeps_no_other_waiting() -> None:
    went: list[str] = []
    refused = PublishError("FORBIDDEN", "not there")

    def deliver(room: str, messages: Sequence[str]) -> list[Published]:
        went.append(room)
        if room == "chat:1":
            raise refused
        return [Published(message) for message in messages]

    async def deliver_later(room: str, messages: Sequence[str]) -> list[Published]:
        return deliver(room, messages)

    plain, batch = Batch(deliver), AsyncBatch(deliver_later)
    for room in ("1", "2", "1"):
        plain.publish("chat", room, news(1))
        await batch.publish("chat", room, news(1))
    with pytest.raises(PublishError) as caught:
        plain.flush()
    assert caught.value is refused
    with pytest.raises(PublishError):
        await batch.flush()
    assert went == ["chat:1", "chat:2"] * 2
    assert len(plain.published) == len(batch.published) == 1


async def test_a_server_that_cannot_be_reached_is_not_tried_for_each_room() -> None:
    went: list[str] = []

    def deliver(room: str, messages: Sequence[str]) -> list[Published]:
        went.append(room)
        raise PublishError("UNREACHABLE", "ConnectError", retry=True)

    async def deliver_later(room: str, messages: Sequence[str]) -> list[Published]:
        return deliver(room, messages)

    plain, batch = Batch(deliver), AsyncBatch(deliver_later)
    for room in ("1", "2"):
        plain.publish("chat", room, news(1))
        await batch.publish("chat", room, news(1))
    with pytest.raises(PublishError):
        plain.flush()
    with pytest.raises(PublishError):
        await batch.flush()
    assert went == ["chat:1"] * 2

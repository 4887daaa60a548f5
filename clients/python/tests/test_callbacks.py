"""What the program gives to be called, and is cancelled or fails while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from cidadao_realtime import Connected, Cursor, InterruptedCallError, Message, Options, RealtimeClient
from cidadao_realtime.callbacks import call, within
from cidadao_realtime.hub import Hub
from cidadao_realtime.keeper import GENERAL, Keeper

from .support.driver import EPOCH, TOKEN
from .support.script import scripted
from .support.tasks import tasks_of_the_client


async def cancelled_by_somebody_else(*_: Any) -> Any:
    task = asyncio.create_task(asyncio.sleep(3600))
    task.cancel()
    await task


def cancelled_at_once(*_: Any) -> Any:
    raise asyncio.CancelledError


CANCELLED = [cancelled_by_somebody_else, cancelled_at_once]


@pytest.mark.parametrize("function", CANCELLED)
async def test_a_cancellation_out_of_a_callback_is_an_error_and_none_of_the_caller(function: Any) -> None:
    with pytest.raises(InterruptedCallError):
        await call(function)


async def test_being_cancelled_cancels_the_callback_and_is_not_taken_for_its_own() -> None:
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise ZeroDivisionError from None  # nobody is there to take it

    calling = asyncio.create_task(call(wait))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert ended == ["cancelled"]


@pytest.mark.parametrize("ticks", range(4))
async def test_being_cancelled_as_the_result_comes_is_being_cancelled(ticks: int) -> None:
    loop = asyncio.get_running_loop()
    given: asyncio.Future[int] = loop.create_future()

    async def give() -> int:
        return await given

    waiting = asyncio.create_task(within(60, give()))
    for _ in range(3):
        await asyncio.sleep(0)
    given.set_result(1)
    for _ in range(ticks):
        await asyncio.sleep(0)
    if waiting.cancel():
        with pytest.raises(asyncio.CancelledError):
            await waiting
    else:
        assert await waiting == 1


async def test_what_takes_too_long_is_cancelled() -> None:
    with pytest.raises(asyncio.TimeoutError):
        await within(0.01, asyncio.sleep(3600))


@pytest.mark.parametrize("function", CANCELLED)
async def test_callbacks_go_on_after_one_was_cancelled(function: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with scripted() as script:
        client = RealtimeClient(script.url, token=TOKEN)
        heard: asyncio.Queue[Message] = asyncio.Queue()
        client.on("bad")(function)
        client.on("news")(heard.put_nowait)
        async with client:
            for seq, kind in enumerate(("bad", "news"), 1):
                await script.say(kind, {}, room="chat:s", seq=seq)
            assert (await asyncio.wait_for(heard.get(), 20)).seq == 2
    assert f"the callback {function.__qualname__} failed" in caplog.text
    assert not tasks_of_the_client()


@pytest.mark.parametrize("function", CANCELLED)
async def test_a_token_that_was_cancelled_is_asked_for_again(function: Any) -> None:
    calls = 0

    def token() -> Any:
        nonlocal calls
        calls += 1
        return function() if calls == 1 else TOKEN

    async with scripted() as script:
        client = RealtimeClient(script.url, token=token, options=Options(first_delay=0.01), open_timeout=None)
        connected = asyncio.Event()
        client.on(Connected)(lambda _: connected.set())
        async with client:
            await asyncio.wait_for(connected.wait(), 20)
    assert calls == 2
    assert not tasks_of_the_client()


async def test_a_saving_that_was_cancelled_is_logged_and_the_next_is_made(caplog: pytest.LogCaptureFixture) -> None:
    saved: list[Mapping[str, Cursor]] = []

    class Storage:
        async def load(self) -> Mapping[str, Cursor]:
            return {}

        async def save(self, cursors: Mapping[str, Cursor]) -> None:
            if cursors["user:ana"].seq == 1:
                await cancelled_by_somebody_else()
            saved.append(cursors)

    keeper = Keeper(Storage())
    await keeper.load()
    for seq in (1, 2):
        keeper.keep(GENERAL, {"user:ana": Cursor(EPOCH, seq)})
        await keeper.finish()
    assert "could not be saved" in caplog.text
    assert saved == [{"user:ana": Cursor(EPOCH, 2)}]


async def test_nothing_is_called_after_a_callback_that_closes_its_client() -> None:
    seen: list[str] = []
    hub = Hub(10)

    @partial(hub.on, "*")
    async def first(message: Message) -> None:
        seen.append(f"first {message.id}")
        await hub.stop()

    @partial(hub.on, "*")
    def second(message: Message) -> None:
        seen.append(f"second {message.id}")

    hub.start()
    for identifier in ("1", "2"):
        hub.deliver(Message("news", {}, "chat:s", identifier), lambda: None)
    while tasks_of_the_client():
        await asyncio.sleep(0)
    assert seen == ["first 1"]

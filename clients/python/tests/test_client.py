"""The parts between the machine and the program."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from cidadao_realtime import (
    ClosedError,
    Connected,
    Cursor,
    Disconnected,
    Event,
    FileStorage,
    Lost,
    Message,
    Options,
    RealtimeClient,
    RealtimeError,
    RefusedError,
    ServiceToken,
    TokenError,
)
from cidadao_realtime.feed import Delivery, Feed
from cidadao_realtime.hub import Hub
from cidadao_realtime.keeper import GENERAL, Keeper
from cidadao_realtime.steps import Closed
from cidadao_realtime.tokens import find_token, subject
from cidadao_realtime.wire import Wire

from .support.driver import EPOCH, TOKEN
from .support.script import scripted
from .support.tasks import tasks_of_the_client


def news(seq: int, room: str = "investigation:1") -> Message:
    return Message("news", seq, room, str(seq), "", seq)


def delivery(seq: int, done: list[int], consumers: int = 1) -> Delivery:
    return Delivery(news(seq), consumers, lambda: done.append(seq))


async def test_a_message_is_done_with_when_all_consumers_ask_for_the_next() -> None:
    done: list[int] = []
    first, second = Feed(10), Feed(10)
    shared = delivery(1, done, 2)
    for feed in (first, second):
        feed.put(shared)
    await first.get()
    await second.get()
    first.abandon()
    assert done == []
    second.abandon()
    assert done == [1]


async def test_a_full_feed_drops_the_oldest_and_says_so_once() -> None:
    done: list[int] = []
    feed = Feed(2)
    lost = [feed.put(delivery(seq, done)) for seq in range(1, 6)]
    assert [loss is not None for loss in lost] == [False, False, True, False, False]
    found = [await feed.get() for _ in range(3)]
    assert isinstance(found[0], Lost)
    assert found[0].reason == "buffer"
    assert [item.seq for item in found[1:] if isinstance(item, Message)] == [4, 5]
    assert done == [1, 2, 3, 4]


async def test_a_full_feed_of_events_drops_the_oldest() -> None:
    feed = Feed(1)
    for room in "ab":
        assert feed.put(Lost(room)) is None
    assert await feed.get() == Lost("b")


async def test_a_closed_feed_gives_what_it_has_and_then_what_ended_it() -> None:
    done: list[int] = []
    feed = Feed(10)
    feed.put(delivery(1, done))
    feed.close(RefusedError("FORBIDDEN"))
    feed.close()
    feed.put(delivery(2, done))
    feed.put(Lost("x"))
    assert await feed.get() == news(1)
    with pytest.raises(RefusedError):
        await feed.get()
    assert done == [2, 1]


async def test_callbacks_run_in_order_and_what_one_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    hub, seen = Hub(10), []
    done = asyncio.Event()

    async def slow(message: Message) -> None:
        await asyncio.sleep(0)
        seen.append(message.seq)

    def fail(message: Message) -> None:
        raise ZeroDivisionError

    def unused(message: Message) -> None:
        raise AssertionError

    for handler in (fail, slow, unused):
        hub.on("news", handler)
    hub.off("news", unused)
    hub.off("news", unused)
    hub.on("*", lambda message: seen.append(-message.seq))
    hub.on(Lost, lambda lost: done.set())
    hub.deliver(news(9), lambda: None)
    hub.start()
    for seq in (1, 2):
        hub.deliver(news(seq), lambda: None)
    hub.tell(Lost("investigation:1"))
    await asyncio.wait_for(done.wait(), 20)
    await hub.stop()
    assert seen == [1, -1, 2, -2]
    assert len([record for record in caplog.records if "fail" in record.getMessage()]) == 2


async def test_a_loss_is_told_to_the_loops_of_its_room() -> None:
    hub = Hub(1)
    mine, other, everything = hub.open("investigation:1"), hub.open("analysis:2"), hub.open(None)
    hub.tell(Lost("investigation:1"))
    for feed in (mine, everything):
        assert await feed.get() == Lost("investigation:1")
    other.close()
    assert await other.get() is None
    for seq in (1, 2):
        hub.deliver(news(seq), lambda: None)
    lost = await mine.get()
    assert isinstance(lost, Lost)


async def test_callbacks_that_are_too_slow_hear_of_a_loss_once() -> None:
    hub, seen = Hub(2), []
    ended = asyncio.Event()
    hub.on("news", lambda message: seen.append(message.seq))
    hub.on("last", lambda message: ended.set())
    hub.on(Lost, lambda lost: seen.append(lost.reason))
    hub.start()
    for seq in (1, 2, 3):
        hub.deliver(news(seq), lambda: None)
    hub.deliver(Message("last", None, "investigation:1"), lambda: None)
    await asyncio.wait_for(ended.wait(), 20)
    await hub.stop()
    assert seen == ["buffer", 3]


class Memory:
    def __init__(self, cursors: Mapping[str, Cursor] | None = None) -> None:
        self.saved: list[dict[str, Cursor]] = []
        self.cursors = dict(cursors or {})
        self.fails = False

    async def load(self) -> Mapping[str, Cursor]:
        return self.cursors

    async def save(self, cursors: Mapping[str, Cursor]) -> None:
        await asyncio.sleep(0)
        if self.fails:
            raise OSError("full")
        self.saved.append(dict(cursors))


async def test_cursors_are_saved_one_saving_after_the_other_and_the_newest_last() -> None:
    memory = Memory({"chat:1": Cursor(EPOCH, 1), "user:ana": Cursor(EPOCH, 2)})
    keeper = Keeper(memory)
    await keeper.load()
    assert keeper.cursors("chat:1") == {"chat:1": Cursor(EPOCH, 1)}
    assert keeper.cursors(GENERAL) == {"user:ana": Cursor(EPOCH, 2)}
    keeper.keep(GENERAL, {"user:ana": Cursor(EPOCH, 2)})
    for seq in (3, 4, 5):
        keeper.keep(GENERAL, {"user:ana": Cursor(EPOCH, seq)})
    await keeper.finish()
    await keeper.finish()
    assert memory.saved[-1] == {"chat:1": Cursor(EPOCH, 1), "user:ana": Cursor(EPOCH, 5)}
    assert len(memory.saved) < 3


async def test_cursors_that_cannot_be_saved_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    memory = Memory()
    memory.fails = True
    keeper = Keeper(memory)
    keeper.keep(GENERAL, {"user:ana": Cursor(EPOCH, 1)})
    await keeper.finish()
    assert "could not be saved" in caplog.text
    keeper.keep(GENERAL, {"user:ana": Cursor(EPOCH, 2)})
    await keeper.abandon()
    await keeper.abandon()
    assert memory.saved == []


async def test_cursors_that_could_not_be_saved_are_saved_later_though_they_are_the_same() -> None:
    memory = Memory()
    keeper = Keeper(memory)
    for memory.fails in (True, False):
        keeper.keep(GENERAL, {"user:ana": Cursor(EPOCH, 1)})
        await keeper.finish()
    assert memory.saved == [{"user:ana": Cursor(EPOCH, 1)}]


async def test_a_file_of_cursors_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state" / "cursors.json"
    storage = FileStorage(path)
    assert await storage.load() == {}
    cursors = {"investigation:1": Cursor(EPOCH, 7)}
    await storage.save(cursors)
    assert await storage.load() == cursors

    def fail(*_: Any) -> None:
        raise OSError("crashed")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="crashed"):
        await storage.save({})
    assert await FileStorage(path).load() == cursors
    assert [file.name for file in path.parent.iterdir()] == ["cursors.json"]


@pytest.mark.parametrize("text", ["", "[]", '{"a":7}', '{"a":{"epoch":"x","seq":1}}', '{"a":{"seq":1}}'])
async def test_a_file_that_holds_no_cursors_is_as_if_there_was_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "c").write_text(text)
    assert await FileStorage(tmp_path / "c").load() == {}
    for seq in (-1, 2**53, True, "1"):
        (tmp_path / "c").write_text(json.dumps({"a": {"epoch": EPOCH, "seq": seq}}))
        assert await FileStorage(tmp_path / "c").load() == {}


async def test_a_token_comes_from_a_string_or_a_function() -> None:
    async def later() -> str:
        return "c"

    assert [await find_token(source) for source in ("a", lambda: "b", later)] == ["a", "b", "c"]
    for bad in ("", "a b", "a\nb", "é"):
        with pytest.raises(TokenError) as caught:
            await find_token(bad)
        assert not bad or bad not in str(caught.value)
    with pytest.raises(TokenError):
        await find_token(lambda: None)  # type: ignore[arg-type, return-value]


def test_a_service_makes_another_token_before_the_last_one_ends() -> None:
    now = 1000.0
    token = ServiceToken("s" * 32, "agents", lambda: now)
    first = token()
    assert subject(first) == "agents"
    now += 239
    assert token() == first
    now += 1
    assert token() != first
    with pytest.raises(ValueError, match="at least 32 bytes"):
        ServiceToken("short")


async def test_a_client_is_used_inside_its_context_and_once() -> None:
    client = RealtimeClient("ws://127.0.0.1:1", token=TOKEN, open_timeout=None)
    with pytest.raises(ClosedError):
        client.investigation("1")
    with pytest.raises(RealtimeError, match="not open"):
        await client.wait_closed()
    with pytest.raises(ValueError, match="subscribed to"):
        client.subscribe("chat", "1")
    client.subscribe("analysis", "1")
    async with client:
        subscription = client.investigation("1")
        client.unsubscribe("analysis", "1")
    await client.wait_closed()
    with pytest.raises(ClosedError):
        await subscription.ready()
    with pytest.raises(StopAsyncIteration):
        await anext(subscription)
    with pytest.raises(RealtimeError, match="once"):
        async with client:
            pass
    with pytest.raises(TokenError):
        RealtimeClient("ws://127.0.0.1:1", token="a b")


async def test_who_waits_for_a_room_that_is_left_is_told() -> None:
    async with RealtimeClient("ws://127.0.0.1:1", token=TOKEN, open_timeout=None) as client:
        first, second = client.investigation("1"), client.investigation("1")
        ready = [asyncio.create_task(subscription.ready()) for subscription in (first, second)]
        await asyncio.sleep(0)
        first.close()
        await asyncio.sleep(0)
        assert not any(task.done() for task in ready)
        second.close()
        for task in ready:
            with pytest.raises(ClosedError, match="the subscription was closed"):
                await asyncio.wait_for(task, 20)


async def test_a_socket_that_fails_in_a_way_nobody_thought_of_is_opened_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Wire._live

    async def fail(*_: Any) -> Closed:
        monkeypatch.setattr(Wire, "_live", live)
        raise ZeroDivisionError

    monkeypatch.setattr(Wire, "_live", fail)
    async with scripted() as script:
        client = RealtimeClient(script.url, token=TOKEN, options=Options(first_delay=0.01))
        seen: asyncio.Queue[Disconnected] = asyncio.Queue()
        client.on(Disconnected)(seen.put_nowait)
        async with client:
            assert (await asyncio.wait_for(seen.get(), 20)).reason == "ZeroDivisionError"
    assert "a connection failed" in caplog.text


async def test_a_client_that_is_refused_while_it_asks_for_a_token_leaves_nothing_behind() -> None:
    tokens = 0

    async def token() -> str:
        nonlocal tokens
        tokens += 1
        if tokens > 1:
            await asyncio.sleep(3600)
        return TOKEN

    async with scripted() as script, RealtimeClient(script.url, token=token, general=False) as client:
        chat = client.chat("s")
        messages = chat.messages()
        while script.opened == 0:
            await asyncio.sleep(0.01)
        await script.say("token_expiring", {"expires_in_ms": 1000})
        while tokens < 2:
            await asyncio.sleep(0.01)
        assert script.socket is not None
        await script.socket.close(4003)
        with pytest.raises(RefusedError):
            await anext(messages)
    assert not tasks_of_the_client()


async def test_without_a_general_connection_there_are_chats_only() -> None:
    async with scripted() as script, RealtimeClient(script.url, token=TOKEN, general=False) as client:
        with pytest.raises(RealtimeError, match="general=False"):
            client.investigation("1")
        chat = client.chat("s")
        assert client.chat("s") is chat
        await chat.close()
        assert client.chat("s") is not chat


async def test_an_upgrade_that_is_refused_over_http_is_told_by_its_code() -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        response = connection.respond(403, '{"error":{"code":"ORIGIN_NOT_ALLOWED","message":"no","retry":false}}')
        assert isinstance(response, Response)
        return response

    async def never(socket: ServerConnection) -> None:
        raise AssertionError

    async with serve(never, "127.0.0.1", 0, process_request=refuse) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(RefusedError, match="ORIGIN_NOT_ALLOWED"):
            async with RealtimeClient(url, token=TOKEN):
                pass


@pytest.mark.parametrize("body", ["<html>", "{}", '{"room":"x","messages":[7]}'])
async def test_a_log_that_is_not_the_servers_is_an_error(body: str) -> None:
    def answer(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(200, body)

    async def never(socket: ServerConnection) -> None:
        raise AssertionError

    async with serve(never, "127.0.0.1", 0, process_request=answer) as server:
        client = RealtimeClient(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", token=TOKEN)
        with pytest.raises(RefusedError, match="HTTP_200"):
            await client.history("chat", "s")


@pytest.mark.parametrize(("status", "body"), [(401, "<html>"), (302, ""), (502, '{"error":{"code":"MADE_UP"}}')])
async def test_an_answer_that_is_not_the_servers_is_waited_out_and_no_redirect_gets_the_token(
    status: int, body: str
) -> None:
    requests = []

    def refuse(connection: ServerConnection, request: Request) -> Response:
        requests.append(request.path)
        response = connection.respond(status, body)
        response.headers["Location"] = "/elsewhere"
        return response

    async def never(socket: ServerConnection) -> None:
        raise AssertionError

    async with serve(never, "127.0.0.1", 0, process_request=refuse) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        client = RealtimeClient(url, token=lambda: TOKEN, open_timeout=None, options=Options(first_delay=0.01))
        seen: asyncio.Queue[Disconnected] = asyncio.Queue()
        client.on(Disconnected)(seen.put_nowait)
        async with client:
            reason = (await asyncio.wait_for(seen.get(), 20)).reason
        assert reason == ("INVALID_TOKEN" if status == 401 else f"HTTP {status}")
        assert set(requests) == {"/api/v1/ws"}


async def test_a_token_that_cannot_be_found_is_logged_without_what_went_wrong(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> str:
        raise ValueError("s3cr3t")

    caplog.set_level(logging.DEBUG)
    client = RealtimeClient("ws://127.0.0.1:1", token=fail, open_timeout=None)
    seen: asyncio.Queue[Disconnected] = asyncio.Queue()
    client.on(Disconnected)(seen.put_nowait)
    async with client:
        assert (await asyncio.wait_for(seen.get(), 20)).reason == "NO_TOKEN"
    assert "no token: ValueError" in caplog.text
    assert "s3cr3t" not in caplog.text


async def test_a_callback_may_close_the_client() -> None:
    async with scripted() as script:
        client = RealtimeClient(script.url, token=TOKEN)

        @client.on("news")
        async def stop(message: Message) -> None:
            await client.close()

        async with client:
            await script.say("news", {}, room="chat:s", seq=1)
            await asyncio.wait_for(client.wait_closed(), 20)
    assert not tasks_of_the_client()


@pytest.mark.parametrize("ticks", range(6))
async def test_being_cancelled_while_the_welcome_comes_is_being_cancelled(
    ticks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancel(after: int) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(cancel, after - 1) if after else entering.cancel()

    def tell(hub: Hub, event: Event, **how: bool) -> None:
        if isinstance(event, Connected):
            cancel(ticks)

    monkeypatch.setattr(Hub, "tell", tell)
    async with scripted() as script:
        client = RealtimeClient(script.url, token=TOKEN)

        async def use() -> None:
            async with client:
                await asyncio.sleep(3600)

        entering = asyncio.create_task(use())
        await asyncio.wait([entering], timeout=5)
        assert entering.cancelled()
    assert not tasks_of_the_client()


async def test_a_loop_may_be_left_in_another_thread() -> None:
    async with scripted() as script, RealtimeClient(script.url, token=TOKEN) as client:
        holder = [client.investigation("1")]
        assert (await script.hear())["type"] == "subscribe"
        thread = threading.Thread(target=holder.clear)
        thread.start()
        thread.join()
        gc.collect()
        assert (await script.hear())["type"] == "unsubscribe"


async def test_a_fault_of_the_client_is_logged_and_ends_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scripted() as script, RealtimeClient(script.url, token=TOKEN) as client:
        subscription = client.investigation("1")

        def fail(*_: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr("cidadao_realtime.machine.Machine._received", fail)
        await script.say("news", {}, room="chat:s", seq=1)
        with pytest.raises(RealtimeError, match="a fault of the client: ZeroDivisionError"):
            await anext(subscription)
        assert "a connection failed" in caplog.text

"""The client and the publisher against the real worker."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from cidadao_realtime import (
    AsyncPublisher,
    Connected,
    Disconnected,
    Event,
    FileStorage,
    Lost,
    Message,
    Options,
    Publisher,
    RealtimeClient,
    RefusedError,
    Subscription,
    UnreachableError,
    Unsubscribed,
)
from cidadao_realtime.steps import Transmit

from .support.tasks import tasks_of_the_client
from .support.worker import Worker

QUICK = Options(first_delay=0.05, ack_interval=0.05)


def client_of(worker: Worker, sub: str, **settings: Any) -> RealtimeClient:
    settings.setdefault("options", QUICK)
    return RealtimeClient(worker.url, token=settings.pop("token", worker.token(sub)), random=lambda: 0.1, **settings)


@contextlib.asynccontextmanager
async def publisher_of(worker: Worker) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    async with AsyncPublisher(worker.url, worker.token("backend", role="service"), random=lambda: 0.1) as publisher:

        async def publish(room: str, *numbers: int, kind: Any = "investigation") -> None:
            await publisher.publish(kind, room, [{"type": "news", "data": {"n": n}} for n in numbers])

        yield publish


async def take(messages: AsyncIterator[Message], count: int) -> list[int]:
    return [(await asyncio.wait_for(anext(messages), 20)).data["n"] for _ in range(count)]


async def heard(events: asyncio.Queue[Event]) -> Event:
    return await asyncio.wait_for(events.get(), 20)


def events_of(client: RealtimeClient, kind: type[Event]) -> asyncio.Queue[Event]:
    queue: asyncio.Queue[Event] = asyncio.Queue()
    client.on(kind)(queue.put_nowait)
    return queue


async def test_a_loop_hears_what_is_published_into_its_room(worker: Worker) -> None:
    async with client_of(worker, "u1") as client, publisher_of(worker) as publish:
        subscription = await client.investigation("loop").ready()
        await publish("loop", 1, 2)
        await publish("other", 9)
        await publish("loop", 3)
        assert await take(subscription, 3) == [1, 2, 3]


async def test_a_callback_hears_its_type_and_no_other(worker: Worker) -> None:
    async with client_of(worker, "u2") as client, publisher_of(worker) as publish:
        got: asyncio.Queue[Message] = asyncio.Queue()

        @client.on("news")
        async def keep(message: Message) -> None:
            await got.put(message)

        @client.on("other")
        def fail(message: Message) -> None:
            raise AssertionError(message)

        client.subscribe("analysis", "callback")
        await client.analysis("callback").ready()
        await publish("callback", 7, kind="analysis")
        message = await asyncio.wait_for(got.get(), 20)
        assert (message.room, message.data, message.seq) == ("analysis:callback", {"n": 7}, 1)


async def test_what_is_for_the_user_and_for_everybody_comes_unasked(worker: Worker) -> None:
    async with client_of(worker, "u3") as client, publisher_of(worker) as publish:
        messages = client.messages()
        await publish("u3", 1, kind="user")
        assert await take(messages, 1) == [1]


async def test_a_broken_connection_costs_nothing(worker: Worker) -> None:
    async with client_of(worker, "u4") as client, publisher_of(worker) as publish:
        connected = events_of(client, Connected)
        subscription = await client.investigation("broken").ready()
        await publish("broken", 1)
        assert await take(subscription, 1) == [1]
        worker.relay.cut()
        await publish("broken", 2, 3)
        assert await take(subscription, 2) == [2, 3]
        assert (await heard(connected)).recovered is True  # type: ignore[attr-defined]


async def test_a_worker_that_is_killed_and_started_again_costs_nothing(worker: Worker) -> None:
    async with client_of(worker, "u5") as client, publisher_of(worker) as publish:
        lost = events_of(client, Lost)
        subscription = await client.investigation("killed").ready()
        await publish("killed", 1)
        await worker.restart()
        await publish("killed", 2)
        assert await take(subscription, 2) == [1, 2]
        await publish("killed", 3)
        assert await take(subscription, 1) == [3]
        assert lost.empty()


async def test_a_room_that_slept_goes_on_where_it_was(worker: Worker) -> None:
    async with client_of(worker, "u6") as client, publisher_of(worker) as publish:
        subscription = await client.investigation("asleep").ready()
        await publish("asleep", 1)
        await worker.evict("investigation:asleep")
        await worker.evict("user:u6")
        await publish("asleep", 2)
        worker.relay.cut()
        await publish("asleep", 3)
        await worker.evict("user:u6")
        assert await take(subscription, 3) == [1, 2, 3]


async def test_a_client_that_was_away_goes_on_from_its_file(worker: Worker, tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "cursors.json")
    async with publisher_of(worker) as publish:
        async with client_of(worker, "u7", storage=storage) as client:
            subscription = await client.investigation("away").ready()
            await publish("away", 1, 2, 3)
            assert await take(subscription, 3) == [1, 2, 3]  # of which the third may not be done with
        assert (await storage.load())["investigation:away"].seq == 2
        await publish("away", 4)
        async with client_of(worker, "u7", storage=storage) as client:
            assert await take(client.investigation("away"), 2) == [3, 4]


async def test_a_cursor_of_another_life_of_the_log_is_told_to_be_lost(worker: Worker, tmp_path: Path) -> None:
    file = tmp_path / "cursors.json"
    file.write_text('{"investigation:wiped": {"epoch": "0123456789abcdef", "seq": 7}}')
    async with client_of(worker, "u8", storage=FileStorage(file)) as client, publisher_of(worker) as publish:
        subscription = client.investigation("wiped")
        events = subscription.events()
        assert isinstance(await asyncio.wait_for(anext(events), 20), Lost)
        await publish("wiped", 1)
        message = await asyncio.wait_for(anext(events), 20)
        assert isinstance(message, Message)
        assert message.data == {"n": 1}


async def test_what_is_done_with_is_confirmed_and_told_to_the_publisher(worker: Worker) -> None:
    options = Options(acks=True, ack_interval=0.05)
    service = worker.token("backend", role="service")
    async with client_of(worker, "u9", options=options) as client, AsyncPublisher(worker.url, service) as publisher:
        messages = client.messages()
        (published,) = await publisher.publish("user", "u9", {"type": "news", "data": {"n": 1}})
        assert await take(messages, 1) == [1]
        assert await confirmed(worker, published.id) == 0
        messages.close()
        for _ in range(400):
            if await confirmed(worker, published.id) == 1:
                return
            await asyncio.sleep(0.05)
        pytest.fail("nobody confirmed it")


async def confirmed(worker: Worker, message_id: str) -> int:
    url = f"{worker.url}/api/v1/ws/users/u9/messages/{message_id}"
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {worker.token(role='service')}"}) as http:
        return int((await http.get(url)).json()["confirmed"])


async def test_a_token_that_ends_is_replaced_in_place(worker: Worker) -> None:
    # It is announced at once that the first one ends, since that is in less than 30 s.
    grants = iter([(25, ["investigation:before"]), (600, ["investigation:before", "investigation:renewed"])])

    def token() -> str:
        ttl, rooms = next(grants)
        return worker.token("u10", ttl=ttl, rooms=rooms)

    async with client_of(worker, "u10", token=token) as client, publisher_of(worker) as publish:
        gone = events_of(client, Disconnected)
        subscription = await client.investigation("before").ready()
        other = await asyncio.wait_for(opened(client, "renewed"), 20)
        await publish("renewed", 1)
        await publish("before", 2)
        assert await take(other, 1) == [1]
        assert await take(subscription, 1) == [2]
        assert gone.empty()


async def opened(client: RealtimeClient, room: str) -> Subscription:
    """The room, as soon as the token opens it."""
    while True:
        try:
            return await client.investigation(room).ready()
        except RefusedError:
            await asyncio.sleep(0.05)


async def test_a_token_that_has_ended_is_replaced_by_coming_back(worker: Worker) -> None:
    lifetimes = iter([-100, 600])

    async def token() -> str:
        return worker.token("u11", ttl=next(lifetimes))

    async with client_of(worker, "u11", token=token) as client:
        assert (await client.investigation("renewed-later").ready()).room == "investigation:renewed-later"


async def test_tokens_that_are_never_good_end_in_an_error(worker: Worker) -> None:
    calls = 0

    def token() -> str:
        nonlocal calls
        calls += 1
        return "no.good.token"

    with pytest.raises(RefusedError) as caught:
        async with client_of(worker, "u12", token=token):
            pass
    assert caught.value.code == "INVALID_TOKEN"
    assert calls == 4


async def test_a_token_that_cannot_be_replaced_ends_in_an_error_at_once(worker: Worker) -> None:
    with pytest.raises(RefusedError) as caught:
        async with client_of(worker, "u13", token="no.good.token"):
            pass
    assert caught.value.code == "INVALID_TOKEN"


async def test_a_room_that_the_token_does_not_open_ends_the_loop_and_nothing_else(worker: Worker) -> None:
    token = worker.token("u14", rooms=["investigation:open"])
    async with client_of(worker, "u14", token=token) as client, publisher_of(worker) as publish:
        refused = events_of(client, Unsubscribed)
        good = client.investigation("open")
        with pytest.raises(RefusedError) as caught:
            async for _ in client.investigation("shut"):
                pass
        assert caught.value.code == "FORBIDDEN"
        assert (await heard(refused)).room == "investigation:shut"
        await good.ready()
        await publish("open", 1)
        assert await take(good, 1) == [1]


async def test_a_service_that_ends_a_user_ends_the_client(worker: Worker) -> None:
    async with client_of(worker, "u15") as client:
        subscription = await client.investigation("ended").ready()
        headers = {"authorization": f"Bearer {worker.token('backend', role='service')}"}
        async with httpx.AsyncClient() as http:
            await http.post(f"{worker.url}/api/v1/ws/users/u15/disconnect", headers=headers)
        with pytest.raises(RefusedError) as caught:
            await asyncio.wait_for(client.wait_closed(), 20)
        assert caught.value.code == "DISCONNECTED"
        with pytest.raises(RefusedError):
            await take(subscription, 1)
        with pytest.raises(RefusedError):
            client.investigation("another")


async def test_a_server_that_is_not_there_is_told(worker: Worker) -> None:
    worker.relay.refusing = True
    with pytest.raises(UnreachableError):
        async with client_of(worker, "u16", open_timeout=0.3):
            pass


async def test_a_client_may_start_before_its_server(worker: Worker) -> None:
    worker.relay.refusing = True
    async with client_of(worker, "u17", open_timeout=None) as client, publisher_of(worker) as publish:
        gone = events_of(client, Disconnected)
        subscription = client.investigation("later")
        await heard(gone)
        worker.relay.refusing = False
        await subscription.ready()
        await publish("later", 1)
        assert await take(subscription, 1) == [1]


async def test_a_server_that_falls_silent_counts_as_gone(worker: Worker) -> None:
    options = Options(ping_interval=0.2, ping_timeout=0.2, first_delay=0.05)
    async with client_of(worker, "u18", options=options) as client, publisher_of(worker) as publish:
        gone = events_of(client, Disconnected)
        subscription = await client.investigation("silent").ready()
        worker.relay.swallowing = True
        assert (await heard(gone)).reason == "silence"  # type: ignore[attr-defined]
        worker.relay.cut()
        worker.relay.swallowing = False
        await publish("silent", 1)
        assert await take(subscription, 1) == [1]


async def test_many_rooms_are_heard_again_after_a_break(worker: Worker) -> None:
    async with client_of(worker, "u19") as client, publisher_of(worker) as publish:
        subscriptions = [client.investigation(f"many-{n}") for n in range(60)]
        for subscription in subscriptions:
            await asyncio.wait_for(subscription.ready(), 30)
        worker.relay.cut()
        for n in range(0, 60, 10):
            await publish(f"many-{n}", n)
        for n in range(0, 60, 10):
            assert await take(subscriptions[n], 1) == [n]


async def test_a_loop_that_is_left_hears_its_room_no_more(worker: Worker) -> None:
    async with client_of(worker, "u20") as client, publisher_of(worker) as publish:
        left = events_of(client, Unsubscribed)
        everything = client.messages()
        subscription = await client.investigation("left").ready()
        await publish("left", 1)
        async for message in subscription:
            assert message.data == {"n": 1}
            break
        del subscription, message
        gc.collect()
        assert (await heard(left)).room == "investigation:left"
        await publish("left", 2)
        await publish("u20", 3, kind="user")
        assert await take(everything, 2) == [1, 3]


async def test_the_log_of_a_room_is_read_to_load_its_state_anew(worker: Worker) -> None:
    token = worker.token("u24", rooms=["investigation:read"])
    async with client_of(worker, "u24", token=token) as client, publisher_of(worker) as publish:
        await publish("read", 1, 2, 3)
        newest = await client.history("investigation", "read", limit=2)
        assert [message.data["n"] for message in newest.messages] == [2, 3]
        assert (newest.room, newest.first, newest.newest.seq, newest.more) == ("investigation:read", 1, 3, True)
        assert [message.seq for message in (await client.history("investigation", "read", since=2)).messages] == [3]
        with pytest.raises(RefusedError, match="FORBIDDEN"):
            await client.history("investigation", "shut")
        worker.relay.refusing = True
        with pytest.raises(UnreachableError):
            await client.history("investigation", "read")


@pytest.mark.usefixtures("worker")
async def test_a_worker_that_is_gone_for_good_is_tried_again_until_the_client_is_closed() -> None:
    other = await Worker.start({})
    async with client_of(other, "u25") as client:
        gone = events_of(client, Disconnected)
        waiting = asyncio.create_task(anext(client.investigation("gone")))
        await other.kill()
        for _ in range(3):
            assert (await heard(gone)).delay is not None  # type: ignore[attr-defined]
        assert not waiting.done()
    with pytest.raises(StopAsyncIteration):
        await waiting
    await other.stop()


async def test_being_cancelled_anywhere_leaves_nothing_behind(worker: Worker) -> None:
    async def use() -> None:
        async with client_of(worker, "u21") as client:
            subscription = await client.investigation("cancelled").ready()
            async with client.chat("cancelled") as chat:
                await chat.messages().ready()
                await anext(subscription)

    for after in (0.0, 0.001, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6):
        task = asyncio.create_task(use())
        await asyncio.sleep(after)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert not tasks_of_the_client(), f"cancelled after {after} s"


async def test_being_cancelled_while_it_closes_makes_it_hurry(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cidadao_realtime.wire._CLOSE_TIMEOUT", 3600.0)
    monkeypatch.setattr("cidadao_realtime.connection._GOODBYE_TIMEOUT", 3600.0)
    for after in (0.0, 0.001, 0.05):
        client = client_of(worker, "u22")
        await client.__aenter__()
        worker.relay.swallowing = True  # so that the goodbye is not answered
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(after)
        closing.cancel()
        await asyncio.wait([closing], timeout=30)
        assert closing.done(), f"cancelled after {after} s"
        assert not tasks_of_the_client(), f"cancelled after {after} s"
        worker.relay.cut()
        worker.relay.swallowing = False


async def test_a_token_is_in_no_log_and_in_no_text(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    lifetimes = iter([25, 600, 600])
    tokens: list[str] = []

    def token() -> str:
        tokens.append(worker.token("u23", ttl=next(lifetimes), nonce=len(tokens)))
        return tokens[-1]

    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    async with client_of(worker, "u23", token=token) as client:
        while len(tokens) < 2:
            await asyncio.sleep(0.05)
        texts += [repr(client), repr(vars(client)["_general"])]
    service = worker.token("backend", role="service")
    with Publisher(worker.url, service) as publisher:
        await asyncio.to_thread(publisher.publish, "investigation", "quiet", {"type": "a"})
        texts.append(repr(publisher))
    texts += [repr(Transmit(tokens[1])), *(record.getMessage() for record in caplog.records), caplog.text]
    for secret in [*tokens, service]:
        assert not any(secret.rsplit(".", 1)[1] in text for text in texts)

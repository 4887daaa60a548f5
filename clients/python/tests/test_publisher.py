"""Publishing: what is sent, how often, and under which ids."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import httpx
import pytest

import cidadao_realtime
from cidadao_realtime import AsyncPublisher, InvalidIdError, NotConfiguredError, Publisher, PublishError, Retrying
from cidadao_realtime.jsons import to_json
from cidadao_realtime.publishing import MAX_BYTES, bodies, prepare

from .support.worker import Worker


class Server:
    """Answers from a list; then takes what comes."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        entries = [{"id": message["id"], "seq": at} for at, message in enumerate(self.bodies[-1])]
        return httpx.Response(200, json={"messages": entries})

    async def answer(self, request: httpx.Request) -> httpx.Response:
        return self(request)

    @property
    def bodies(self) -> list[list[dict[str, Any]]]:
        return [json.loads(request.content) for request in self.requests]


def publisher_of(server: Server, pauses: list[float] | None = None, **settings: Any) -> Publisher:
    settings.setdefault("token", "a.b.c")
    sleep = (lambda _: None) if pauses is None else pauses.append
    client = httpx.Client(transport=httpx.MockTransport(server))
    return Publisher("wss://a.org", random=lambda: 0.5, sleep=sleep, client=client, **settings)


def refusal(status: int, code: str, *, retry: bool = False, headers: Any = None, **more: Any) -> httpx.Response:
    error = {"code": code, "message": "a sentence", "retry": retry, **more}
    return httpx.Response(status, json={"error": error}, headers=headers)


def test_a_message_goes_to_the_path_of_its_room_with_the_token_and_an_id() -> None:
    server = Server()
    (published,) = publisher_of(server).publish(
        "investigation", "inv-1", {"type": "a", "data": None, "priority": "low"}
    )
    (request,) = server.requests
    assert str(request.url) == "https://a.org/api/v1/ws/investigations/inv-1/messages"
    assert request.headers["authorization"] == "Bearer a.b.c"
    assert server.bodies == [[{"type": "a", "priority": "low", "id": published.id}]]
    assert UUID(published.id).version == 4


def test_every_kind_of_room_has_its_path() -> None:
    server = Server()
    publisher = publisher_of(server)
    for kind in ("analysis", "chat", "investigation", "user"):
        publisher.publish(kind, "x@y", {"type": "a"})
    publisher.publish("system", None, {"type": "a"})
    assert [request.url.raw_path.decode().removeprefix("/api/v1/ws") for request in server.requests] == [
        "/analysis/x%40y/messages",
        "/chat/x%40y/messages",
        "/investigations/x%40y/messages",
        "/users/x%40y/messages",
        "/system/messages",
    ]
    with pytest.raises(ValueError, match="has an id"):
        publisher.publish("chat", None, {"type": "a"})


def test_trying_again_is_under_the_same_ids() -> None:
    pauses: list[float] = []
    server = Server(httpx.ReadTimeout("slow"), httpx.Response(502, text="<html>"), refusal(500, "INTERNAL", retry=True))
    publisher_of(server, pauses).publish("chat", "1", [{"type": "a"}, {"type": "b", "id": "mine"}])
    assert len({request.content for request in server.requests}) == 1
    assert len(server.requests) == 4
    assert [message["id"] for message in server.bodies[0]][1] == "mine"
    assert pauses == [0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    "answer",
    [
        refusal(429, "RATE_LIMIT", retry=True, retry_after_ms=1250),
        httpx.Response(429, headers={"retry-after": "2"}),
        refusal(503, "UNAVAILABLE", retry=True, headers={"retry-after": "2"}),
    ],
)
def test_it_waits_for_as_long_as_the_server_asks_and_a_little_longer(answer: httpx.Response) -> None:
    pauses: list[float] = []
    publisher_of(Server(answer), pauses).publish("chat", "1", {"type": "a"})
    assert pauses in ([1.5], [2.25])


def test_a_server_that_asks_for_too_long_is_not_waited_for() -> None:
    server = Server(refusal(429, "RATE_LIMIT", retry=True, retry_after_ms=3_600_000))
    with pytest.raises(PublishError, match="RATE_LIMIT"):
        publisher_of(server).publish("chat", "1", {"type": "a"})
    assert len(server.requests) == 1


def test_it_gives_up_after_so_many_attempts() -> None:
    server = Server(*[httpx.ConnectError("no")] * 9)
    with pytest.raises(PublishError) as caught:
        publisher_of(server, retrying=Retrying(attempts=3)).publish("chat", "1", {"type": "a"})
    assert (caught.value.code, caught.value.retry, len(server.requests)) == ("UNREACHABLE", True, 3)
    with pytest.raises(PublishError):
        publisher_of(Server(), retrying=Retrying(attempts=0)).publish("chat", "1", {"type": "a"})


@pytest.mark.parametrize("status", [301, 400, 403, 404, 413])
def test_what_is_refused_for_good_is_not_tried_again(status: int) -> None:
    server = Server(refusal(status, "FORBIDDEN"))
    with pytest.raises(PublishError) as caught:
        publisher_of(server).publish("chat", "1", {"type": "a"})
    assert (caught.value.code, caught.value.message, caught.value.status) == ("FORBIDDEN", "a sentence", status)
    assert len(server.requests) == 1


def test_a_token_that_is_refused_is_replaced_once_if_it_can_be() -> None:
    tokens = iter(["first", "second", "third"])
    server = Server(refusal(401, "INVALID_TOKEN"))
    publisher_of(server, token=lambda: next(tokens)).publish("chat", "1", {"type": "a"})
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer first", "Bearer second"]
    server = Server(refusal(401, "INVALID_TOKEN"), refusal(401, "INVALID_TOKEN"))
    with pytest.raises(PublishError, match="INVALID_TOKEN"):
        publisher_of(server, token=lambda: "t").publish("chat", "1", {"type": "a"})
    server = Server(refusal(401, "INVALID_TOKEN"))
    with pytest.raises(PublishError, match="INVALID_TOKEN"):
        publisher_of(server).publish("chat", "1", {"type": "a"})
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", ["", "[]", '{"messages":[]}', '{"messages":[{}]}'])
def test_an_answer_that_is_not_the_servers_is_an_error(body: str) -> None:
    with pytest.raises(PublishError, match="INVALID_ANSWER"):
        publisher_of(Server(httpx.Response(200, text=body))).publish("chat", "1", {"type": "a"})


def test_many_messages_go_a_thousand_at_a_time_in_order() -> None:
    server = Server()
    published = publisher_of(server).publish("chat", "1", [{"type": "a", "data": n} for n in range(2_500)])
    assert [len(body) for body in server.bodies] == [1_000, 1_000, 500]
    assert [message["data"] for body in server.bodies for message in body] == list(range(2_500))
    assert len(published) == 2_500


def test_no_body_is_larger_than_a_mebibyte() -> None:
    messages = [prepare({"type": "a", "data": "é" * 100_000}) for _ in range(12)]
    found = list(bodies(messages))
    assert [count for count, _ in found] == [5, 5, 2]
    assert all(len(body) <= MAX_BYTES for _, body in found)
    full = "x" * (MAX_BYTES - 2)
    assert [(count, len(body)) for count, body in bodies([full, "1"])] == [(1, MAX_BYTES), (1, 3)]
    with pytest.raises(PublishError, match="TOO_LARGE"):
        list(bodies([full + "x"]))


def test_what_was_published_before_a_refusal_is_told() -> None:
    server = Server()
    publisher = publisher_of(server, retrying=Retrying(attempts=1))
    taken = httpx.Response(200, json={"messages": [{"id": str(n), "seq": n} for n in range(1_000)]})
    server.answers = [taken, refusal(403, "FORBIDDEN")]
    with pytest.raises(PublishError) as caught:
        publisher.publish("chat", "1", [{"type": "a"}] * 1_001)
    assert len(caught.value.published) == 1_000


def test_a_message_too_large_is_refused_before_anything_is_sent() -> None:
    server = Server()
    with pytest.raises(PublishError, match="TOO_LARGE"):
        publisher_of(server).publish("chat", "1", [{"type": "a"}, {"type": "b", "data": "x" * MAX_BYTES}])
    assert server.requests == []


def test_a_batch_goes_at_its_end_room_by_room() -> None:
    server = Server()
    publisher = publisher_of(server)
    with publisher.batch() as batch:
        batch.publish("chat", "1", {"type": "a"})
        batch.publish("chat", "2", {"type": "b"})
        batch.publish("chat", "1", {"type": "c"})
        assert server.requests == []
    assert [[message["type"] for message in body] for body in server.bodies] == [["a", "c"], ["b"]]
    assert len(batch.published) == 3
    with pytest.raises(ZeroDivisionError), publisher.batch() as batch:
        batch.publish("chat", "1", {"type": "a"})
        raise ZeroDivisionError
    assert len(server.requests) == 2


def test_a_batch_goes_when_a_room_has_a_thousand() -> None:
    server = Server()
    with publisher_of(server).batch() as batch:
        for _ in range(1_001):
            batch.publish("chat", "1", {"type": "a"})
    assert [len(body) for body in server.bodies] == [1_000, 1]


def test_a_batch_that_failed_is_flushed_again_under_the_same_ids() -> None:
    server = Server(refusal(403, "FORBIDDEN"))
    batch = publisher_of(server).batch()
    batch.publish("chat", "1", {"type": "a"})
    with pytest.raises(PublishError):
        batch.flush()
    batch.flush()
    assert server.bodies[0] == server.bodies[1]


@pytest.mark.parametrize(
    "message", [{}, {"type": 7}, {"type": "a", "dta": 1}, {"type": "a", "id": "a b"}, {"type": None}]
)
def test_what_is_no_message_is_refused_here(message: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        publisher_of(Server()).publish("chat", "1", message)
    assert isinstance(caught.value, InvalidIdError) == ("id" in message)


class Severity(Enum):
    HIGH = "high"


@dataclass
class Contract:
    number: int
    value: Decimal


class Model:
    def model_dump(self) -> dict[str, Any]:
        return {"at": date(2025, 10, 31)}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2025, 10, 31, 19, 0), '"2025-10-31T19:00:00Z"'),
        (datetime(2025, 10, 31, 19, 0, 0, 5, timezone(timedelta(hours=-3))), '"2025-10-31T19:00:00.000005-03:00"'),
        (date(2025, 10, 31), '"2025-10-31"'),
        (timedelta(minutes=1.5), "90.0"),
        (Decimal("1.10"), "1.1"),
        (Decimal("12345678901.25"), "12345678901.25"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.1234567890123456789"), '"0.1234567890123456789"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Severity.HIGH, '"high"'),
        ({"ç"}, '["ç"]'),
        (Contract(42, Decimal("9.5")), '{"number":42,"value":9.5}'),
        (Model(), '{"at":"2025-10-31"}'),
    ],
)
def test_what_backends_have_in_their_data_has_a_form_in_json(value: Any, text: str) -> None:
    assert to_json(value) == text


@pytest.mark.parametrize("value", [object(), b"bytes", float("nan"), Decimal("NaN"), "\udc80", Contract])
def test_what_has_none_is_an_error_that_says_so(value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"JSON|surrogate"):
        to_json(value)


async def test_the_async_publisher_does_the_same() -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def token() -> str:
        return "from.a.callback"

    server = Server(httpx.ReadTimeout("slow"), refusal(503, "UNAVAILABLE", retry=True))
    client = httpx.AsyncClient(transport=httpx.MockTransport(server.answer))
    async with AsyncPublisher("https://a.org", token, random=lambda: 0.5, sleep=sleep, client=client) as publisher:
        async with publisher.batch() as batch:
            for n in range(1_001):
                await batch.publish("chat", "1", {"type": "a", "data": n})
        with pytest.raises(ZeroDivisionError):
            async with publisher.batch() as other:
                await other.publish("chat", "1", {"type": "a"})
                raise ZeroDivisionError
        assert "from.a.callback" not in repr(publisher)
    await client.aclose()
    assert [len(body) for body in server.bodies] == [1_000, 1_000, 1_000, 1]
    assert pauses == [0.25, 0.5]
    assert len(batch.published) == 1_001


HELPERS: list[tuple[str, tuple[Any, ...], str, dict[str, Any]]] = [
    (
        "notify_investigation_update",
        ("inv-1", "status", {"status": "done", "timestamp": datetime(2025, 10, 31)}),
        "/investigations/inv-1/messages",
        {
            "type": "investigation_status",
            "data": {
                "investigation_id": "inv-1",
                "update_type": "status",
                "status": "done",
                "timestamp": "2025-10-31T00:00:00Z",
            },
        },
    ),
    (
        "notify_anomaly_detected",
        ("inv-1", {"description": "x", "confidence": Decimal("0.9")}),
        "/investigations/inv-1/messages",
        {
            "type": "anomaly_detected",
            "data": {"investigation_id": "inv-1", "severity": "medium", "description": "x", "confidence": 0.9},
        },
    ),
    ("notify_chat_session", ("s", {"a": 1}), "/chat/s/messages", {"type": "notification", "data": {"a": 1}}),
    (
        "send_system_notification",
        ("maintenance", {"at": "noon"}),
        "/system/messages",
        {"type": "system_notification", "data": {"notification_type": "maintenance", "at": "noon"}},
    ),
]


@pytest.fixture
def helpers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Server]:
    """The helpers as the environment configures them, with a server that they reach."""

    def set_up(*answers: httpx.Response | Exception, **environment: str) -> Server:
        for name in ("CIDADAO_REALTIME_URL", "CIDADAO_REALTIME_TOKEN", "JWT_SECRET_KEY"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        server = Server(*answers)
        plain, asynchronous = httpx.Client, httpx.AsyncClient
        monkeypatch.setattr(httpx, "Client", lambda: plain(transport=httpx.MockTransport(server)))
        monkeypatch.setattr(httpx, "AsyncClient", lambda: asynchronous(transport=httpx.MockTransport(server.answer)))
        cidadao_realtime.configure(retrying=Retrying(attempts=1))
        return server

    return set_up


ENVIRONMENT = {"CIDADAO_REALTIME_URL": "https://a.org", "CIDADAO_REALTIME_TOKEN": "s.e.t"}


@pytest.mark.parametrize(("name", "arguments", "path", "message"), HELPERS, ids=[helper[0] for helper in HELPERS])
async def test_each_helper_says_what_it_always_said(
    helpers: Callable[..., Server], name: str, arguments: Any, path: str, message: dict[str, Any]
) -> None:
    server = helpers(**ENVIRONMENT)
    published = await getattr(cidadao_realtime, name)(*arguments)
    plainly = await asyncio.to_thread(getattr(cidadao_realtime, f"{name}_sync"), *arguments)
    await cidadao_realtime.helpers.close()
    assert [request.url.path for request in server.requests] == [f"/api/v1/ws{path}"] * 2
    assert [body for (body,) in server.bodies] == [message | {"id": published.id}, message | {"id": plainly.id}]


async def test_the_helpers_make_a_token_from_the_secret(helpers: Callable[..., Server]) -> None:
    server = helpers(CIDADAO_REALTIME_URL="https://a.org", JWT_SECRET_KEY="s" * 32)
    await cidadao_realtime.send_system_notification("a", {})
    await cidadao_realtime.helpers.close()
    token = server.requests[0].headers["authorization"].split()[1]
    assert cidadao_realtime.tokens.subject(token) == "backend"


async def test_helpers_that_are_not_configured_say_what_is_missing(helpers: Callable[..., Server]) -> None:
    helpers()
    with pytest.raises(NotConfiguredError, match="CIDADAO_REALTIME_URL"):
        await cidadao_realtime.send_system_notification("a", {})
    helpers(CIDADAO_REALTIME_URL="https://a.org")
    with pytest.raises(NotConfiguredError, match="JWT_SECRET_KEY"):
        cidadao_realtime.send_system_notification_sync("a", {})


async def test_what_is_not_published_is_logged_and_fails_nobody_unless_it_is_wished(
    helpers: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    helpers(httpx.ConnectError("no"), httpx.ConnectError("no"), httpx.ConnectError("no"), **ENVIRONMENT)
    assert await cidadao_realtime.send_system_notification("a", {}) is None
    assert cidadao_realtime.send_system_notification_sync("a", {}) is None
    assert [record.levelname for record in caplog.records if record.name == "cidadao_realtime"] == ["ERROR"] * 2
    await cidadao_realtime.helpers.close()
    cidadao_realtime.configure(on_error="raise", retrying=Retrying(attempts=1), secret="s" * 32)
    with pytest.raises(PublishError, match="UNREACHABLE"):
        await cidadao_realtime.send_system_notification("a", {})
    await cidadao_realtime.helpers.close()


# Against the real worker


async def test_an_answer_that_was_lost_publishes_nothing_twice(worker: Worker) -> None:
    token = worker.token("backend", role="service")
    losses = 2

    class Lossy(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal losses
            response = await super().handle_async_request(request)
            if losses:
                losses -= 1
                await response.aclose()
                raise httpx.ReadError("the answer was lost")
            return response

    async with httpx.AsyncClient(transport=Lossy()) as client:
        publisher = AsyncPublisher(worker.url, token, client=client, random=lambda: 0.01)
        published = await publisher.publish("chat", "lossy", [{"type": "a"}, {"type": "b"}])
        assert [(entry.seq, entry.duplicate) for entry in published] == [(1, True), (2, True)]
        headers = {"authorization": f"Bearer {token}"}
        history = (await client.get(f"{worker.url}/api/v1/ws/chat/lossy/messages", headers=headers)).json()
    assert [message["type"] for message in history["messages"]] == ["a", "b"]


async def test_the_helpers_reach_the_worker_with_the_secret_alone(worker: Worker) -> None:
    cidadao_realtime.configure(url=worker.url, secret=worker.secret, on_error="raise")
    published = await cidadao_realtime.notify_investigation_update("helped", "status", {"at": datetime(2025, 10, 31)})
    assert published is not None
    assert published.seq == 1
    again = await asyncio.to_thread(cidadao_realtime.notify_anomaly_detected_sync, "helped", {"severity": "high"})
    assert again is not None
    assert again.seq == 2
    await cidadao_realtime.helpers.close()


async def test_the_worker_refuses_a_user_who_publishes(worker: Worker) -> None:
    async with AsyncPublisher(worker.url, worker.token("ana")) as publisher:
        with pytest.raises(PublishError, match="FORBIDDEN"):
            await publisher.publish("chat", "1", {"type": "a"})

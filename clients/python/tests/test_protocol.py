"""Frames, against the golden vectors of the server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cidadao_realtime import Cursor, InvalidIdError, Options, protocol, rooms, steps
from cidadao_realtime.protocol import Acknowledged, Alive, FrameError, Message, PresenceFrame, Refusal, UploadFrame
from cidadao_realtime.transcript import Transcript
from cidadao_realtime.typists import Typists

from .support.driver import EPOCH, Driver

VECTORS = Path(__file__).parents[3] / "vectors"
CLIENT = json.loads((VECTORS / "client-frames.json").read_text())["cases"]
SERVER = json.loads((VECTORS / "server-frames.json").read_text())
IDS = json.loads((VECTORS / "ids.json").read_text())["ids"]
ROUTES = json.loads((VECTORS / "routes.json").read_text())["cases"]

name = lambda case: str(case["name"])  # noqa: E731


@pytest.mark.parametrize("case", SERVER["frames"], ids=name)
def test_every_frame_of_the_server_is_understood(case: dict[str, Any]) -> None:
    (frame,) = protocol.decode(case["bytes"])
    data = case["data"]
    match frame:
        case protocol.Welcome() | protocol.Subscribed():
            assert (frame.room, frame.cursor) == (data["room"], Cursor(data["epoch"], data["seq"]))
            assert frame.recovered == data.get("recovered")
        case protocol.Unsubscribed(room):
            assert room == data["room"]
        case Refusal():
            assert (frame.code, frame.retry, frame.message) == (data["code"], data["retry"], data["message"])
            for field in ("original_type", "original_id", "room", "file_id", "offset"):
                assert getattr(frame, field) == data.get(field)
            assert frame.retry_after == (data["retry_after_ms"] / 1000 if "retry_after_ms" in data else None)
        case protocol.TokenExpiring(expires_in):
            assert expires_in == data["expires_in_ms"] / 1000
        case protocol.Refreshed(expires_at):
            assert expires_at == data["expires_at"]
        case Acknowledged():
            assert (frame.id, frame.room, frame.seq) == (data["id"], data["room"], data["seq"])
            assert frame.duplicate == data.get("duplicate", False)
        case PresenceFrame(room, told):
            assert (room, told) == (data["room"], data)
        case UploadFrame(kind, file_id, told):
            assert (kind, file_id, told) == (case["type"], data["file_id"], data)
        case Alive(kind):
            assert kind in ("pong", "heartbeat")
        case _:
            pytest.fail(f"nothing is known of {case['type']}")


@pytest.mark.parametrize("case", SERVER["messages"], ids=name)
def test_every_message_is_understood(case: dict[str, Any]) -> None:
    (message,) = protocol.decode(case["bytes"])
    assert isinstance(message, Message)
    assert (message.room, message.id, message.seq) == (case["room"], case["id"], case.get("seq"))
    assert message.data == json.loads(case["bytes"])["data"]


@pytest.mark.parametrize("case", SERVER["batches"], ids=name)
def test_every_batch_is_its_messages(case: dict[str, Any]) -> None:
    assert protocol.decode(case["bytes"]) == [protocol.decode(text)[0] for text in case["messages"]]


def test_a_ping_is_the_one_that_is_answered_while_the_room_sleeps() -> None:
    assert SERVER["pong"]["ping"] == protocol.PING
    assert protocol.decode(SERVER["pong"]["bytes"]) == [Alive("pong")]


def accepted(kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [(case["frame"], case["accepted"]) for case in CLIENT if case.get("accepted", {}).get("kind") == kind]


def produced(want: dict[str, Any]) -> str:
    """The client's own frame for what a vector says that the server understood."""
    room = want.get("room")
    match want["kind"]:
        case "ping":
            return protocol.PING
        case "refresh":
            return protocol.refresh(want["token"])
        case "ack":
            return protocol.ack(want["seq"], room)
        case "subscribe":
            cursor = Cursor(want["epoch"], want["since"]) if want.get("epoch") else None
            return protocol.subscribe(room or "", cursor)
        case "unsubscribe":
            return protocol.unsubscribe(room or "")
        case "chat":
            more = {"agent_id": want.get("agent_id"), "ask": want.get("ask")}
            context = json.loads(want["context"]) if "context" in want else None
            return protocol.chat(want.get("id", "x"), want["content"], context=context, **more)
        case "chat_cancel":
            return protocol.chat_cancel(want.get("reply_to", ""))
        case "typing":
            return protocol.typing(want["typing"])
        case "presence":
            return protocol.presence(json.loads(want["state"]))
        case "upload":
            facts = [want.get(name, "") for name in ("id", "name", "size", "content_type", "sha256")]
            return protocol.upload(*facts)
        case "upload_abort":
            return protocol.upload_abort(want["file_id"])
        case _:
            pytest.fail(f"nothing is said like {want}")


KINDS = sorted({case["accepted"]["kind"] for case in CLIENT if "accepted" in case} - {"pong"})


@pytest.mark.parametrize("kind", KINDS)
def test_the_frames_of_the_client_are_among_those_that_the_server_accepts(kind: str) -> None:
    texts = {frame for frame, _ in accepted(kind)}
    exact = [produced(want) for _, want in accepted(kind) if produced(want) in texts]
    assert exact, f"no {kind} of the vectors is written as this client writes it"
    for _, want in accepted(kind):
        assert json.loads(produced(want))["type"] == kind


def test_who_types_is_forgotten_when_they_say_something_or_after_a_while() -> None:
    now = 0.0
    typists = Typists(lambda: now)

    def take(kind: str, data: Any) -> tuple[str, ...]:
        typists.take(Message(kind, data, "chat:1"))
        return typists.now

    assert take("typing", {"user_id": "ana", "isTyping": True}) == ("ana",)
    assert take("typing", {"user_id": "bia", "isTyping": True, "expires_in_ms": 2000}) == ("ana", "bia")
    assert take("typing", {"agent": "processing", "isTyping": True}) == ("ana", "bia")
    assert take("news", {"user_id": "ana"}) == take("typing", None) == ("ana", "bia")
    now = 2.0
    assert typists.now == ("ana",)
    assert take("chat", {"user_id": "ana", "role": "user", "content": "x"}) == ()


def test_answers_and_typists_are_read_from_the_vectors() -> None:
    transcript, typists, texts = Transcript(), Typists(lambda: 0.0), []
    for case in SERVER["messages"]:
        (message,) = protocol.decode(case["bytes"])
        assert isinstance(message, Message)
        typists.take(message)
        if isinstance(message.data, dict) and message.data.get("reply_to"):
            transcript.take(message)
            texts.append(transcript.text)
    assert "A ponte custou " in texts
    assert (transcript.status, transcript.text) == ("completed", "A ponte custou R$ 1,1 milhão.")
    assert (transcript.stage, transcript.agent_name) == ("agent_selected", "Zumbi dos Palmares")
    assert typists.now == ()


@pytest.mark.parametrize("case", IDS, ids=lambda case: repr(case["id"])[:20])
def test_an_id_is_what_the_server_takes_for_one(case: dict[str, Any]) -> None:
    if case["valid"]:
        assert rooms.check_id(case["id"]) == case["id"]
    else:
        with pytest.raises(InvalidIdError):
            rooms.check_id(case["id"])


def test_paths_lead_to_the_rooms_that_they_name() -> None:
    routes = {case["path"]: case["route"] for case in ROUTES if "route" in case}
    assert routes[rooms.socket_path(None)]["kind"] == "connect_user"
    assert routes[rooms.socket_path("investigation:inv-123")]["room"] == "investigation:inv-123"
    assert routes[rooms.messages_path("user:ana@example.org")]["room"] == "user:ana@example.org"
    assert routes[rooms.messages_path("system:all")]["room"] == "system:all"
    assert rooms.room_name("system", "whatever") == "system:all"
    with pytest.raises(ValueError, match="kind of room"):
        rooms.room_name("planet", "1")


def test_the_address_of_the_server_may_be_given_in_any_form_but_without_secrets() -> None:
    for url in ("https://a.org", "wss://a.org/", "wss://a.org/api/v1/ws", "https://a.org/api/v1/ws/"):
        assert (rooms.base_url(url, "ws"), rooms.base_url(url, "http")) == ("wss://a.org", "https://a.org")
    assert rooms.base_url("http://a.org:8787/x", "ws") == "ws://a.org:8787/x"
    for url in ("a.org", "ftp://a.org", "ws://", "wss://a.org?token=s3cr3t", "wss://u:s3cr3t@a.org", "wss://a.org#x"):
        with pytest.raises(ValueError, match="the url of the server") as caught:
            rooms.base_url(url, "ws")
        assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"connection","data":{"room":7,"epoch":"a","seq":1}}',
        '{"type":"connection","data":{"room":"a","epoch":"a","seq":-1}}',
        '{"type":"connection","data":{"room":"a","epoch":"a","seq":true}}',
        '{"type":"a","room":"chat:1","seq":"7"}',
        '{"type":"batch","messages":7}',
        "[1]",
        "{",
    ],
)
def test_what_is_no_frame_is_none(text: str) -> None:
    with pytest.raises(FrameError):
        protocol.decode(text)


def test_what_a_later_server_adds_is_passed_over() -> None:
    assert protocol.decode('{"type":"later","data":{"a":1}}') == [Alive("later")]
    assert protocol.decode('{"type":"error","data":"x"}') == [Alive("error")]
    welcome = {"room": "chat:1", "epoch": EPOCH, "seq": 0, "reconnect_within_ms": "soon", "presence": 7, "new": {}}
    (frame,) = protocol.decode(json.dumps({"type": "connection", "data": welcome}))
    assert isinstance(frame, protocol.Welcome)
    assert (frame.reconnect_within, frame.presence) == (1.0, None)


@pytest.mark.parametrize("value", [float("nan"), "\ud800", object()])
def test_what_json_cannot_say_is_not_sent(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        protocol.encode("chat", {"content": value})


def test_the_machine_lives_through_every_vector_of_the_server() -> None:
    for case in SERVER["frames"] + SERVER["messages"] + SERVER["batches"]:
        driver = Driver().live()
        driver.receive("pong")
        driver.machine.step(steps.Received(case["bytes"]), driver.now)


@pytest.mark.parametrize(
    "bad",
    [{"device": "a b"}, {"on_full": "explode"}, {"ack_every": 0}, {"outbox_messages": 0}, {"ping_interval": 0.0}],
)
def test_options_that_make_no_sense_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Options(**bad)

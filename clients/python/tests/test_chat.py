"""Chats: answers, what people say, and files."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from cidadao_realtime import (
    Answer,
    AnswerError,
    Chat,
    ClosedError,
    DroppedError,
    InvalidMessageError,
    Message,
    Options,
    OutboxFullError,
    RealtimeClient,
    RealtimeError,
    RefusedError,
)
from cidadao_realtime.transcript import Piece, Transcript, difference
from cidadao_realtime.wire import Wire

from .support.driver import EPOCH, TOKEN
from .support.script import Script, scripted
from .support.tasks import tasks_of_the_client


@pytest_asyncio.fixture
async def script() -> AsyncIterator[Script]:
    async with scripted() as script:
        yield script
    assert not tasks_of_the_client()


@contextlib.asynccontextmanager
async def chat_of(script: Script, **options: Any) -> AsyncIterator[Chat]:
    settings = Options(first_delay=0.01, **options)
    async with RealtimeClient(script.url, token=TOKEN, options=settings, general=False) as client:
        yield client.chat("s")


async def asked(script: Script, chat: Chat, text: str = "Why?") -> Answer:
    answer = await chat.send(text)
    frame = await script.hear()
    assert frame["id"] == answer.id
    await script.ack(answer.id)
    await answer.acknowledged()
    return answer


async def pieces(answer: Answer) -> list[tuple[str, bool]]:
    return [(str(piece), piece.replaced) async for piece in answer]


async def test_an_answer_goes_on_through_a_broken_connection(script: Script) -> None:
    async with chat_of(script) as chat:
        answer = await asked(script, chat)
        read = aiter(answer)
        await script.chunk("It is ", answer.id)
        assert str(await anext(read)) == "It is "
        await script.drop()
        while script.opened < 2:
            await asyncio.sleep(0.01)
        await script.chunk("It is not", answer.id, snapshot=True)
        assert await anext(read) == Piece("not")
        await script.chunk(" so", answer.id)
        assert await anext(read) == Piece(" so")
        await script.complete("It was.", answer.id)
        assert await anext(read) == Piece("It was.", replaced=True)
        with pytest.raises(StopAsyncIteration):
            await anext(read)


async def test_a_question_is_asked_again_under_its_id_until_it_is_acknowledged(script: Script) -> None:
    async with chat_of(script) as chat:
        answer = await chat.send("Why?", context={"page": 1}, agent_id="zumbi", message_id="q-1")
        first = await script.hear()
        await script.drop()
        again = await script.hear()
        data = {"content": "Why?", "context": {"page": 1}, "agent_id": "zumbi"}
        assert first == again == {"type": "chat", "id": "q-1", "data": data}
        await script.ack("q-1")
        await answer.acknowledged()
        assert chat.waiting == 0


async def test_a_failed_answer_raises_what_failed(script: Script) -> None:
    async with chat_of(script) as chat:
        answer = await asked(script, chat)
        await script.complete("half", answer.id, "failed", error={"code": "AGENT_TIMEOUT", "message": "silence"})
        with pytest.raises(AnswerError, match="AGENT_TIMEOUT: silence") as caught:
            await answer
        assert caught.value.content == "half"
        with pytest.raises(AnswerError):
            await pieces(answer)
        answer = await asked(script, chat)
        await script.complete("half", answer.id, "interrupted")
        with pytest.raises(AnswerError, match="INTERRUPTED"):
            await answer


async def test_a_question_that_was_not_sent_is_not_asked(script: Script) -> None:
    async with chat_of(script) as chat:
        first = await chat.send("one")
        second = await chat.send("two")
        second.cancel()
        assert await second == ""
        assert second.status == "cancelled"
        assert (await script.hear())["id"] == first.id
        await script.ack(first.id)
        await first.acknowledged()
        assert script.frames.empty()


async def test_a_refused_question_raises_its_code(script: Script) -> None:
    async with chat_of(script) as chat:
        answer = await chat.send("Why?")
        frame = await script.hear()
        refusal = {"code": "FORBIDDEN", "message": "no", "original_type": "chat", "original_id": frame["id"]}
        await script.say("error", refusal)
        for wait in (answer.acknowledged(), pieces(answer)):
            with pytest.raises(RefusedError, match="FORBIDDEN: no"):
                await wait


async def test_an_answer_whose_log_is_gone_is_lost(script: Script) -> None:
    async with chat_of(script) as chat:
        answer = await asked(script, chat)
        await script.say("subscribed", {"room": "chat:s", "epoch": EPOCH[::-1], "seq": 0, "recovered": False})
        with pytest.raises(AnswerError, match="LOST"):
            await answer


async def test_what_is_said_to_the_people_returns_its_place(script: Script) -> None:
    async with chat_of(script) as chat:
        saying = asyncio.create_task(chat.say("hello"))
        frame = await script.hear()
        assert frame["data"] == {"content": "hello", "ask": False}
        await script.ack(frame["id"])
        assert await saying == 1
        saying = asyncio.create_task(chat.say("again", message_id="m"))
        await script.hear()
        await script.ack("m")
        assert await saying == 2
        saying = asyncio.create_task(chat.say("no"))
        await script.hear()
        saying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saying


@pytest.mark.parametrize("text", ["", "   ", "\n\u2003", None])
async def test_a_blank_text_is_refused_at_once_and_holds_up_nothing(script: Script, text: Any) -> None:
    async with chat_of(script) as chat:
        for use in (chat.say(text), chat.send(text)):
            with pytest.raises(InvalidMessageError, match="white space") as caught:
                await use
            assert caught.value.code == "INVALID_FRAME"
        assert chat.waiting == 0
        await asked(script, chat)


async def test_the_same_said_twice_at_once_is_said_once_and_both_are_told(script: Script) -> None:
    async with chat_of(script) as chat:
        saying = [asyncio.create_task(chat.say("x", message_id="m")) for _ in range(3)]
        await script.hear()
        saying[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await saying[0]
        with pytest.raises(InvalidMessageError, match="ID_TAKEN"):
            await chat.say("y", message_id="m")
        with pytest.raises(InvalidMessageError, match="ID_TAKEN"):
            await chat.send("x", message_id="m")
        await script.ack("m")
        assert await asyncio.wait_for(asyncio.gather(*saying[1:]), 20) == [1, 1]
        assert script.frames.empty()


async def test_what_nobody_waits_for_any_more_is_taken_back(script: Script) -> None:
    async with chat_of(script) as chat:
        await chat.send("first")
        saying = [asyncio.create_task(chat.say("x", message_id="m")) for _ in range(2)]
        for waiting, left in zip(saying, (2, 1), strict=True):
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert chat.waiting == left


async def test_the_same_asked_twice_at_once_is_one_answer(script: Script) -> None:
    async with chat_of(script) as chat:
        first = await chat.send("Why?", message_id="q")
        again = await chat.send("Why?", message_id="q")
        await script.hear()
        await script.ack("q")
        await first.acknowledged()
        for use in (chat.send("How?", message_id="q"), chat.say("Why?", message_id="q")):
            with pytest.raises(InvalidMessageError, match="ID_TAKEN"):
                await use
        await script.complete("So.", "q")
        assert [await asyncio.wait_for(answer, 20) for answer in (first, again)] == ["So.", "So."]
        assert script.frames.empty()


async def test_a_full_outbox_is_an_error_or_a_dropped_question(script: Script) -> None:
    async with chat_of(script, outbox_messages=1) as chat:
        await chat.send("one")
        with pytest.raises(OutboxFullError):
            await chat.send("two")
        with pytest.raises(OutboxFullError):
            await chat.say("two")
    async with chat_of(script, outbox_messages=1, on_full="drop_oldest") as chat:
        first, second = await chat.send("one"), await chat.send("two")
        with pytest.raises(DroppedError):
            await first
        assert not second.is_over


async def test_closing_tells_who_waits(script: Script) -> None:
    async with chat_of(script) as chat:
        answer = await asked(script, chat)
        saying = asyncio.create_task(chat.say("x"))
        await script.hear()
        uploading = asyncio.create_task(chat.upload(b"x"))
        await script.hear()
        listening = asyncio.create_task(anext(chat.messages()))
        await asyncio.sleep(0)
        await chat.close()
        for waiting in (answer, saying, uploading):
            with pytest.raises(ClosedError):
                await waiting
        with pytest.raises(StopAsyncIteration):
            await listening
        for use in (chat.send("x"), chat.say("x"), chat.upload(b"x")):
            with pytest.raises(ClosedError):
                await use
        with pytest.raises(ClosedError):
            chat.messages()
        await chat.close()


async def upload_frame(script: Script) -> dict[str, Any]:
    while (frame := await script.hear())["type"] != "upload":
        pass
    return dict(frame)


async def test_a_file_arrives_whole_through_a_broken_connection(script: Script, tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    file = tmp_path / "nota.pdf"
    file.write_bytes(content)
    progress: list[tuple[int, int]] = []
    async with chat_of(script) as chat:
        uploading = asyncio.create_task(chat.upload(file, progress=lambda *moved: progress.append(moved)))
        frame = await upload_frame(script)
        digest = hashlib.sha256(content).hexdigest()
        data = {"name": "nota.pdf", "size": 10240, "content_type": "application/pdf", "sha256": digest}
        assert frame["data"] == data
        ready = {"file_id": frame["id"], "handle": 1, "window_bytes": 8192, "frame_bytes": 4096}
        await script.say("upload_ready", {**ready, "offset": 0})
        first = await script.hear()
        assert first == bytes(3) + b"\x01" + bytes(8) + content[:4096]
        await script.hear()
        await script.drop()
        assert (await upload_frame(script)) == frame
        await script.say("upload_ready", {**ready, "handle": 2, "offset": 4096})
        received = [await script.hear(), await script.hear()]
        assert [part[3] for part in received] == [2, 2]
        assert b"".join(part[12:] for part in received) == content[4096:]
        stored = {"file_id": frame["id"], "size": 10240, "content_type": "application/pdf", "sha256": digest}
        await script.say("upload_complete", {**stored, "url": "/f", "seq": 3})
        result = await uploading
        assert (result.url, result.sha256, result.name) == ("/f", digest, "nota.pdf")
        assert progress == [(0, 10240), (4096, 10240)]


async def test_a_file_that_is_refused_raises_its_code(script: Script) -> None:
    async with chat_of(script) as chat:
        uploading = asyncio.create_task(chat.upload(BytesIO(b"abc"), name="a.exe", file_id="f-1"))
        frame = await upload_frame(script)
        assert frame["id"] == "f-1"
        with pytest.raises(ValueError, match="on its way"):
            await chat.upload(b"x", file_id="f-1")
        refusal = {"code": "FILE_TYPE_NOT_ALLOWED", "message": "no", "original_type": "upload", "file_id": "f-1"}
        await script.say("error", refusal)
        with pytest.raises(RefusedError, match="FILE_TYPE_NOT_ALLOWED"):
            await uploading


async def test_being_cancelled_aborts_a_file(script: Script) -> None:
    async with chat_of(script) as chat:
        uploading = asyncio.create_task(chat.upload(b"abc"))
        frame = await upload_frame(script)
        uploading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await uploading
        assert await script.hear() == {"type": "upload_abort", "data": {"file_id": frame["id"]}}


async def test_a_file_that_cannot_be_read_is_aborted_and_told(script: Script, tmp_path: Path) -> None:
    file = tmp_path / "shrinking"
    file.write_bytes(b"x" * 100)

    def fail(offset: int, size: int) -> None:
        raise ZeroDivisionError

    async with chat_of(script) as chat:
        uploading = asyncio.create_task(chat.upload(str(file), progress=fail))
        frame = await upload_frame(script)
        file.write_bytes(b"")
        await script.say("upload_ready", {"file_id": frame["id"], "handle": 1, "offset": 0})
        with pytest.raises(OSError, match="shorter"):
            await uploading
        assert (await script.hear())["type"] == "upload_abort"
        with pytest.raises(FileNotFoundError):
            await chat.upload(tmp_path / "missing")

        class Pipe(BytesIO):
            def seekable(self) -> bool:
                return False

        with pytest.raises(RealtimeError, match="seek"):
            await chat.upload(Pipe(b"x"))


class Broken(BytesIO):
    """A file that can be read once, for its hash."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(b"abc")
        self.reads = 0
        self.error = error

    def read(self, size: int | None = -1) -> bytes:
        self.reads += 1
        if self.reads > 2:
            raise self.error
        return super().read(size)


ERRORS = [ZeroDivisionError(), StopIteration(), asyncio.CancelledError(), ValueError("closed")]


@pytest.mark.parametrize("error", ERRORS, ids=[type(error).__name__ for error in ERRORS])
async def test_a_file_whose_reading_fails_fails_by_itself_and_holds_up_nothing(
    script: Script, error: BaseException
) -> None:
    async with chat_of(script) as chat:
        uploading = asyncio.create_task(chat.upload(Broken(error)))
        frame = await upload_frame(script)
        await script.say("upload_ready", {"file_id": frame["id"], "handle": 1, "offset": 0})
        with pytest.raises((type(error), OSError)) as caught:
            await asyncio.wait_for(uploading, 20)
        assert error in (caught.value, caught.value.__cause__)
        assert (await script.hear())["type"] == "upload_abort"
        await asked(script, chat)


async def test_a_callback_for_the_progress_that_is_cancelled_costs_nothing(script: Script) -> None:
    def fail(offset: int, size: int) -> None:
        raise asyncio.CancelledError

    async with chat_of(script) as chat:
        uploading = asyncio.create_task(chat.upload(b"abc", progress=fail))
        frame = await upload_frame(script)
        await script.say("upload_ready", {"file_id": frame["id"], "handle": 1, "offset": 0})
        assert await script.hear() == bytes(3) + b"\x01" + bytes(8) + b"abc"
        await script.say("upload_complete", {"file_id": frame["id"], "url": "/f"})
        assert (await asyncio.wait_for(uploading, 20)).url == "/f"


async def test_a_socket_that_cannot_be_written_to_is_replaced(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Wire._write_one

    async def fail(*_: Any) -> None:
        monkeypatch.setattr(Wire, "_write_one", write)
        raise ZeroDivisionError

    async with chat_of(script) as chat:
        monkeypatch.setattr(Wire, "_write_one", fail)
        await asked(script, chat)
        assert script.opened == 2


def test_a_transcript_is_what_this_connection_had_and_more() -> None:
    transcript = Transcript()

    def take(kind: str, data: Any) -> str:
        transcript.take(Message(kind, data, "chat:s"))
        return transcript.text

    assert take("chat", {"content": "ab"}) == "ab"
    assert take("chat", {"content": "c"}) == "abc"
    transcript.reconnected()
    assert transcript.text == "abc"
    assert take("chat", {"content": "abcd", "snapshot": True}) == "abcd"
    assert take("chat", {"content": "e"}) == "abcde"
    assert take("chat", {"content": "ab", "snapshot": True}) == "ab"
    assert take("news", "no object") == "ab"
    assert take("chat_complete", {"status": "unknown", "content": "end"}) == "end"
    assert transcript.status == "completed"
    assert take("chat", {"content": "late"}) == "end"
    transcript.fail("LOST", "")
    assert transcript.status == "completed"


def test_the_difference_of_two_texts() -> None:
    assert difference("a", "a") is None
    assert difference("", "a") == Piece("a")
    assert difference("ab", "a") == Piece("a", replaced=True)
    assert difference("ab", "") == Piece("", replaced=True)

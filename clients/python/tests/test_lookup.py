"""Questions that were asked before: their answers are in the log, or still to come."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from cidadao_realtime import Answer, AnswerError, Chat, ClosedError, History, Options, RealtimeClient, RefusedError

from .support.driver import EPOCH, TOKEN
from .support.script import Script, scripted
from .support.tasks import tasks_of_the_client

NOTHING = {"epoch": EPOCH, "seq": 7, "first": 1, "room": "chat:s", "messages": [], "more": False}


@pytest_asyncio.fixture
async def script() -> AsyncIterator[Script]:
    async with scripted() as script:
        script.seq = 20
        yield script
    assert not tasks_of_the_client()


@contextlib.asynccontextmanager
async def chat_of(script: Script) -> AsyncIterator[Chat]:
    options = Options(first_delay=0.01)
    client = RealtimeClient(script.url, token=TOKEN, options=options, general=False, random=lambda: 0.01)
    async with client:
        yield client.chat("s")


async def asked_again(script: Script, chat: Chat, *pages: Any) -> Answer:
    """A question that the server knows, at place 7; its log is read page by page."""
    script.pages = [page if isinstance(page, tuple) else (200, page) for page in pages]
    answer = await chat.send("Why?", message_id="q")
    await script.hear()
    await script.knows("q", 7)
    return answer


def page(*messages: dict[str, Any], seq: int = 7, first: int = 1, more: bool = False) -> dict[str, Any]:
    return NOTHING | {"seq": seq, "first": first, "messages": messages, "more": more}


def message(seq: int, kind: str, data: Any) -> dict[str, Any]:
    return {"type": kind, "data": data, "id": f"m{seq}", "seq": seq, "room": "chat:s", "timestamp": ""}


END = message(9, "chat_complete", {"status": "completed", "content": "So.", "reply_to": "q", "message_id": "a"})


async def test_an_answer_that_has_ended_is_read_from_the_log(script: Script) -> None:
    async with chat_of(script) as chat:
        other = message(8, "chat_complete", {"status": "completed", "content": "Other.", "reply_to": "other"})
        pages = page(other, message(8, "news", "no object"), seq=9, more=True), page(END, seq=9)
        answer = await asked_again(script, chat, *pages)
        assert await asyncio.wait_for(answer, 20) == "So."
        assert script.reads == ["since=7&limit=1000", "since=8&limit=1000"]


async def test_an_answer_that_is_under_way_goes_on(script: Script) -> None:
    async with chat_of(script) as chat:
        answer = await asked_again(script, chat, NOTHING)
        while not script.reads:
            await asyncio.sleep(0.01)
        await script.chunk("So", "q")
        await script.complete("So.", "q")
        assert await asyncio.wait_for(answer, 20) == "So."


@pytest.mark.parametrize("gone", [page(seq=30, first=9), page(seq=3)], ids=["dropped", "wiped"])
async def test_an_answer_that_the_log_no_longer_has_is_lost(script: Script, gone: Any) -> None:
    async with chat_of(script) as chat:
        answer = await asked_again(script, chat, gone)
        with pytest.raises(AnswerError, match="LOST"):
            await asyncio.wait_for(answer, 20)


async def test_a_log_that_cannot_be_read_now_is_read_later(script: Script, caplog: pytest.LogCaptureFixture) -> None:
    async with chat_of(script) as chat:
        unavailable = (503, {"error": {"code": "UNAVAILABLE", "message": "", "retry": True}})
        answer = await asked_again(script, chat, unavailable, (502, "<html>"), page(END, seq=9))
        assert await asyncio.wait_for(answer, 20) == "So."
        assert "not found yet: RefusedError" in caplog.text


async def test_a_log_that_does_not_answer_is_read_again(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    read, calls = RealtimeClient._read_on, 0

    async def hang_once(client: RealtimeClient, room: str, since: int) -> History:
        nonlocal calls
        calls += 1
        if calls == 1:
            monkeypatch.setattr("cidadao_realtime.lookup._PATIENCE", 60.0)
            await asyncio.sleep(3600)
        return await read(client, room, since)

    monkeypatch.setattr("cidadao_realtime.lookup._PATIENCE", 0.05)
    monkeypatch.setattr(RealtimeClient, "_read_on", hang_once)
    async with chat_of(script) as chat:
        answer = await asked_again(script, chat, page(END, seq=9))
        assert await asyncio.wait_for(answer, 20) == "So."


async def test_a_log_that_may_not_be_read_is_an_error(script: Script) -> None:
    async with chat_of(script) as chat:
        answer = await asked_again(script, chat, (403, {"error": {"code": "FORBIDDEN", "message": "", "retry": False}}))
        with pytest.raises(RefusedError, match="FORBIDDEN"):
            await asyncio.wait_for(answer, 20)


async def test_closing_ends_what_is_looked_up(script: Script) -> None:
    async with chat_of(script) as chat:
        answer = await asked_again(script, chat, *[(502, "<html>")] * 1000)
        while not script.reads:
            await asyncio.sleep(0.01)
    with pytest.raises(ClosedError):
        await asyncio.wait_for(answer, 20)

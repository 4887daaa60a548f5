"""Chats with the real worker, and an agent that the test plays."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from cidadao_realtime import (
    Answer,
    AnswerError,
    Chat,
    Connected,
    Message,
    Options,
    RealtimeClient,
    RefusedError,
    StoredFile,
)

from .support.agent import Agent, Call
from .support.worker import Worker

QUICK: dict[str, Any] = {"first_delay": 0.05, "ack_interval": 0.05}
OWN_CHATS = {"CHAT_ACCESS": "owner"}


@pytest_asyncio.fixture
async def agent(chat_agent: Agent) -> AsyncIterator[Agent]:
    yield chat_agent
    assert chat_agent.waiting == 0, "questions that no test expected"


@contextlib.asynccontextmanager
async def chat_of(worker: Worker, session: str, sub: str = "ana", **options: Any) -> AsyncIterator[Chat]:
    """A chat, in which the user has arrived."""
    client = RealtimeClient(
        worker.url, token=worker.token(sub), options=Options(**QUICK | options), random=lambda: 0.1, general=False
    )
    arrived = asyncio.Event()
    client.on(Connected)(lambda _: arrived.set())
    async with client:
        chat = client.chat(session)
        await asyncio.wait_for(arrived.wait(), 20)
        yield chat


async def taken(messages: AsyncIterator[Message], *kinds: str) -> Message:
    """The next message of these types."""
    while (message := await asyncio.wait_for(anext(messages), 20)).type not in kinds:
        pass
    return message


async def asked(chat: Chat, agent: Agent, text: str = "Quanto?") -> tuple[Answer, Call]:
    answer = await chat.send(text)
    return answer, await agent.next()


async def grown(answer: Answer, text: str) -> None:
    while answer.text != text:
        await asyncio.sleep(0.01)


async def log_of(worker: Worker, session: str) -> list[Message]:
    client = RealtimeClient(worker.url, token=worker.token("backend", role="service"))
    return (await client.history("chat", session)).messages


async def test_what_is_said_is_acknowledged_and_heard_by_everybody_else_once(worker: Worker) -> None:
    async with chat_of(worker, "said") as ana, chat_of(worker, "said", "bia") as bia:
        heard, own = bia.messages(), ana.messages()
        assert await ana.say("Bom dia", message_id="m-1") == 1
        assert await ana.say("Bom dia", message_id="m-1") == 1
        assert await bia.say("Boa tarde") == 2
        message = await taken(heard, "chat")
        assert (message.id, message.seq) == ("m-1", 1)
        assert message.data == {"role": "user", "content": "Bom dia", "user_id": "ana"}
        assert (await taken(own, "chat")).data["content"] == "Boa tarde"
        assert [message.data["content"] for message in await log_of(worker, "said")] == ["Bom dia", "Boa tarde"]


async def test_an_answer_comes_in_pieces_and_with_what_the_agent_adds(worker: Worker, agent: Agent) -> None:
    async with chat_of(worker, "pieces") as chat:
        answer, call = await asked(chat, agent, "Quanto custou?")
        assert call.body["message"] == "Quanto custou?"
        reading = asyncio.create_task(whole(answer))
        for text in ("A ponte ", "custou ", "muito."):
            await call.write(text)
        await call.done(suggested_actions=["ver"])
        assert await reading == await answer == "A ponte custou muito."
        assert answer.transcript.data["suggested_actions"] == ["ver"]


async def test_what_a_session_is_called_is_known_at_once_and_when_one_comes_later(worker: Worker, agent: Agent) -> None:
    async with chat_of(worker, "called") as ana:
        assert ana.title is None
        _, call = await asked(ana, agent, "Quanto custou a ponte?")
        await called(ana, "Quanto custou a ponte?")
        await call.done()
        async with chat_of(worker, "called", "bia") as bia:
            await called(bia, "Quanto custou a ponte?")


async def called(chat: Chat, title: str) -> None:
    while chat.title != title:
        await asyncio.sleep(0.01)


async def whole(answer: Answer) -> str:
    """What a program has printed that never takes anything back."""
    pieces = [piece async for piece in answer]
    assert not any(piece.replaced for piece in pieces)
    return "".join(map(str, pieces))


async def test_an_answer_goes_on_through_broken_connections(worker: Worker, agent: Agent) -> None:
    async with chat_of(worker, "broken") as chat:
        answer, call = await asked(chat, agent)
        reading = asyncio.create_task(whole(answer))
        text = ""
        for n in range(5):
            await call.write(f"parte {n} ")
            text += f"parte {n} "
            await grown(answer, text)
            worker.relay.cut()
        await call.done()
        assert await reading == await answer == text


async def test_an_answer_that_ended_while_nobody_was_there_is_whole(worker: Worker, agent: Agent) -> None:
    async with chat_of(worker, "away") as chat:
        answer, call = await asked(chat, agent)
        await call.write("Um ")
        await grown(answer, "Um ")
        worker.relay.refusing = True
        worker.relay.cut()
        await call.write("dois")
        await call.done()
        worker.relay.refusing = False
        assert await answer == "Um dois"


async def test_questions_and_answers_go_on_after_a_room_has_slept(worker: Worker, agent: Agent) -> None:
    async with chat_of(worker, "slept") as chat:
        for n in range(3):
            answer, call = await asked(chat, agent, f"Pergunta {n}")
            await call.write(f"Resposta {n}")
            await call.done()
            assert await answer == f"Resposta {n}"
            await worker.evict("chat:slept")


async def test_a_restart_interrupts_an_answer_and_the_next_question_is_asked(worker: Worker, agent: Agent) -> None:
    async with chat_of(worker, "restarted") as chat:
        first, call = await asked(chat, agent)
        await call.write("Era uma ")
        await grown(first, "Era uma ")
        second = await chat.send("E depois?")
        await second.acknowledged()
        await worker.restart()
        with pytest.raises(AnswerError, match="INTERRUPTED") as caught:
            await first
        assert first.status == "interrupted"
        assert "Era uma ".startswith(caught.value.content)
        call = await agent.next()
        await call.write("Fim.")
        await call.done()
        assert await second == "Fim."


async def test_an_answer_is_cancelled_while_it_comes_and_before_it_begins(worker: Worker, agent: Agent) -> None:
    async with chat_of(worker, "cancelled") as chat:
        first, call = await asked(chat, agent)
        second = await chat.send("E esta?")
        await second.acknowledged()
        await call.write("Era uma ")
        await grown(first, "Era uma ")
        second.cancel()
        assert await second == ""
        first.cancel()
        assert await first == "Era uma "
        assert first.status == second.status == "cancelled"
        await asyncio.wait_for(call.left.wait(), 20)


async def test_an_agent_that_fails_is_told(worker: Worker, agent: Agent) -> None:
    async with chat_of(worker, "failed") as chat:
        answer, call = await asked(chat, agent)
        await call.write("Eu ")
        await grown(answer, "Eu ")
        await call.fail("não sei")
        with pytest.raises(AnswerError, match="AGENT_FAILED") as caught:
            await answer
        assert caught.value.content == "Eu "


async def test_what_is_said_offline_is_said_once_and_in_order(worker: Worker) -> None:
    async with chat_of(worker, "offline") as ana, chat_of(worker, "offline", "bia") as bia:
        heard = bia.messages()
        worker.relay.refusing = True
        worker.relay.cut()
        saying = [asyncio.create_task(ana.say(f"n. {n}")) for n in range(30)]
        await asyncio.sleep(0.1)
        assert ana.waiting == 30
        worker.relay.refusing = False
        assert await asyncio.gather(*saying) == list(range(1, 31))
        said = [(await taken(heard, "chat")).data["content"] for _ in range(30)]
        assert said == [f"n. {n}" for n in range(30)]


async def test_an_acknowledgement_that_is_lost_costs_nothing(worker: Worker) -> None:
    async with chat_of(worker, "unheard") as chat:
        worker.relay.swallowing_answers = True
        saying = [asyncio.create_task(chat.say(f"n. {n}", message_id=f"m-{n}")) for n in range(5)]
        while not await log_of_one(worker, "unheard"):
            await asyncio.sleep(0.02)
        worker.relay.cut()
        worker.relay.swallowing_answers = False
        assert await asyncio.gather(*saying) == [1, 2, 3, 4, 5]
        assert [message.id for message in await log_of(worker, "unheard")] == [f"m-{n}" for n in range(5)]


async def log_of_one(worker: Worker, session: str) -> list[Any]:
    """What is in the log, past the relay."""
    headers = {"authorization": f"Bearer {worker.token(role='service')}"}
    async with httpx.AsyncClient(headers=headers) as http:
        response = await http.get(f"http://127.0.0.1:{worker.relay.target}/api/v1/ws/chat/{session}/messages")
        return list(response.json()["messages"])


async def test_a_refusal_is_of_its_message_and_of_no_other(worker: Worker) -> None:
    async with chat_of(worker, "refused") as ana, chat_of(worker, "refused", "bia") as bia:
        assert await bia.say("Minha", message_id="hers") == 1
        good = asyncio.create_task(ana.say("Antes"))
        taken_id = asyncio.create_task(ana.say("Minha também", message_id="hers"))
        too_long = asyncio.create_task(ana.say("x" * 1001))
        after = asyncio.create_task(ana.say("Depois"))
        with pytest.raises(RefusedError, match="ID_TAKEN"):
            await taken_id
        with pytest.raises(RefusedError) as caught:
            await too_long
        assert caught.value.code in ("INVALID_FRAME", "TOO_LARGE")
        assert [await good, await after] == [2, 3]


async def test_what_is_too_large_to_be_read_is_refused_and_holds_up_nothing(worker: Worker) -> None:
    async with chat_of(worker, "unreadable", outbox_bytes=4_000_000) as chat:
        large = asyncio.create_task(chat.say("x" * 1_100_000))
        after = asyncio.create_task(chat.say("Depois"))
        with pytest.raises(RefusedError, match="TOO_LARGE"):
            await asyncio.wait_for(large, 120)
        assert await asyncio.wait_for(after, 120) == 1


async def test_a_question_that_was_answered_is_answered_again_from_the_log(worker: Worker, agent: Agent) -> None:
    async with chat_of(worker, "answered") as chat:
        answer = await chat.send("Quanto?", message_id="q-1")
        call = await agent.next()
        await call.write("Muito.")
        await call.done(suggested_actions=["ver"])
        assert await answer == "Muito."
        assert await asyncio.wait_for(await chat.send("Quanto?", message_id="q-1"), 20) == "Muito."
    async with chat_of(worker, "answered") as chat:
        again = await chat.send("Quanto?", message_id="q-1")
        assert await asyncio.wait_for(again, 20) == "Muito."
        assert again.transcript.data["suggested_actions"] == ["ver"]


async def test_a_question_that_is_being_answered_is_heard_by_who_asks_it_again(worker: Worker, agent: Agent) -> None:
    async with chat_of(worker, "resumed") as chat:
        answer = await chat.send("Quanto?", message_id="q-1")
        call = await agent.next()
        await call.write("Mui")
        await grown(answer, "Mui")
    async with chat_of(worker, "resumed") as chat:
        again = await chat.send("Quanto?", message_id="q-1")
        await again.acknowledged()
        await call.write("to.")
        await call.done()
        assert await asyncio.wait_for(again, 20) == "Muito."


async def test_the_same_said_by_two_tasks_has_one_place(worker: Worker, agent: Agent) -> None:
    async with chat_of(worker, "twice") as chat:
        assert set(await asyncio.gather(*[chat.say("Oi", message_id="m-1") for _ in range(3)])) == {1}
        first, second = await asyncio.gather(*[chat.send("Quanto?", message_id="q-1") for _ in range(2)])
        call = await agent.next()
        await call.write("Muito.")
        await call.done()
        assert [await first, await second] == ["Muito.", "Muito."]


async def test_a_session_is_its_owners_until_somebody_is_invited() -> None:
    own = await Worker.start(OWN_CHATS)
    try:
        async with chat_of(own, "owned") as ana:
            await ana.say("Só eu")
            with pytest.raises(RefusedError, match="FORBIDDEN"):
                async with RealtimeClient(own.url, token=own.token("bia"), general=False) as client:
                    await client.chat("owned").say("E eu")
            await session_request(own, "PUT", "owned/participants/bia")
            async with chat_of(own, "owned", "bia") as bia:
                assert await bia.say("Agora sim") == 2
    finally:
        await own.stop()


async def session_request(worker: Worker, method: str, path: str) -> None:
    headers = {"authorization": f"Bearer {worker.token('backend', role='service')}"}
    async with httpx.AsyncClient(headers=headers) as http:
        (await http.request(method, f"{worker.url}/api/v1/ws/chat/{path}")).raise_for_status()


async def test_a_session_that_is_deleted_ends_all_that_waits_for_it(worker: Worker, agent: Agent) -> None:
    async with chat_of(worker, "deleted") as chat:
        answer, call = await asked(chat, agent)
        messages = chat.messages()
        await session_request(worker, "DELETE", "deleted")
        with pytest.raises(RefusedError, match="SESSION_DELETED"):
            await answer
        with pytest.raises(RefusedError, match="SESSION_DELETED"):
            while True:
                await asyncio.wait_for(anext(messages), 20)
        with pytest.raises(RefusedError, match="SESSION_DELETED"):
            await chat.say("Alguém?")
        assert not chat.is_open
        await asyncio.wait_for(call.left.wait(), 20)


async def test_who_is_there_and_what_they_show_is_known(worker: Worker) -> None:
    async with chat_of(worker, "present", presence=True) as ana:
        assert ana.presence.users == {"ana": None}
        async with chat_of(worker, "present", "bia") as bia:
            await showing(ana, {"ana": None, "bia": None})
            bia.show({"status": "away"})
            await showing(ana, {"ana": None, "bia": {"status": "away"}})
            worker.relay.cut()
            await showing(ana, {"ana": None, "bia": {"status": "away"}})


async def showing(chat: Chat, users: dict[str, Any]) -> None:
    async def wait() -> None:
        while (chat.presence.users, chat.presence.count) != (users, len(users)):
            await asyncio.sleep(0.02)

    await asyncio.wait_for(wait(), 20)


async def test_who_types_is_known_until_they_say_it(worker: Worker) -> None:
    async with chat_of(worker, "typed") as ana, chat_of(worker, "typed", "bia") as bia:
        heard = ana.messages()
        bia.typing()
        message = await taken(heard, "typing")
        assert (message.data["user_id"], message.data["isTyping"], message.seq) == ("bia", True, None)
        assert list(ana.typists) == ["bia"]
        bia.typing(False)
        assert (await taken(heard, "typing")).data["isTyping"] is False
        assert list(ana.typists) == []
        bia.typing()
        await taken(heard, "typing")
        await bia.say("Pronto")
        await taken(heard, "chat")
        assert list(ana.typists) == []


async def test_a_file_of_several_megabytes_arrives_whole_through_broken_connections(worker: Worker) -> None:
    content = b"%PDF-1.7\n" + os.urandom(5_000_000)
    moved: list[int] = []

    def progress(stored: int, size: int) -> None:
        assert size == len(content)
        moved.append(stored)
        if len(moved) in (9, 14):
            worker.relay.cut()

    async with chat_of(worker, "files") as ana, chat_of(worker, "files", "bia") as bia:
        heard, before = bia.messages(), worker.relay.passed_on
        file = await asyncio.wait_for(ana.upload(content, name="nota.pdf", progress=progress), 60)
        assert isinstance(file, StoredFile)
        assert (file.size, file.content_type) == (len(content), "application/pdf")
        assert file.sha256 == hashlib.sha256(content).hexdigest()
        assert len(moved) >= 14
        assert worker.relay.passed_on - before < len(content) + 2 * 1_200_000, "more than was on its way came again"
        told = await taken(heard, "file")
        assert (told.id, told.data["name"], told.data["user_id"]) == (file.file_id, "nota.pdf", "ana")
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {worker.token('bia')}"}) as http:
            found = (await http.get(worker.url + told.data["url"])).content
        assert hashlib.sha256(found).hexdigest() == file.sha256


async def test_a_file_of_a_type_that_is_not_taken_is_refused(worker: Worker) -> None:
    async with chat_of(worker, "programs") as chat:
        with pytest.raises(RefusedError, match="FILE_TYPE_NOT_ALLOWED"):
            await chat.upload(b"MZ" + bytes(100), name="a.exe")
        assert (await chat.upload("Olá".encode(), name="nota.txt")).content_type.startswith("text/plain")


async def test_without_an_agent_the_demonstration_answers() -> None:
    alone = await Worker.start({})
    try:
        async with chat_of(alone, "demo") as chat:
            answer = await chat.send("Quanto custou a ponte?")
            assert "Você perguntou: “Quanto custou a ponte?”" in await whole(answer)
            assert (answer.status, answer.transcript.agent_id) == ("completed", "demo")
    finally:
        await alone.stop()

"""The examples, run as they are."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from cidadao_realtime import Connected, RealtimeClient

from .support.worker import FOLDER, Worker


async def run(worker: Worker, example: str, *arguments: str) -> asyncio.subprocess.Process:
    environment = {
        "CIDADAO_REALTIME_URL": worker.url,
        "CIDADAO_REALTIME_TOKEN": worker.token("backend", role="service"),
        "PYTHONPATH": str(FOLDER / "src"),
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(FOLDER / "examples" / example),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | environment,
    )


async def output(process: asyncio.subprocess.Process) -> str:
    printed, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    return printed.decode()


async def test_the_notifier_is_heard_by_the_bot_which_tells_the_chat_and_answers(worker: Worker) -> None:
    async with RealtimeClient(worker.url, token=worker.token("ana"), general=False) as client:
        arrived = asyncio.Event()
        client.on(Connected)(lambda _: arrived.set())
        chat = client.chat("with-a-bot")
        await asyncio.wait_for(arrived.wait(), 20)
        heard = chat.messages()

        async def said() -> str:
            while (message := await asyncio.wait_for(anext(heard), 60)).type != "chat":
                pass
            return str(message.data["content"])

        bot = await run(worker, "bot.py", "with-a-bot", "watched")
        assert await said() == "O bot chegou."
        assert await output(await run(worker, "notify.py", "watched")) == (
            "the anomaly is message 2 of investigation:watched\n"
        )
        assert await said() == "Anomalia: Contrato 42 custou o dobro"
        await chat.say("!anomalias")
        assert await said() == "Anomalias até agora: 1"
        bot.send_signal(signal.SIGINT)
        assert await output(bot) == "ready\n"


@pytest.mark.parametrize("example", ["bot.py", "notify.py"])
async def test_an_example_that_is_not_told_what_to_do_says_how_it_is_used(worker: Worker, example: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(FOLDER / "examples" / example),
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(FOLDER / "src")},
    )
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, said[:6]) == (1, b"usage:")

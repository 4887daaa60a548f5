"""A bot that sits in a chat: it tells the people of each anomaly in an investigation, and answers `!anomalias`.

export CIDADAO_REALTIME_URL=http://127.0.0.1:8787
export CIDADAO_REALTIME_TOKEN=$(npm run -s token -- --sub bot --role service)
python clients/python/examples/bot.py sessao-1 inv-123
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

from cidadao_realtime import Chat, Message, Options, RealtimeClient, Subscription


class Bot:
    """What it has seen, and the chat that it speaks in."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._anomalies: list[str] = []

    async def watch(self, investigation: Subscription) -> None:
        """Tells of what is found."""
        async for message in investigation:
            if message.type == "anomaly_detected":
                self._anomalies.append(message.data.get("description", "sem descrição"))
                # Under the id of the anomaly, so that it is told once, whatever happens to this program.
                await self._chat.say(f"Anomalia: {self._anomalies[-1]}", message_id=f"bot-{message.id}")

    async def answer(self, messages: Subscription) -> None:
        """Answers who asks."""
        async for message in messages:
            if is_question(message):
                await self._chat.say(f"Anomalias até agora: {len(self._anomalies)}", message_id=f"bot-{message.id}")


def is_question(message: Message) -> bool:
    """Whether somebody asks the bot."""
    return message.type == "chat" and message.data.get("content") == "!anomalias"


async def main(session_id: str, investigation_id: str) -> None:
    url, token = os.environ["CIDADAO_REALTIME_URL"], os.environ["CIDADAO_REALTIME_TOKEN"]
    async with RealtimeClient(url, token=token, options=Options(device="bot")) as client:
        chat = client.chat(session_id)
        bot = Bot(chat)
        investigation = await client.investigation(investigation_id).ready()
        messages = chat.messages()
        await chat.say("O bot chegou.")
        print("ready", flush=True)
        await asyncio.gather(bot.watch(investigation), bot.answer(messages))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: bot.py SESSION_ID INVESTIGATION_ID")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1], sys.argv[2]))

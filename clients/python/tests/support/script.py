"""A server of one chat session that says what a test tells it to, at the moment that the test chooses."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from .driver import EPOCH


class Script:
    """One connection at a time. What the client sends waits in ``frames``; pings are answered.

    ``pages`` are what it answers, one after the other, to who reads its log; ``reads`` is what was asked for.
    """

    def __init__(self) -> None:
        self.url = ""
        self.seq = 0
        self.opened = 0
        self.frames: asyncio.Queue[Any] = asyncio.Queue()
        self.socket: ServerConnection | None = None
        self.pages: list[tuple[int, Any]] = []
        self.reads: list[str] = []

    async def serve(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.opened += 1
        data = {"room": "chat:s", "epoch": EPOCH, "seq": self.seq, "reconnect_within_ms": 10}
        await self.say("connection", data)
        with contextlib.suppress(ConnectionClosed):
            async for frame in socket:
                self.frames.put_nowait(json.loads(frame) if isinstance(frame, str) else frame)

    def read(self, connection: ServerConnection, request: Request) -> Response | None:
        path, _, query = request.path.partition("?")
        if not path.endswith("/messages"):
            return None
        self.reads.append(query)
        status, page = self.pages.pop(0)
        return connection.respond(status, json.dumps(page))

    async def say(self, kind: str, data: Any, **more: Any) -> None:
        assert self.socket is not None
        await self.socket.send(json.dumps({"type": kind, "data": data, **more}))

    async def publish(self, kind: str, data: Any, identifier: str = "") -> None:
        self.seq += 1
        await self.say(kind, data, room="chat:s", seq=self.seq, id=identifier)

    async def chunk(self, content: str, question: str, **more: Any) -> None:
        data = {"role": "assistant", "content": content, "chunk": True, "message_id": "a", "reply_to": question, **more}
        await self.say("chat", data, room="chat:s")

    async def complete(self, content: str, question: str, status: str = "completed", **more: Any) -> None:
        data = {"status": status, "content": content, "message_id": "a", "reply_to": question, **more}
        await self.publish("chat_complete", data, "a")

    async def ack(self, identifier: str) -> None:
        self.seq += 1
        await self.say("ack", {"id": identifier, "room": "chat:s", "seq": self.seq})

    async def knows(self, identifier: str, seq: int) -> None:
        """Says that it has had this before, at that place."""
        await self.say("ack", {"id": identifier, "room": "chat:s", "seq": seq, "duplicate": True})

    async def hear(self) -> Any:
        return await asyncio.wait_for(self.frames.get(), 20)

    async def drop(self) -> None:
        assert self.socket is not None
        self.socket.transport.abort()
        await self.socket.wait_closed()


@contextlib.asynccontextmanager
async def scripted() -> AsyncIterator[Script]:
    script = Script()
    async with serve(script.serve, "127.0.0.1", 0, process_request=script.read) as server:
        script.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield script

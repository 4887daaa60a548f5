"""An agent that a test plays: it speaks as the backend does, and says what and when the test wants."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

PATH = "/api/v1/chat/stream"


class Call:
    """One question, and the answer to it."""

    def __init__(self, body: Any, writer: asyncio.StreamWriter) -> None:
        self.body = body
        self.left = asyncio.Event()
        self._writer = writer
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")

    async def write(self, text: str) -> None:
        """Says a part of the answer."""
        await self._event({"type": "chunk", "content": text})

    async def done(self, **extra: Any) -> None:
        """Says that the answer is complete, and ends it."""
        await self._event({"type": "complete", **extra})
        self._writer.close()

    async def fail(self, message: str) -> None:
        """Says that there is no answer, and ends it."""
        await self._event({"type": "error", "message": message})
        self._writer.close()

    async def _event(self, data: Any) -> None:
        with contextlib.suppress(ConnectionError):
            self._writer.write(f"data: {json.dumps(data)}\n\n".encode())
            await self._writer.drain()


class Agent:
    """Takes questions; the test takes them from it, and answers."""

    def __init__(self) -> None:
        self.url = ""
        self._calls: asyncio.Queue[Call] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> Agent:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}{PATH}"
        return self

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def next(self) -> Call:
        """The next question."""
        return await asyncio.wait_for(self._calls.get(), 20)

    @property
    def waiting(self) -> int:
        """Questions that the test has not taken."""
        return self._calls.qsize()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            call = Call(json.loads(await _body(reader)), writer)
            self._calls.put_nowait(call)
            await reader.read()  # until the caller leaves
            call.left.set()
        writer.close()


async def _body(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    if "content-length" in fields:
        return await reader.readexactly(int(fields["content-length"]))
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    return body

"""The real worker, behind a relay of its own that keeps its address when the worker is started anew."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SCRIPT = Path(__file__).parent.parent / "worker.ts"
FOLDER = SCRIPT.parents[1]
ROOT = FOLDER.parents[1]


def node() -> str | None:
    own = ROOT / "node_modules/.bin/node"
    return str(own) if own.exists() else shutil.which("node")


def is_available() -> bool:
    return node() is not None and (ROOT / "build/index_bg.wasm").exists()


class Relay:
    """Passes bytes on to the worker, until it is told to cut, to swallow or to refuse."""

    def __init__(self) -> None:
        self.port = 0
        self.target = 0
        self.refusing = False
        self.swallowing = False
        self.swallowing_answers = False
        self.passed_on = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.cut()
        assert self._server is not None
        self._server.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """Breaks all connections, without a word."""
        for writer in self._writers:
            writer.transport.abort()

    def heal(self) -> None:
        """Passes everything on again."""
        self.refusing = self.swallowing = self.swallowing_answers = False

    @property
    def open(self) -> int:
        return len(self._writers) // 2

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError):
            back, forth = await asyncio.open_connection("127.0.0.1", self.target)
            self._writers |= {writer, forth}
            await asyncio.gather(self._pump(reader, forth), self._pump(back, writer, answers=True))
            self._writers -= {writer, forth}
        writer.close()
        self._tasks.discard(task)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                if not self.swallowing and not (answers and self.swallowing_answers):
                    self.passed_on += 0 if answers else len(data)
                    sink.write(data)
                    await sink.drain()
        sink.close()


class Worker:
    """A worker in a process of its own, for one test file."""

    def __init__(self, process: asyncio.subprocess.Process, relay: Relay) -> None:
        self._process = process
        self.relay = relay
        self.secret = ""

    @classmethod
    async def start(cls, settings: dict[str, str]) -> Worker:
        process = await asyncio.create_subprocess_exec(
            node() or "node",
            str(SCRIPT),
            json.dumps(settings),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "NODE_NO_WARNINGS": "1"},
        )
        worker = cls(process, Relay())
        await worker._hear()
        await worker.relay.start()
        return worker

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.relay.port}"

    async def evict(self, room: str) -> None:
        """Puts a room to sleep: its memory is gone, its sockets stay open."""
        await self._command(f"evict {room}")

    async def restart(self) -> None:
        """Kills the worker, and starts it again on the same storage."""
        await self._command("restart")

    async def kill(self) -> None:
        """Ends the worker for good; its address stays, and nobody answers there."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"kill\n")
        await self._process.wait()

    async def stop(self) -> None:
        await self.relay.stop()
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    def token(self, sub: str = "ana", role: str = "user", ttl: float = 600, **claims: Any) -> str:
        now = time.time()
        whole = {"sub": sub, "role": role, "type": "access", "iat": int(now), "exp": int(now + ttl), **claims}
        body = ".".join(_encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, whole))
        return f"{body}.{_encode(hmac.new(self.secret.encode(), body.encode(), hashlib.sha256).digest())}"

    async def _command(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        answer = await self._hear()
        assert answer.get("done") == line, answer

    async def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line)
        self.secret = answer["secret"]
        self.relay.target = urlsplit(answer["url"]).port or 0
        return answer


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")

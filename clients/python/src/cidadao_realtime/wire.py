"""One WebSocket: opened, read and written until it closes. It decides nothing."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from .protocol import SUBPROTOCOL, FrameError, Part, Refusal, decode
from .steps import Closed, Opened, Received

_CLOSE_TIMEOUT = 2.0
_MAX_FRAME = 4 * 1_048_576
_UNAUTHORIZED = 401

_log = logging.getLogger("cidadao_realtime.wire")
# At this level the library underneath would write down headers and frames, tokens among them.
_log.addFilter(lambda record: record.levelno > logging.DEBUG)

Tell = Callable[[Opened | Received | Closed], None]
ReadPart = Callable[[Part], Awaitable[bytes | None]]


class _Connect(connect):
    """Follows no redirect: the token is for the server that was named."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Wire:
    """A socket that tells when it opened, what came, and, once, that it closed; unless it was dropped."""

    def __init__(self, uri: str, token: str, open_timeout: float, tell: Tell, read_part: ReadPart) -> None:
        self._tell = tell
        self._read_part = read_part
        self._outgoing: asyncio.Queue[str | Part | int] = asyncio.Queue()
        self._socket: ClientConnection | None = None
        self._dropped = False
        dial = _Connect(
            uri,
            additional_headers={"Authorization": f"Bearer {token}"},
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            open_timeout=open_timeout,
            close_timeout=_CLOSE_TIMEOUT,
            ping_interval=None,
            max_size=_MAX_FRAME,
            logger=_log,
        )
        self.task = asyncio.create_task(self._run(dial))

    def send(self, item: str | Part) -> None:
        """Sends a text frame or a piece of a file, after what was sent before."""
        self._outgoing.put_nowait(item)

    def drop(self, code: int | None) -> None:
        """Closes the socket; with a code after saying goodbye, without one at once."""
        self._dropped = True
        if code is not None and self._socket is not None:
            self._outgoing.put_nowait(code)
        else:
            self.abort()

    def abort(self) -> None:
        """Closes the socket without another word."""
        self._dropped = True
        if self._socket is not None:
            self._socket.transport.abort()
        self.task.cancel()

    async def _run(self, dial: connect) -> None:
        try:
            closed = await self._live(dial)
        except InvalidStatus as error:
            closed = Closed(refusal=_refusal(error), reason=f"HTTP {error.response.status_code}")
        except (OSError, WebSocketException, asyncio.TimeoutError) as error:
            closed = Closed(reason=type(error).__name__)
        except Exception as error:
            _log.exception("a connection failed")
            closed = Closed(reason=type(error).__name__)
        if not self._dropped:
            self._tell(closed)

    async def _live(self, dial: connect) -> Closed:
        async with dial as socket:
            self._socket = socket
            self._say(Opened())
            writer = asyncio.create_task(self._write(socket))
            try:
                await self._read(socket)
            finally:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)
        return Closed(socket.close_code or 1006, socket.close_reason or "")

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for data in socket:
                if isinstance(data, str):
                    self._say(Received(data))
        except ConnectionClosed:
            pass

    async def _write(self, socket: ClientConnection) -> None:
        try:
            while True:
                await self._write_one(socket, await self._outgoing.get())
        except ConnectionClosed:
            pass
        except Exception:
            _log.exception("a connection cannot be written to")
            socket.transport.abort()  # so that another one is opened

    async def _write_one(self, socket: ClientConnection, item: str | Part | int) -> None:
        if isinstance(item, int):
            await socket.close(item)
        elif isinstance(item, str):
            await socket.send(item)
        elif (data := await self._read_part(item)) is not None:
            await socket.send(item.header + data)

    def _say(self, what: Opened | Received) -> None:
        if not self._dropped:
            self._tell(what)


def _refusal(error: InvalidStatus) -> Refusal | None:
    """What an answer to a refused upgrade says, if it is one of this server's."""
    try:
        data = json.loads(error.response.body or b"")["error"]
        (frame,) = decode(json.dumps({"type": "error", "data": data}))
    except (FrameError, KeyError, TypeError, ValueError):
        frame = None
    if isinstance(frame, Refusal) and isinstance(data.get("retry"), bool):
        return frame
    return Refusal("INVALID_TOKEN") if error.response.status_code == _UNAUTHORIZED else None

"""The bytes of a file that is sent."""

from __future__ import annotations

import asyncio
import threading
from io import BytesIO

from cidadao_realtime.files import OutgoingFile


class Stalling(BytesIO):
    """Its first piece is long in coming."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.calls: list[str] = []
        self.begun = threading.Event()
        self.goes = threading.Event()

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.begun.is_set():
            self.begun.set()
            self.goes.wait(20)
        self.calls.append("read")
        return super().read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self.calls.append(f"seek {offset}")
        return super().seek(offset, whence)


async def test_a_piece_is_not_read_while_one_that_nobody_waits_for_any_more_still_is() -> None:
    source = Stalling(b"abcd")
    file = OutgoingFile(source, "a", None, None)
    source.calls.clear()
    left = asyncio.create_task(file.read(0, 2))
    await asyncio.to_thread(source.begun.wait, 20)
    left.cancel()
    await asyncio.wait([left])
    wanted = asyncio.create_task(file.read(2, 2))
    await asyncio.sleep(0.05)
    source.goes.set()
    assert await wanted == b"cd"
    assert source.calls == ["seek 0", "read", "seek 2", "read"]
    file.close()

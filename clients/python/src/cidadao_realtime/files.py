"""A file that is being sent to a chat session."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import mimetypes
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, TypeVar

from .errors import RealtimeError, RefusedError
from .events import UploadEnded, UploadMoved

Source = bytes | str | os.PathLike[str] | BinaryIO
"""Bytes, the path of a file, or a file that is open for reading bytes and can seek."""

Progress = Callable[[int, int], None]
"""Called with how much is stored, and the size."""

_BLOCK = 1_048_576

_Result = TypeVar("_Result")

_log = logging.getLogger("cidadao_realtime")


@dataclass(frozen=True)
class StoredFile:
    """A file of a chat session, as the server stored it."""

    file_id: str
    name: str
    size: int
    content_type: str
    sha256: str
    url: str


@dataclass(frozen=True)
class _Fault:
    """What a file raised in its thread."""

    error: BaseException

    def as_exception(self) -> Exception:
        """What asyncio can hand on: it gives exceptions for the end of a loop or of a task a meaning of their own."""
        if isinstance(self.error, Exception) and not isinstance(self.error, StopIteration):
            return self.error
        told = OSError(f"the file cannot be read: {type(self.error).__name__}")
        told.__cause__ = self.error
        return told


class OutgoingFile:
    """The bytes of a file, and who waits until they are stored."""

    def __init__(self, source: Source, name: str | None, content_type: str | None, progress: Progress | None) -> None:
        self._owns = isinstance(source, (bytes, str, os.PathLike))
        self._file = _opened(source)
        self.size = self._file.seek(0, os.SEEK_END)
        self.name = name or _name_of(source)
        self.content_type = content_type or mimetypes.guess_type(self.name)[0] or "application/octet-stream"
        self._progress = progress
        self._lock = threading.Lock()
        self.stored: asyncio.Future[StoredFile] = asyncio.get_running_loop().create_future()

    async def digest(self) -> str:
        """The SHA-256 of all of it, in hexadecimal digits."""
        return await self._in_thread(self._digest)

    async def read(self, offset: int, length: int) -> bytes:
        """A piece of it. Raises OSError if it is shorter than it was."""
        data = await self._in_thread(self._read, offset, length)
        if len(data) != length:
            raise OSError("the file has become shorter while it was sent")
        return data

    def moved(self, event: UploadMoved) -> None:
        """So much is stored."""
        if self._progress is None:
            return
        try:
            self._progress(event.offset, event.size)
        except (Exception, asyncio.CancelledError):
            _log.exception("a callback for the progress of an upload failed")

    def ended(self, event: UploadEnded) -> None:
        """It is stored, or refused."""
        if self.stored.done():
            return
        if event.code is not None:
            self.stored.set_exception(RefusedError(event.code, event.message))
        else:
            self.stored.set_result(self._as_stored(event))

    def fail(self, error: Exception) -> None:
        """It cannot be sent."""
        if not self.stored.done():
            self.stored.set_exception(error)

    def close(self) -> None:
        """Closes what was opened here."""
        if not self.stored.cancel():
            self.stored.exception()  # nobody need wait for it
        if self._owns:
            self._file.close()

    async def _in_thread(self, work: Callable[..., _Result], *arguments: int) -> _Result:
        outcome = await asyncio.to_thread(self._attempt, work, *arguments)
        if isinstance(outcome, _Fault):
            raise outcome.as_exception()
        return outcome

    def _attempt(self, work: Callable[..., _Result], *arguments: int) -> _Result | _Fault:
        """The lock is the thread's: who waited for it may be cancelled, and it goes on."""
        try:
            with self._lock:
                return work(*arguments)
        except BaseException as error:
            return _Fault(error)

    def _as_stored(self, event: UploadEnded) -> StoredFile:
        def text(name: str, default: str = "") -> str:
            value = event.data.get(name)
            return value if isinstance(value, str) else default

        return StoredFile(
            file_id=event.file_id,
            name=self.name,
            size=self.size,
            content_type=text("content_type", self.content_type),
            sha256=text("sha256"),
            url=text("url"),
        )

    def _digest(self) -> str:
        digest = hashlib.sha256()
        self._file.seek(0)
        while block := self._file.read(_BLOCK):
            digest.update(block)
        return digest.hexdigest()

    def _read(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)


def _opened(source: Source) -> BinaryIO:
    if isinstance(source, bytes):
        return BytesIO(source)
    if isinstance(source, (str, os.PathLike)):
        return Path(source).open("rb")
    if not source.seekable():
        raise RealtimeError("a file that is sent must be able to seek: what did not arrive is sent again")
    return source


def _name_of(source: Source) -> str:
    if isinstance(source, (str, os.PathLike)):
        return Path(source).name
    name = getattr(source, "name", None)
    return Path(name).name if isinstance(name, str) else "file"

"""Files on their way to the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .backoff import Backoff, Random
from .events import Event, UploadEnded, UploadMoved
from .flow import Flow
from .protocol import Part, Refusal, UploadFrame, upload_abort

_PATIENCE = 15.0
_WINDOW = 1_048_576
_FRAME = 262_144


@dataclass
class _File:
    frame: str
    size: int
    backoff: Backoff
    asked: bool = False
    handle: int | None = None
    sent: int = 0
    stored: int = 0
    window: int = _WINDOW
    part: int = _FRAME
    not_before: float = 0.0
    patience_ends: float = 0.0
    flow: Flow = field(default_factory=Flow)

    def restart(self, stored: int) -> None:
        """Goes on from there; what is on its way may be lost."""
        self.flow.broken()
        self.sent = self.stored = stored


class Uploads:
    """Each file is announced, sent from where the server says, and announced anew whenever that is in doubt."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._files: dict[str, _File] = {}
        self._aborted: list[str] = []
        self._aborting: list[str] = []

    def add(self, file_id: str, size: int, frame: str) -> None:
        """Wishes a file stored."""
        self._files.setdefault(file_id, _File(frame, size, Backoff(self._random, 1.0, 30.0)))

    def abort(self, file_id: str) -> None:
        """Wishes a file forgotten."""
        if self._files.pop(file_id, None) is not None:
            self._aborted.append(file_id)

    def next(self, now: float) -> str | Part | None:
        """What to send now."""
        if self._aborted:
            self._aborting.append(self._aborted[0])
            return upload_abort(self._aborted.pop(0))
        for file_id, file in self._files.items():
            if now >= file.not_before and (step := _next_of(file_id, file, now)) is not None:
                return step
        return None

    def hear(self, frame: UploadFrame, room: str, now: float) -> Event | None:
        """Takes what the server says of a file; what that means to the program, if it knows the file."""
        file = self._files.get(frame.file_id)
        if frame.type == "upload_aborted" and self._has_aborted(frame.file_id):
            return None
        if file is None:
            return None
        if frame.type == "upload_ready":
            _begin(file, frame.data)
        if frame.type in ("upload_ready", "upload_progress"):
            _move(file, frame.data, now)
            return UploadMoved(room, frame.file_id, file.stored, file.size)
        del self._files[frame.file_id]
        return UploadEnded(room, frame.file_id, frame.data, "ABORTED" if frame.type == "upload_aborted" else None)

    def refused(self, refusal: Refusal, room: str, now: float) -> UploadEnded | None:
        """The server has a hole, cannot take the file now, or, which is told, does not want it."""
        if refusal.original_type == "upload_abort":
            self._has_aborted(refusal.file_id or "")
            return None
        file_id = refusal.file_id or self._meant_by(refusal)
        file = self._files.get(file_id)
        if file is None:
            return None
        if refusal.offset is not None:
            file.restart(min(refusal.offset, file.size))
        elif refusal.retry:
            self._announce_later(file, now + (refusal.retry_after or 0.5) + file.backoff.delay())
        else:
            del self._files[file_id]
            return UploadEnded(room, file_id, {}, refusal.code, refusal.message)
        return None

    def unsure(self) -> None:
        """What is on its way may not have arrived."""
        self._aborting.clear()
        for file in self._files.values():
            self._announce_later(file, file.not_before)

    def due(self, now: float) -> None:
        """Announces anew what has come to a halt."""
        for file in self._files.values():
            if file.asked and now >= file.patience_ends:
                self._announce_later(file, now + file.backoff.delay())

    @property
    def under_way(self) -> bool:
        """Whether bytes are on their way."""
        return any(file.sent > file.stored for file in self._files.values())

    @property
    def deadline(self) -> float | None:
        """When to look next."""
        times = [file.patience_ends if file.asked else file.not_before for file in self._files.values()]
        return min(times, default=None)

    def _has_aborted(self, file_id: str) -> bool:
        """Whether that answers a wish of this client's. The file may be wished stored again by now."""
        if file_id not in self._aborting:
            return False
        self._aborting.remove(file_id)
        return True

    def _meant_by(self, refusal: Refusal) -> str:
        """An announcement that could not be read: the oldest without an answer, since they are read in their order."""
        if refusal.code != "INVALID_FRAME":
            return ""
        unanswered = (file_id for file_id, file in self._files.items() if file.asked and file.handle is None)
        return next(unanswered, "")

    def _announce_later(self, file: _File, at: float) -> None:
        file.asked, file.handle, file.not_before = False, None, at
        file.restart(file.stored)


def _begin(file: _File, data: dict[str, Any]) -> None:
    file.handle = _whole(data, "handle", 0)
    file.restart(min(_whole(data, "offset", 0), file.size))
    file.window = max(1, _whole(data, "window_bytes", _WINDOW))
    file.part = max(1, _whole(data, "frame_bytes", _FRAME))


def _move(file: _File, data: dict[str, Any], now: float) -> None:
    file.stored = max(file.stored, min(_whole(data, "offset", 0), file.size))
    file.sent = max(file.sent, file.stored)
    file.flow.arrived(file.stored, now)
    file.patience_ends = now + _PATIENCE
    file.backoff.reset()


def _next_of(file_id: str, file: _File, now: float) -> str | Part | None:
    if not file.asked:
        file.asked, file.patience_ends = True, now + _PATIENCE
        return file.frame
    end = min(file.size, file.stored + min(file.window, file.flow.bytes))
    if file.handle is None or file.sent >= end:
        return None
    full = min(file.part, file.flow.bytes)
    length = min(full, end - file.sent)
    if length < full and end < file.size and file.sent > file.stored:
        return None  # small frames count against the rate: wait for the window rather than fill it up
    part = Part(file_id, file.handle, file.sent, length)
    file.sent += length
    file.flow.sent(file.sent, now)
    return part


def _whole(data: dict[str, Any], name: str, default: int) -> int:
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default

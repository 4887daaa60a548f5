"""Where cursors are kept while the program does not run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from .cursors import Cursor

_EPOCH = re.compile(r"[0-9a-f]{16}")


class Storage(Protocol):
    """Keeps the cursor of each room by its name."""

    async def load(self) -> Mapping[str, Cursor]:
        """What was saved last; nothing, if nothing was."""
        ...

    async def save(self, cursors: Mapping[str, Cursor]) -> None:
        """Keeps these cursors, and no others."""
        ...


class FileStorage:
    """Cursors in a JSON file. It is replaced as a whole, so that a crash leaves the old one or the new one.

    The cursors belong to one user and one program: another one needs a file of its own.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    async def load(self) -> Mapping[str, Cursor]:
        """What the file holds; nothing, if there is none, or one that cannot be read as cursors."""
        return await asyncio.to_thread(self._load)

    async def save(self, cursors: Mapping[str, Cursor]) -> None:
        """Replaces the file."""
        await asyncio.to_thread(self._save, dict(cursors))

    def _load(self) -> dict[str, Cursor]:
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        if not isinstance(stored, dict):
            return {}
        found = {room: _cursor(value) for room, value in stored.items()}
        return {room: cursor for room, cursor in found.items() if cursor is not None}

    def _save(self, cursors: dict[str, Cursor]) -> None:
        text = json.dumps({room: {"epoch": cursor.epoch, "seq": cursor.seq} for room, cursor in cursors.items()})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise


def _cursor(value: Any) -> Cursor | None:
    if not isinstance(value, dict):
        return None
    epoch, seq = value.get("epoch"), value.get("seq")
    if not isinstance(epoch, str) or not _EPOCH.fullmatch(epoch):
        return None
    if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq < 2**53:
        return None
    return Cursor(epoch, seq)

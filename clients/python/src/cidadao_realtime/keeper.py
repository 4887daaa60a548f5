"""Saves cursors, one saving after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from .callbacks import call
from .cursors import Cursor
from .storage import Storage

_log = logging.getLogger("cidadao_realtime")


class Keeper:
    """Holds what was kept of an earlier life, and keeps what several connections tell."""

    def __init__(self, storage: Storage | None) -> None:
        self._storage = storage
        self._cursors: dict[str, dict[str, Cursor]] = {}
        self._saved: dict[str, Cursor] | None = {}
        self._task: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Finds what was kept."""
        if self._storage is not None:
            loaded: Mapping[str, Cursor] = await call(self._storage.load)
            self._saved = dict(loaded)
            for room, cursor in loaded.items():
                self._cursors.setdefault(_owner(room), {})[room] = cursor

    def cursors(self, owner: str) -> Mapping[str, Cursor]:
        """What a connection may go on from: that of a chat from its room, the general one from all the others."""
        return self._cursors.get(owner, {})

    def keep(self, owner: str, cursors: dict[str, Cursor]) -> None:
        """A connection tells its cursors."""
        self._cursors[owner] = cursors
        if self._storage is not None and self._task is None and self._all() != self._saved:
            self._task = asyncio.create_task(self._save(self._storage))

    async def finish(self) -> None:
        """Waits until everything is saved."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def abandon(self) -> None:
        """Saves nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _save(self, storage: Storage) -> None:
        try:
            while (cursors := self._all()) != self._saved:
                self._saved = cursors
                await call(storage.save, cursors)
        except Exception:
            self._saved = None  # nobody knows: the next to be kept are saved in any case
            _log.exception("the cursors could not be saved")
        finally:
            self._task = None

    def _all(self) -> dict[str, Cursor]:
        return {room: cursor for cursors in self._cursors.values() for room, cursor in cursors.items()}


GENERAL = ""


def _owner(room: str) -> str:
    return room if room.startswith("chat:") else GENERAL

from __future__ import annotations

import asyncio
from typing import Any


def tasks_of_the_client() -> set[asyncio.Task[Any]]:
    """The tasks that run the package under test, or the sockets that it opened."""
    return {task for task in asyncio.all_tasks() if _belongs(task) and not task.done()}


def _belongs(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    file = getattr(code, "co_filename", "")
    return "cidadao_realtime" in file or "websockets" in file

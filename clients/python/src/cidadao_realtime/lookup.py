"""Finds the answer to a question that was asked before, which may have ended before anybody listened here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from .answer import Answer
from .backoff import Backoff
from .callbacks import within
from .errors import RefusedError
from .history import History
from .protocol import Message

Read = Callable[[int], Awaitable[History]]
"""Reads the log of the session from after a place on."""

_PATIENCE = 60.0

_log = logging.getLogger("cidadao_realtime")


async def look_up(answer: Answer, seq: int, read: Read, backoff: Backoff) -> None:
    """Completes an answer from the log, if its end is there. If it is under way, its pieces come by themselves."""
    for delay in iter(backoff.delay, None):
        if answer.is_over or await _try(answer, seq, read):
            return
        await asyncio.sleep(delay)


async def _try(answer: Answer, seq: int, read: Read) -> bool:
    """Whether nothing more is to be found out."""
    try:
        await within(_PATIENCE, _look(answer, seq, read))
    except Exception as error:
        if isinstance(error, RefusedError) and _is_final(error):
            answer.fail(error)
            return True
        # The exception may quote a token, so only its kind is told.
        _log.warning("the answer to %s is not found yet: %s", answer.id, type(error).__name__)
        return False
    return True


async def _look(answer: Answer, seq: int, read: Read) -> None:
    history = await read(seq)
    is_whole = history.first <= seq + 1 and history.newest.seq >= seq
    while (end := _end(answer, history)) is None and history.more and history.messages:
        history = await read(history.messages[-1].seq or 0)
    if end is not None:
        answer.take(end)
    elif not is_whole:
        answer.lost()


def _end(answer: Answer, history: History) -> Message | None:
    return next((message for message in history.messages if _is_end(answer, message)), None)


def _is_end(answer: Answer, message: Message) -> bool:
    data = message.data
    return message.type == "chat_complete" and isinstance(data, dict) and data.get("reply_to") == answer.id


def _is_final(error: RefusedError) -> bool:
    """Whether the server itself said no, and for good: another token, or another page of a proxy, may do."""
    return not error.retry and error.code != "INVALID_TOKEN" and not error.code.startswith("HTTP_")

"""Calls what belongs to the program: its callbacks, its source of tokens, its storage."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .errors import InterruptedCallError

_Result = TypeVar("_Result")


async def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function, plain or async, for its result.

    A CancelledError that comes out of it, as from a task that somebody else has cancelled, says nothing of whoever
    calls: it is raised as InterruptedCallError. Being cancelled cancels the function too.
    """
    try:
        result = function(*arguments)
    except asyncio.CancelledError as error:
        raise InterruptedCallError("a callback was cancelled") from error
    if inspect.isawaitable(result):
        return await _alone(asyncio.ensure_future(result))
    return result


async def within(timeout: float, work: Coroutine[Any, Any, _Result]) -> _Result:
    """Awaits work for so long. Unlike `wait_for` before Python 3.12, it does not forget that it was cancelled."""
    return await _alone(asyncio.create_task(work), timeout)


async def _alone(work: asyncio.Future[_Result], timeout: float | None = None) -> _Result:
    """`wait` raises only what is meant for this task, so that the two cancellations are told apart."""
    try:
        done, _ = await asyncio.wait([work], timeout=timeout)
    except asyncio.CancelledError:
        await _cancel(work)
        raise
    if not done:
        await _cancel(work)
        raise asyncio.TimeoutError
    if work.cancelled():
        raise InterruptedCallError("a callback was cancelled")
    return work.result()


async def _cancel(work: asyncio.Future[Any]) -> None:
    work.cancel()
    await asyncio.wait([work])
    if not work.cancelled():
        work.exception()  # nobody waits for it any more

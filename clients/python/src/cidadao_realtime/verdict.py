"""What the end of a connection means: stay away, bring another token, or come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .protocol import Refusal
from .steps import Closed

_TOKEN_CODES = ("INVALID_TOKEN", "TOKEN_EXPIRED")
_REFUSED = 1008
_TOKEN_ENDED = 4001
_ENDED_FOR_GOOD = 4003


@dataclass(frozen=True)
class Verdict:
    """What to do, and why. ``after`` is what the server asked to be waited for at least."""

    kind: Literal["stop", "token", "back"]
    code: str
    message: str = ""
    after: float = 0.0


def judge(closed: Closed, last: Refusal | None) -> Verdict:
    """What to do after a connection has closed. ``last`` is the last that the server refused."""
    refusal = closed.refusal or _explanation(closed, last)
    code = closed.reason if refusal is None else refusal.code
    message = "" if refusal is None else refusal.message
    if closed.code == _ENDED_FOR_GOOD:
        return Verdict("stop", code or "DISCONNECTED", message)
    if closed.code == _TOKEN_ENDED:
        return Verdict("token", code or "TOKEN_EXPIRED", message)
    if refusal is None or (closed.code != _REFUSED and closed.refusal is None):
        return Verdict("back", code, message)
    if code in _TOKEN_CODES:
        return Verdict("token", code, message)
    return Verdict("back" if refusal.retry else "stop", code, message, refusal.retry_after or 0.0)


def _explanation(closed: Closed, last: Refusal | None) -> Refusal | None:
    """The refusal that the close came of: it has its reason, or, without one, it was of no frame."""
    if last is None:
        return None
    explains = last.code == closed.reason if closed.reason else last.original_type is None
    return last if explains else None

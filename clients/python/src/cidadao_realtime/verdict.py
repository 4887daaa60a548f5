"""What the end of a connection means: stay away, bring another token, or come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .protocol import Refusal
from .steps import Closed

TOKEN_CODES = frozenset({"INVALID_TOKEN", "TOKEN_EXPIRED"})
RETRY_CODES = frozenset(
    {
        "AGENT_FAILED",
        "AGENT_TIMEOUT",
        "AGENT_UNAVAILABLE",
        "INTERNAL",
        "RATE_LIMIT",
        "ROOM_FULL",
        "TIMEOUT",
        "TOO_MANY_CONNECTIONS",
        "TOO_MANY_QUESTIONS",
        "UNAVAILABLE",
    }
)
FINAL_CODES = frozenset(
    {
        "BARRED",
        "BINARY_NOT_SUPPORTED",
        "DISCONNECTED",
        "FORBIDDEN",
        "INVALID_CURSOR",
        "INVALID_FRAME",
        "INVALID_ID",
        "INVALID_JSON",
        "INVALID_MESSAGE",
        "METHOD_NOT_ALLOWED",
        "NOT_FOUND",
        "ORIGIN_NOT_ALLOWED",
        "SESSION_DELETED",
        "TOO_LARGE",
        "TOO_MANY_SUBSCRIPTIONS",
        "UNKNOWN_TYPE",
        "UPGRADE_REQUIRED",
    }
)

_REFUSED = 1008
_TOKEN_ENDED = 4001
_ENDED_BY_SERVICE = 4003


@dataclass(frozen=True)
class Verdict:
    """What to do, and why. ``after`` is what the server asked to be waited for at least."""

    kind: Literal["stop", "token", "back"]
    code: str
    message: str = ""
    after: float = 0.0


def judge(closed: Closed, last: Refusal | None) -> Verdict:
    """What to do after a connection has closed. ``last`` is the last that the server said of the connection."""
    code = closed.refusal or _code(closed, last)
    message = last.message if last is not None and last.code == code else ""
    if closed.code == _ENDED_BY_SERVICE:
        return Verdict("stop", code or "DISCONNECTED", message)
    if closed.code == _TOKEN_ENDED:
        return Verdict("token", code or "TOKEN_EXPIRED", message)
    if closed.code != _REFUSED and closed.refusal is None:
        return Verdict("back", code, message)
    return _judge_refusal(code, message, last)


def _judge_refusal(code: str, message: str, last: Refusal | None) -> Verdict:
    if code in TOKEN_CODES:
        return Verdict("token", code, message)
    if code in FINAL_CODES:
        return Verdict("stop", code, message)
    known = last if last is not None and last.code == code else None
    if known is not None and code not in RETRY_CODES and not known.retry:
        return Verdict("stop", code, message)
    return Verdict("back", code, message, (known.retry_after or 0.0) if known is not None else 0.0)


def _code(closed: Closed, last: Refusal | None) -> str:
    if closed.reason:
        return closed.reason
    return last.code if last is not None else ""

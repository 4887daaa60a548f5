"""What can go wrong, by what the caller does next. The ``code`` of an error is one of the server's table of codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .publishing import Published


class RealtimeError(Exception):
    """Any failure of this package."""


class InvalidIdError(RealtimeError, ValueError):
    """An id that no room can have."""

    code = "INVALID_ID"


class ClosedError(RealtimeError):
    """The client was closed while somebody waited for it."""


class UnreachableError(RealtimeError, ConnectionError):
    """The server was not reached in the time that was given."""


class RefusedError(RealtimeError):
    """The server refused, and the same again would be refused again.

    Attributes:
        code: for the program, such as ``FORBIDDEN``.
        retry: whether the same can succeed later.
    """

    def __init__(self, code: str, message: str = "", *, retry: bool = False) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.retry = retry


class InterruptedCallError(RealtimeError):
    """What the program gave to be called was cancelled by somebody else while it ran."""


class InvalidMessageError(RealtimeError, ValueError):
    """What cannot be said in a chat. Nothing was sent.

    Attributes:
        code: ``INVALID_FRAME`` for a blank text, ``ID_TAKEN`` for another text under the id of one that is under way.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class OutboxFullError(RealtimeError):
    """There is no place for a frame in the outbox: too much waits there, or it is too large by itself."""


class DroppedError(RealtimeError):
    """The frame was dropped from the outbox, unsent, to make place for a newer one."""


class AnswerError(RealtimeError):
    """An agent's answer ended before it was complete.

    Attributes:
        code: ``AGENT_FAILED``, ``AGENT_TIMEOUT``, ``AGENT_UNAVAILABLE``, ``INTERRUPTED`` or ``LOST``.
        content: the text up to there.
    """

    def __init__(self, code: str, message: str, content: str) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.content = content


class PublishError(RealtimeError):
    """Messages could not be published.

    Attributes:
        code: the server's code, or ``UNREACHABLE``.
        status: the HTTP status, if there was an answer.
        retry: whether the same can succeed later. Publish the same messages again, under the same ids.
        published: what had been published of the same call.
    """

    def __init__(self, code: str, message: str, *, status: int | None = None, retry: bool = False) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.retry = retry
        self.published: list[Published] = []


class NotConfiguredError(RealtimeError):
    """The helpers do not know where to publish, or with what token."""

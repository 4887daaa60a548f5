"""An agent's answer as it grows: pieces and snapshots in, text out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from .protocol import Message

Status = Literal["waiting", "streaming", "completed", "cancelled", "failed", "interrupted"]

_FINAL: tuple[Status, ...] = ("completed", "cancelled", "failed", "interrupted")


@dataclass(frozen=True)
class Piece:
    """What an answer has grown by. ``str(piece)`` is its text, so that it can be printed as it is.

    Attributes:
        text: to be appended to what came before; with ``replaced``, to stand in its place.
        replaced: what came before was not the beginning of the answer after all.
    """

    text: str
    replaced: bool = False

    def __str__(self) -> str:
        return self.text


@dataclass
class Transcript:
    """The text so far, and what became of the answer.

    Attributes:
        text: all of it so far.
        status: ``waiting`` until something comes of it.
        message_id: the server's id of the answer.
        agent_id: which agent answers.
        agent_name: its name.
        stage: what the agent does before it writes, such as ``thinking``.
        data: what came with the end, such as ``suggested_actions``.
        error: the code and the sentence of a failure.
    """

    text: str = ""
    status: Status = "waiting"
    message_id: str | None = None
    agent_id: str | None = None
    agent_name: str | None = None
    stage: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    error: tuple[str, str] | None = None
    _had: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self.status in _FINAL

    def reconnected(self) -> None:
        """On a new connection the server appends to what it sent there, which is nothing yet."""
        self._had = ""

    def take(self, message: Message) -> None:
        """Takes a message that belongs to the answer."""
        data = message.data if isinstance(message.data, dict) else {}
        if self.is_over:
            return
        self._note(data)
        if message.type == "chat_complete":
            self._complete(data)
        elif message.type == "chat":
            self._grow(_string(data, "content") or "", snapshot=data.get("snapshot") is True)
        elif message.type == "typing":
            self.stage = _string(data, "stage") or self.stage

    def fail(self, code: str, message: str) -> None:
        """Ends it from this side."""
        if not self.is_over:
            self.status, self.error = "interrupted", (code, message)

    def _note(self, data: dict[str, Any]) -> None:
        self.message_id = _string(data, "message_id") or self.message_id
        self.agent_id = _string(data, "agent_id") or self.agent_id
        self.agent_name = _string(data, "agent_name") or self.agent_name

    def _grow(self, content: str, *, snapshot: bool) -> None:
        self._had = content if snapshot else self._had + content
        self.text, self.status = self._had, "streaming"

    def _complete(self, data: dict[str, Any]) -> None:
        self.text = _string(data, "content") or ""
        status = data.get("status")
        self.status = next((final for final in _FINAL if final == status), "completed")
        error = data.get("error")
        if isinstance(error, dict):
            self.error = (_string(error, "code") or "AGENT_FAILED", _string(error, "message") or "")
        elif self.status in ("failed", "interrupted"):
            self.error = ("AGENT_FAILED" if self.status == "failed" else "INTERRUPTED", "the answer is not complete")
        self.data = data


def difference(shown: str, text: str) -> Piece | None:
    """What brings a reader who was shown one text to another."""
    if text == shown:
        return None
    if text.startswith(shown):
        return Piece(text[len(shown) :])
    return Piece(text, replaced=True)


def _string(data: dict[str, Any], name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) else None

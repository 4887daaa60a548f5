"""What can be set on a client. Durations are seconds, sizes bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .rooms import check_id

OnFull = Literal["raise", "drop_oldest", "drop_newest"]


@dataclass(frozen=True)
class Options:
    """Settings of a client.

    Attributes:
        acks: confirm what the program is done with. The server then holds back what a slow program cannot take, and
            tells publishers that a message was confirmed. A message is done with when its callbacks have returned, and
            when the loop that got it asks for the next one.
        ack_every: confirm after so many messages at the latest.
        ack_interval: confirm after so long at the latest. Cursors are saved at the same time.
        device: which of the user's devices this is. Each is owed every message once.
        presence: ask who is there; `PresenceChanged` tells.
        ping_interval: how often the server is asked whether it is there.
        ping_timeout: how long after that a silent connection counts as dead.
        welcome_timeout: how long a connection may take to be welcomed.
        first_delay: the bound of the first wait before coming back, if the server names none.
        max_delay: the bound of the later waits, which double.
        stable_after: how long a connection must last for the waits to begin anew.
        token_attempts: how many tokens in a row the server may refuse.
        outbox_messages: how many frames may wait for the server.
        outbox_bytes: how large they may be together.
        on_full: what happens to one more. `raise`: OutboxFullError. `drop_oldest`: the oldest that was not sent yet
            makes place. `drop_newest`: it is dropped itself. What was dropped fails with DroppedError, and `Dropped`
            tells.
        buffer: how many messages wait for a loop or for callbacks. If there are more, the oldest go, and `Lost` tells.
    """

    acks: bool = False
    ack_every: int = 100
    ack_interval: float = 1.0
    device: str | None = None
    presence: bool = False
    ping_interval: float = 25.0
    ping_timeout: float = 10.0
    welcome_timeout: float = 10.0
    first_delay: float = 1.0
    max_delay: float = 60.0
    stable_after: float = 10.0
    token_attempts: int = 3
    outbox_messages: int = 1_000
    outbox_bytes: int = 1_048_576
    on_full: OnFull = "raise"
    buffer: int = 10_000

    def __post_init__(self) -> None:
        if self.device is not None:
            check_id(self.device)
        if self.on_full not in ("raise", "drop_oldest", "drop_newest"):
            raise ValueError(f"on_full is raise, drop_oldest or drop_newest, not {self.on_full!r}")
        for name in ("ack_every", "token_attempts", "outbox_messages", "outbox_bytes", "buffer"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1")
        for name in ("ping_interval", "ping_timeout", "welcome_timeout", "first_delay", "max_delay"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is more than 0")

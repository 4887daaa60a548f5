"""Whether the server is still there."""

from __future__ import annotations

from typing import Literal

_UPLOAD_PATIENCE = 3.0


class Liveness:
    """When to ask with a ping, and when a connection that stays silent counts as dead."""

    def __init__(self, interval: float, timeout: float) -> None:
        self._interval = interval
        self._timeout = timeout
        self._ping_at: float | None = None
        self._dead_at: float | None = None
        self._is_busy = False

    def start(self, now: float) -> None:
        """A connection is welcomed."""
        self._ping_at = now + self._interval
        self.heard()

    def stop(self) -> None:
        """There is no connection."""
        self._ping_at = self._dead_at = None

    def heard(self) -> None:
        """Any frame proves that the server is there."""
        self._dead_at, self._is_busy = None, False

    def busy(self) -> None:
        """Bytes of a file are on their way, until something comes back."""
        self._is_busy = True

    def due(self, now: float, *, uploading: bool) -> Literal["ping", "dead"] | None:
        """What is to be done now. A ping waits behind the bytes of an upload, so then patience is longer."""
        if self._dead_at is not None and now >= self._dead_at:
            return "dead"
        if self._ping_at is None or now < self._ping_at:
            return None
        self._ping_at = now + self._interval
        if self._dead_at is None:
            self._dead_at = now + self._timeout * (_UPLOAD_PATIENCE if uploading or self._is_busy else 1.0)
        return "ping"

    @property
    def deadline(self) -> float | None:
        """When to look next."""
        return min((at for at in (self._ping_at, self._dead_at) if at is not None), default=None)

"""How fast a client may send, so that the server has no frame to refuse."""

from __future__ import annotations

_RATE = 18.0
_BURST = 150.0


class Pace:
    """A bucket of frames, a little smaller than the server's (20 a second, 200 at once)."""

    def __init__(self) -> None:
        self._level = _BURST
        self._at = 0.0
        self._paused_until = 0.0

    def start(self, now: float) -> None:
        """A new connection has a full bucket."""
        self._level, self._at, self._paused_until = _BURST, now, now

    def pause(self, now: float, seconds: float) -> None:
        """The server said that it was too fast."""
        self._level, self._at = 1.0, now + seconds
        self._paused_until = now + seconds

    def spend(self, now: float) -> None:
        """A frame was sent. What is sent without asking may leave a debt."""
        self._fill(now)
        self._level -= 1

    def allows(self, now: float) -> bool:
        """Whether a frame may be sent now."""
        self._fill(now)
        return now >= self._paused_until and self._level >= 1

    @property
    def ready_at(self) -> float:
        """When the next frame may be sent."""
        # A hair late rather than early: sums of floats must not wake anybody for nothing.
        return max(self._paused_until, self._at + max(0.0, 1 - self._level) / _RATE + 1e-6)

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._level = min(_BURST, self._level + (now - self._at) * _RATE)
            self._at = now

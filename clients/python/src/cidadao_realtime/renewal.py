"""Another token for a connection that is open."""

from __future__ import annotations

_PATIENCE = 5.0
_ATTEMPTS = 4


class Renewal:
    """When to look for a token because that of the connection ends soon. After some failures it is left to end."""

    def __init__(self) -> None:
        self._attempts = 0
        self._again_at: float | None = None

    def begin(self) -> bool:
        """The token ends soon; False if a renewal is under way."""
        if self._again_at is not None or self._attempts:
            return False
        self._attempts = 1
        return True

    def failed(self, now: float) -> None:
        """There was no token, or the server did not take it: try again in a moment."""
        self._again_at = now + _PATIENCE if 0 < self._attempts < _ATTEMPTS else None

    def done(self) -> None:
        """The connection has another token, or is gone."""
        self._attempts, self._again_at = 0, None

    def due(self, now: float) -> bool:
        """Whether to ask for a token again now."""
        if self._again_at is None or now < self._again_at:
            return False
        self._attempts, self._again_at = self._attempts + 1, None
        return True

    @property
    def deadline(self) -> float | None:
        """When to look next."""
        return self._again_at

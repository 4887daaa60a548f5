"""How much of a file may be on its way at once.

All else that is said waits behind it, and what is on its way when a connection breaks is lost: so it is as much as
arrives in a second or a few.
"""

from __future__ import annotations

from collections import deque

_BEGIN = 32_768  # the server counts smaller pieces against a rate
_MIN = 4_096
_MAX = 1_048_576
_BRISK = 1.0
_SLOW = 3.0


class Flow:
    """Doubles if what was sent arrives within a second, halves if it takes longer than three, or if it is lost."""

    def __init__(self) -> None:
        self.bytes = _BEGIN
        self._under_way: deque[tuple[int, float]] = deque()

    def sent(self, end: int, now: float) -> None:
        """A piece was sent that ends there."""
        self._under_way.append((end, now))

    def arrived(self, offset: int, now: float) -> None:
        """Everything up to there has arrived."""
        since = None
        while self._under_way and self._under_way[0][0] <= offset:
            _, since = self._under_way.popleft()
        if since is None:
            return
        if now - since <= _BRISK:
            self.bytes = min(_MAX, self.bytes * 2)
        elif now - since > _SLOW:
            self.bytes = max(_MIN, self.bytes // 2)

    def broken(self) -> None:
        """What is on its way may be lost."""
        if self._under_way:
            self.bytes = max(_MIN, min(_BEGIN, self.bytes // 2))
        self._under_way.clear()

"""How long to wait before trying again."""

from __future__ import annotations

from collections.abc import Callable

Random = Callable[[], float]


class Backoff:
    """Full jitter: a random time up to a bound that doubles with each failure, up to a cap.

    ``random`` gives numbers from 0 to 1. The bound is capped before it is multiplied, so that who waits longest is
    spread over all of the cap.
    """

    def __init__(self, random: Random, base: float, cap: float) -> None:
        self._random = random
        self._cap = cap
        self.base = base
        self.failures = 0

    def delay(self) -> float:
        """The next wait."""
        bound = min(self._cap, self.base * 2.0 ** min(self.failures, 64))
        self.failures += 1
        return self._random() * bound

    def reset(self) -> None:
        """Begins anew."""
        self.failures = 0

    def spread_over(self, base: float) -> None:
        """Takes the server's word for the first bound; at least a tenth of a second, lest it never grows."""
        self.base = max(base, 0.1)

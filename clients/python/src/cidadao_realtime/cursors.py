"""How far a room has been heard: what makes it possible to come back and miss nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_AHEAD = 1_000


@dataclass(frozen=True)
class Cursor:
    """Who holds it has everything of a room's log, of that ``epoch``, up to ``seq``."""

    epoch: str
    seq: int


@dataclass
class Progress:
    """Everything up to ``seq``, and what came ahead of its order."""

    seq: int
    ahead: set[int] = field(default_factory=set)

    def take(self, seq: int) -> bool:
        """Notes a message; False if it was had before."""
        if seq <= self.seq or seq in self.ahead:
            return False
        self.ahead.add(seq)
        self._close_up()
        return True

    def skip_hole(self) -> None:
        """Gives up on what is missing before the earliest that came ahead."""
        if self.ahead:
            self.seq = min(self.ahead) - 1
            self._close_up()

    def _close_up(self) -> None:
        while self.seq + 1 in self.ahead:
            self.seq += 1
            self.ahead.remove(self.seq)


class Place:
    """A room that is heard: what came, what the program is done with, and what it has confirmed."""

    def __init__(self, epoch: str | None, seq: int) -> None:
        self.epoch = epoch
        self.received = Progress(seq)
        self.handled = Progress(seq)
        self.acked = seq
        self.hole_since: float | None = None
        self.resyncs = 0

    def take(self, seq: int, now: float) -> bool:
        """Notes a message that came; False if it came before."""
        fresh = self.received.take(seq)
        if self.epoch is None:
            self.received.skip_hole()  # a room without a cursor is sent in order, and has no hole to ask for
        if not self.received.ahead:
            self.hole_since, self.resyncs = None, 0
        elif self.hole_since is None:
            self.hole_since = now
        return fresh

    def handle(self, seq: int) -> bool:
        """Notes that the program is done with a message; True if the place that may be kept has moved."""
        before = self.handled.seq
        self.handled.take(seq)
        if self.epoch is None:
            self.handled.skip_hole()
        return self.handled.seq > before

    def give_up(self) -> None:
        """Goes on behind the hole: nobody can fill it any more."""
        hole = range(self.received.seq + 1, min(self.received.ahead, default=self.received.seq + 1))
        self.received.skip_hole()
        for seq in hole[:MAX_AHEAD]:
            self.handled.take(seq)
        if len(hole) > MAX_AHEAD:
            self.handled = Progress(self.received.seq)
        self.hole_since, self.resyncs = None, 0

    @property
    def cursor(self) -> Cursor | None:
        """Where to go on after a broken connection."""
        return None if self.epoch is None else Cursor(self.epoch, self.received.seq)

    @property
    def kept(self) -> Cursor | None:
        """Where to go on after the program itself was started anew."""
        return None if self.epoch is None else Cursor(self.epoch, self.handled.seq)

"""How much of a file is on its way at once: no more than the line carries."""

from __future__ import annotations

import json
from collections import deque

import pytest

from cidadao_realtime import steps
from cidadao_realtime.events import Disconnected, UploadEnded
from cidadao_realtime.flow import Flow
from cidadao_realtime.protocol import encode

from .support.driver import Driver, parts

CHAT = "chat:s1"


class Line:
    """A server behind a line that carries so many bytes a second, one after the other."""

    def __init__(self, rate: float, size: int) -> None:
        self.driver = Driver(CHAT).live(CHAT)
        self.most = 0
        self._rate, self._size, self._stored = rate, size, 0
        self._free_at = self.driver.now
        self._on_its_way: deque[tuple[float, steps.Transmit | steps.TransmitPart]] = deque()

    def run(self, until: float) -> None:
        """Lets the time pass until nothing is on its way, or it is so late."""
        frame = encode("upload", {"name": "a.pdf", "size": self._size}, "f")
        self._enter(self.driver.feed(steps.Upload("f", self._size, frame)))
        while self.driver.now < until and not self.driver.events(UploadEnded):
            arrival = self._on_its_way[0][0] if self._on_its_way else until
            deadline = self.driver.machine.deadline
            if deadline is not None and deadline < arrival:
                self.driver.now = deadline
                self._enter(self.driver.feed(steps.Woken()))
            else:
                self.driver.now = arrival
                self._arrive()

    def _enter(self, effects: list[steps.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, (steps.Transmit, steps.TransmitPart)):
                size = len(effect.text) if isinstance(effect, steps.Transmit) else effect.part.length
                self._free_at = max(self._free_at, self.driver.now) + size / self._rate
                self._on_its_way.append((self._free_at, effect))
        under_way = [effect.part.length for _, effect in self._on_its_way if isinstance(effect, steps.TransmitPart)]
        self.most = max(self.most, sum(under_way))

    def _arrive(self) -> None:
        if not self._on_its_way:
            return
        _, effect = self._on_its_way.popleft()
        if isinstance(effect, steps.TransmitPart):
            assert effect.part.offset <= self._stored
            self._stored = max(self._stored, effect.part.offset + effect.part.length)
            self._tell("upload_complete" if self._stored == self._size else "upload_progress")
        elif json.loads(effect.text)["type"] == "upload":
            self._tell("upload_ready")
        else:
            self._enter(self.driver.receive("pong"))

    def _tell(self, kind: str) -> None:
        more = {"handle": 1, "window_bytes": 1_048_576, "frame_bytes": 262_144}
        self._enter(self.driver.receive(kind, {"file_id": "f", "offset": self._stored, "size": self._size, **more}))


@pytest.mark.parametrize(("rate", "size"), [(700, 70_000), (1_000, 60_000), (6_000, 600_000), (50_000, 5_000_000)])
def test_a_file_arrives_over_a_slow_line_and_hardly_a_byte_goes_twice(rate: int, size: int) -> None:
    line = Line(rate, size)
    line.run(until=line.driver.now + 1.5 * size / rate)
    assert [event.code for event in line.driver.events(UploadEnded)] == [None]
    assert line.driver.events(Disconnected) == []
    assert sum(length for _, length in parts(line.driver.effects)) <= 1.2 * size


def test_a_fast_line_is_filled_up_to_the_window() -> None:
    line = Line(100_000_000, 20_000_000)
    line.run(until=line.driver.now + 10)
    assert line.driver.events(UploadEnded) != []
    assert line.most == 1_048_576


def test_what_is_on_its_way_doubles_when_it_is_brisk_and_halves_when_it_is_slow_or_lost() -> None:
    flow = Flow()
    seen = []
    for seconds in (1.0, 1.1, 3.0, 3.1, 0.0, 0.0):
        flow.sent(1, 10.0)
        flow.arrived(1, 10.0 + seconds)
        seen.append(flow.bytes)
    assert seen == [65_536, 65_536, 65_536, 32_768, 65_536, 131_072]
    flow.broken()
    assert flow.bytes == 131_072
    for _ in range(5):
        flow.sent(1, 0.0)
        flow.broken()
        seen.append(flow.bytes)
    assert seen[6:] == [32_768, 16_384, 8_192, 4_096, 4_096]


def test_what_arrived_is_timed_by_its_last_piece() -> None:
    flow = Flow()
    flow.sent(100, 0.0)
    flow.sent(200, 5.0)
    flow.sent(300, 5.0)
    flow.arrived(250, 6.0)
    assert flow.bytes == 65_536
    flow.arrived(250, 20.0)
    assert flow.bytes == 65_536
    flow.arrived(300, 20.0)
    assert flow.bytes == 32_768

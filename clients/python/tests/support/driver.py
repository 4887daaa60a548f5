"""Drives a machine through time, without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from cidadao_realtime import Cursor, Event, Message, Options, steps
from cidadao_realtime.machine import Machine

EPOCH = "5f0c3a9be1d27748"
OTHER_EPOCH = "00c2f7716ab90e35"
TOKEN = "e30.eyJzdWIiOiJhbmEifQ.c2ln"  # of the user ana

_Event = TypeVar("_Event", bound=Event)


class Driver:
    """A machine, the time, and all that it asked for."""

    def __init__(
        self,
        room: str | None = None,
        *,
        random: float = 0.5,
        renewable: bool = True,
        cursors: Mapping[str, Cursor] | None = None,
        **options: Any,
    ) -> None:
        self.now = 1000.0
        self.machine = Machine(room, Options(**options), lambda: random, renewable=renewable, cursors=cursors)
        self.effects: list[steps.Effect] = []

    def feed(self, *inputs: steps.Input) -> list[steps.Effect]:
        """Feeds inputs; gives what came of them."""
        new = [effect for step in inputs for effect in self.machine.step(step, self.now)]
        self.effects += new
        return new

    def receive(self, kind: str, data: Any = None, **more: Any) -> list[steps.Effect]:
        return self.feed(steps.Received(json.dumps({"type": kind, "data": {} if data is None else data, **more})))

    def error(self, code: str, **more: Any) -> list[steps.Effect]:
        return self.receive("error", {"code": code, "message": "a sentence", "retry": False, **more})

    def publish(self, *seqs: int, room: str = "user:ana", kind: str = "news") -> list[int | None]:
        """Messages come; the places of those that the program got."""
        new = [effect for seq in seqs for effect in self.receive(kind, {"n": seq}, room=room, seq=seq, id=f"m{seq}")]
        return [message.seq for message in delivered(new)]

    def pass_time(self, seconds: float) -> list[steps.Effect]:
        """Wakes the machine whenever it wishes, for so long."""
        until, new = self.now + seconds, []
        while (deadline := self.machine.deadline) is not None and deadline <= until:
            assert deadline > self.now, "a deadline that has passed would wake for ever"
            self.now = deadline
            new += self.feed(steps.Woken())
        self.now = until
        return new

    def open(self, token: str = TOKEN) -> steps.Open:
        """Gives the token that was asked for; what is opened with it."""
        opened = [effect for effect in self.feed(steps.TokenGiven(token)) if isinstance(effect, steps.Open)]
        self.feed(steps.Opened())
        return opened[0]

    def welcome(self, room: str = "user:ana", seq: int = 0, **more: Any) -> list[steps.Effect]:
        data = {"room": room, "epoch": EPOCH, "seq": seq, "reconnect_within_ms": 1000, **more}
        return self.receive("connection", data)

    def live(self, room: str = "user:ana", seq: int = 0, **more: Any) -> Driver:
        """Starts, and is welcomed."""
        self.feed(steps.Start())
        self.open()
        self.welcome(room, seq, **more)
        return self

    def come_back(self, room: str = "user:ana", seq: int = 0, **more: Any) -> steps.Open:
        """The connection breaks, and another one is welcomed."""
        self.feed(steps.Closed())
        self.pass_time(60)
        opened = self.open()
        self.welcome(room, seq, **more)
        return opened

    def subscribed(self, room: str, seq: int = 0, **more: Any) -> list[steps.Effect]:
        return self.receive("subscribed", {"room": room, "epoch": EPOCH, "seq": seq, **more})

    @property
    def sent(self) -> list[dict[str, Any]]:
        """All frames that were sent so far."""
        return frames(self.effects)

    def events(self, kind: type[_Event]) -> list[_Event]:
        """All events of a kind so far."""
        return events(self.effects, kind)

    def failure(self) -> steps.Fail:
        (failure,) = (effect for effect in self.effects if isinstance(effect, steps.Fail))
        return failure


def frames(effects: list[steps.Effect], kind: str | None = None) -> list[dict[str, Any]]:
    found = [json.loads(effect.text) for effect in effects if isinstance(effect, steps.Transmit)]
    return [frame for frame in found if kind is None or frame["type"] == kind]


def parts(effects: list[steps.Effect]) -> list[tuple[int, int]]:
    return [(effect.part.offset, effect.part.length) for effect in effects if isinstance(effect, steps.TransmitPart)]


def events(effects: list[steps.Effect], kind: type[_Event]) -> list[_Event]:
    return [effect.event for effect in effects if isinstance(effect, steps.Emit) and isinstance(effect.event, kind)]


def delivered(effects: list[steps.Effect]) -> list[Message]:
    return [effect.message for effect in effects if isinstance(effect, steps.Deliver)]

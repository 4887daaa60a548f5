"""One connection to one room, as a state machine: it says what is to be done, and does nothing.

`Machine.step` takes an input and the time, and gives effects, to be carried out in their order. `Machine.deadline` is
when to step with ``Woken`` next. It reads no clock and draws no randomness; it may be dropped at any moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from . import events, steps
from .address import address
from .backoff import Backoff, Random
from .cursors import Cursor
from .liveness import Liveness
from .options import Options
from .pace import Pace
from .places import Places
from .protocol import (
    PING,
    Acknowledged,
    FrameError,
    Message,
    Part,
    PresenceFrame,
    Refreshed,
    Refusal,
    ServerFrame,
    Subscribed,
    TokenExpiring,
    Unsubscribed,
    UploadFrame,
    Welcome,
    ack,
    decode,
    refresh,
)
from .renewal import Renewal
from .rooms import SYSTEM
from .roster import Roster
from .tokens import subject
from .verdict import Verdict, judge
from .wishes import Wishes

State = Literal["idle", "token", "opening", "live", "waiting", "closed"]


class Machine:
    """A connection to ``room``; None is the general connection of the token's user.

    ``random`` gives numbers from 0 to 1. ``renewable``: asking for a token again may give another one. ``cursors`` are
    those of an earlier life of the program.
    """

    def __init__(
        self,
        room: str | None,
        options: Options,
        random: Random,
        *,
        renewable: bool = True,
        cursors: Mapping[str, Cursor] | None = None,
    ) -> None:
        self.state: State = "idle"
        self.room = room
        self._general = room is None
        self._options = options
        self._renewable = renewable
        self._out: list[steps.Effect] = []
        self._token = ""
        self._token_failures = 0
        self._last_refusal: Refusal | None = None
        self._alarm: float | None = None
        self._stable_at: float | None = None
        self._now = 0.0
        self._held_back = False
        self._backoff = Backoff(random, options.first_delay, options.max_delay)
        self._liveness = Liveness(options.ping_interval, options.ping_timeout)
        self._pace = Pace()
        self._places = Places(dict(cursors or {}), options.ack_every, options.ack_interval)
        self._wishes = Wishes(options, random)
        self._renewal = Renewal()
        self._rosters: dict[str, Roster] = {}

    def step(self, step: steps.Input, now: float) -> list[steps.Effect]:
        """Takes what happened; gives what is to be done. Raises OutboxFullError for a ``Post`` that has no place."""
        self._now = now
        if self.state != "closed":
            self._take(step, now)
            self._look_at_clock(now)
            self._pump(now)
        effects, self._out = self._out, []
        return effects

    @property
    def deadline(self) -> float | None:
        """When to step with ``Woken``, if nothing happens before."""
        if self.state == "closed":
            return None
        times = [self._alarm, self._places.deadline]
        if self.state == "live":
            times += [self._stable_at, self._liveness.deadline, self._renewal.deadline, self._wishes.deadline]
            times += [self._pace.ready_at] if self._held_back else []
        # What was due at the last step and is still there waits for something else than time.
        return min((at for at in times if at is not None and at > self._now), default=None)

    @property
    def waiting(self) -> int:
        """How many frames wait for the server."""
        return len(self._wishes.outbox)

    def presence(self, room: str) -> Roster:
        """Who is in a room, as far as the server has told."""
        return self._rosters.setdefault(room, Roster())

    def is_heard(self, room: str) -> bool:
        """Whether messages of a room are wished for."""
        return room == self.room or room in self._wishes.subscriptions or (self._general and room == SYSTEM)

    def _take(self, step: steps.Input, now: float) -> None:
        match step:
            case steps.Start():
                self._start()
            case steps.Stop():
                self._stop()
            case steps.TokenGiven(token):
                self._token_given(token, now)
            case steps.TokenFailed():
                self._token_failed(now)
            case steps.Opened():
                self._opened(now)
            case steps.Received(text):
                self._received(text, now)
            case steps.Closed():
                self._closed(step, now)
            case steps.Woken():
                pass
            case _:
                self._command(step, now)

    def _command(self, step: steps.Input, now: float) -> None:
        match step:
            case steps.Subscribe(room):
                self._wishes.subscriptions.add(room)
            case steps.Unsubscribe(room):
                self._wishes.subscriptions.remove(room)
                self._places.forget(room)
            case steps.Post(identifier, frame):
                self._post(identifier, frame)
            case steps.Withdraw(identifier, asks):
                self._withdraw(identifier, asks)
            case steps.Say(frame):
                if self.state == "live" and self._pace.allows(now):
                    self._transmit(frame, now)
            case steps.Show(state):
                self._wishes.show(state)
            case steps.Handled(room, seq):
                self._places.handle(room, seq, now)
            case steps.Upload(file_id, size, frame):
                self._wishes.uploads.add(file_id, size, frame)
            case steps.AbortUpload(file_id):
                self._wishes.uploads.abort(file_id)

    # Coming and going

    def _start(self) -> None:
        if self.state == "idle":
            self._ask_token()

    def _stop(self) -> None:
        self._report(force=True)
        if self.state in ("opening", "live"):
            self._out.append(steps.Drop(1000))
        self.state = "closed"

    def _ask_token(self) -> None:
        self.state, self._alarm = "token", None
        self._out.append(steps.AskToken())

    def _token_given(self, token: str, now: float) -> None:
        if self.state == "token":
            self._open(token, now)
        elif self.state == "live":
            self._renew(token, now)

    def _token_failed(self, now: float) -> None:
        if self.state == "token":
            self._wait(Verdict("back", "NO_TOKEN"), 1006, now)
        elif self.state == "live":
            self._renewal.failed(now)

    def _open(self, token: str, now: float) -> None:
        self.state, self._token, self._last_refusal = "opening", token, None
        self._alarm = now + 2 * self._options.welcome_timeout
        self._out.append(steps.Open(self._path(token), token))

    def _path(self, token: str) -> str:
        own = self.room
        if self._general:
            user = subject(token)
            own = None if user is None else f"user:{user}"
        return address(None if self._general else self.room, self._places.cursor(own), self._options)

    def _opened(self, now: float) -> None:
        if self.state == "opening":
            self._alarm = now + self._options.welcome_timeout

    def _welcomed(self, frame: Welcome, now: float) -> None:
        self.state, self.room, self._alarm = "live", frame.room, None
        self._token_failures = 0
        self._stable_at = now + self._options.stable_after
        self._backoff.spread_over(frame.reconnect_within)
        self._liveness.start(now)
        self._pace.start(now)
        self._wishes.subscriptions.forget_answers()
        complete = self._places.begin(frame.room, frame.cursor, frame.recovered)
        self._emit(events.Connected(frame.room, frame.recovered, frame.connection_id, frame.title))
        if not complete:
            self._emit(events.Lost(frame.room, frame.cursor))
        if frame.presence is not None:
            self._emit(self.presence(frame.room).apply(frame.room, frame.presence))

    def _closed(self, closed: steps.Closed, now: float) -> None:
        if self.state not in ("opening", "live"):
            return
        verdict = judge(closed, self._last_refusal)
        if verdict.kind == "stop" or (verdict.kind == "token" and not self._may_bring_another()):
            self._fail(verdict, closed.code)
        elif verdict.kind == "token" and self._backoff.failures == 0:
            self._backoff.failures = 1
            self._leave(events.Disconnected(self.room or "", closed.code, verdict.code, 0.0))
            self._ask_token()
        else:
            self._wait(verdict, closed.code, now)

    def _may_bring_another(self) -> bool:
        self._token_failures += 1
        return self._renewable and self._token_failures <= self._options.token_attempts

    def _fail(self, verdict: Verdict, close: int) -> None:
        self._leave(events.Disconnected(self.room or "", close, verdict.code))
        self._report(force=True)
        self.state = "closed"
        self._out.append(steps.Fail(verdict.code, verdict.message))

    def _wait(self, verdict: Verdict, close: int, now: float) -> None:
        delay = verdict.after + self._backoff.delay()
        self._leave(events.Disconnected(self.room or "", close, verdict.code, delay))
        self.state, self._alarm = "waiting", now + delay

    def _leave(self, event: events.Disconnected) -> None:
        self._stable_at = None
        self._liveness.stop()
        self._renewal.done()
        self._places.settle()
        self._wishes.unsure()
        self._emit(event)

    # The clock

    def _look_at_clock(self, now: float) -> None:
        if self._alarm is not None and now >= self._alarm:
            self._alarm = None
            self._rang(now)
        if self.state == "live":
            self._look_at_connection(now)
        if self._places.report(now):
            self._report()

    def _rang(self, now: float) -> None:
        if self.state == "waiting":
            self._ask_token()
        elif self.state == "opening":
            self._give_up_connection("no welcome came", now)

    def _look_at_connection(self, now: float) -> None:
        if self._stable_at is not None and now >= self._stable_at:
            self._stable_at = None
            self._backoff.reset()
        if self._renewal.due(now):
            self._out.append(steps.AskToken())
        self._wishes.due(now)
        for room, verdict in self._places.holes(now):
            self._mend(room, verdict, now)
        self._ping(now)

    def _ping(self, now: float) -> None:
        if self.state != "live":
            return
        due = self._liveness.due(now, uploading=self._wishes.uploads.under_way)
        if due == "dead":
            self._give_up_connection("silence", now)
        elif due == "ping":
            self._out.append(steps.Transmit(PING))

    def _mend(self, room: str, verdict: Literal["ask", "lost"], now: float) -> None:
        if verdict == "lost":
            self._emit(events.Lost(room, self._places.cursor(room), "hole"))
        elif room in self._wishes.subscriptions:
            self._wishes.subscriptions.ask_again(room)
        elif self.state == "live":
            self._give_up_connection("a message did not come", now)

    def _give_up_connection(self, reason: str, now: float) -> None:
        self._out.append(steps.Drop())
        self._wait(Verdict("back", reason), 1006, now)

    # What the server says

    def _received(self, text: str, now: float) -> None:
        if self.state not in ("opening", "live"):
            return
        self._liveness.heard()
        try:
            frames = decode(text)
        except FrameError:
            return  # whatever it was, it is not for this version of the client
        for frame in frames:
            self._hear(frame, now)

    def _hear(self, frame: ServerFrame, now: float) -> None:
        if isinstance(frame, Refusal):
            self._refused(frame, now)
        elif isinstance(frame, Welcome) and self.state == "opening":
            self._welcomed(frame, now)
        elif self.state == "live":
            self._hear_live(frame, now)

    def _hear_live(self, frame: ServerFrame, now: float) -> None:
        match frame:
            case Message():
                self._message(frame, now)
            case Subscribed():
                self._subscribed(frame)
            case Unsubscribed(room):
                self._unsubscribed(room)
            case TokenExpiring():
                if self._renewable and self._renewal.begin():
                    self._out.append(steps.AskToken())
            case Refreshed():
                self._renewal.done()
            case Acknowledged():
                self._acknowledged(frame, now)
            case PresenceFrame(room, data):
                self._emit(self.presence(room).apply(room, data))
            case UploadFrame():
                self._upload(frame, now)
            case _:
                pass

    def _message(self, message: Message, now: float) -> None:
        if not self.is_heard(message.room):
            return
        if message.seq is not None and not self._places.take(message.room, message.seq, now):
            return
        if message.room == self.room and message.id in self._wishes.outbox:
            self._sent(Acknowledged(message.id, message.room, message.seq or 0, duplicate=True))
        if message.type == "chat_complete" and isinstance(message.data, dict):
            self._wishes.cancels.ended(str(message.data.get("reply_to")))
        self._out.append(steps.Deliver(message))

    def _subscribed(self, frame: Subscribed) -> None:
        if frame.room in self._wishes.subscriptions:
            self._wishes.subscriptions.answered(frame.room)
        elif not self.is_heard(frame.room):
            self._wishes.subscriptions.answered(frame.room)
            return
        complete = self._places.begin(frame.room, frame.cursor, frame.recovered)
        self._emit(events.Subscribed(frame.room, frame.recovered))
        if not complete:
            self._emit(events.Lost(frame.room, frame.cursor))

    def _unsubscribed(self, room: str) -> None:
        if self._wishes.subscriptions.ended(room):
            self._places.forget(room)
            self._emit(events.Unsubscribed(room, "FORBIDDEN", "the token does not open this room any more"))
        else:
            self._emit(events.Unsubscribed(room))

    def _acknowledged(self, frame: Acknowledged, now: float) -> None:
        # The connection that sent a message is not sent it again, so the acknowledgement stands for it.
        if self._places.take(frame.room, frame.seq, now):
            self._places.handle(frame.room, frame.seq, now)
        self._sent(frame)

    def _sent(self, frame: Acknowledged) -> None:
        if self._wishes.outbox.acknowledged(frame.id):
            self._emit(events.Sent(frame.room, frame.id, frame.seq, frame.duplicate))

    def _upload(self, frame: UploadFrame, now: float) -> None:
        event = self._wishes.uploads.hear(frame, self.room or "", now)
        if event is not None:
            self._emit(event)

    # What the server refuses

    def _refused(self, refusal: Refusal, now: float) -> None:
        self._last_refusal = refusal
        if self.state != "live":
            return
        if refusal.code == "RATE_LIMIT":
            self._pace.pause(now, refusal.retry_after or 1.0)
            self._wishes.unsure()
            self._places.unsure(now)
            self._renewal.failed(now)
        self._refused_frame(refusal, now)

    def _refused_frame(self, refusal: Refusal, now: float) -> None:
        if refusal.original_type == "refresh":
            self._renewal.failed(now)
        elif refusal.code != "RATE_LIMIT":
            event = self._wishes.refused(refusal, self.room or "", now)
            if isinstance(event, events.Unsubscribed):
                self._places.forget(event.room)
            if event is not None:
                self._emit(event)

    # What the program says

    def _post(self, identifier: str, frame: str) -> None:
        for dropped in self._wishes.outbox.add(identifier, frame):
            self._emit(events.Dropped(self.room or "", dropped))

    def _withdraw(self, identifier: str, asks: bool) -> None:
        if self._wishes.outbox.withdraw(identifier):
            self._emit(events.Rejected(self.room or "", identifier, "CANCELLED", "withdrawn before it was sent"))
        elif asks:
            self._wishes.cancels.add(identifier)

    def _renew(self, token: str, now: float) -> None:
        if token == self._token:
            self._renewal.failed(now)
            return
        self._token = token
        self._transmit(refresh(token), now)

    def _report(self, *, force: bool = False) -> None:
        if self.state == "live" and self._options.acks:
            for room, seq in self._places.unconfirmed():
                if self.is_heard(room):
                    self._out.append(steps.Transmit(ack(seq, None if room == self.room else room)))
        kept = self._places.kept()
        if kept or force:
            self._out.append(steps.Save(kept))

    def _pump(self, now: float) -> None:
        self._held_back = False
        while self.state == "live":
            if not self._pace.allows(now):
                self._held_back = True
                return
            frame = self._wishes.next(now, self._places.cursor)
            if frame is None:
                return
            self._send(frame, now)

    def _send(self, frame: str | Part, now: float) -> None:
        if isinstance(frame, str):
            self._transmit(frame, now)
        else:
            self._liveness.busy()
            self._out.append(steps.TransmitPart(frame))

    def _transmit(self, frame: str, now: float) -> None:
        self._pace.spend(now)
        self._out.append(steps.Transmit(frame))

    def _emit(self, event: events.Event) -> None:
        self._out.append(steps.Emit(event))

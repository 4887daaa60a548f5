"""A chat session: questions to agents, what people say, and files."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any

from . import events, protocol, steps
from .answer import Answer
from .connection import Connection
from .errors import ClosedError, DroppedError, RealtimeError, RefusedError
from .files import OutgoingFile, Progress, Source, StoredFile
from .protocol import Message, Part
from .rooms import check_id
from .roster import Roster
from .said import Said, check_same, check_text
from .subscription import Subscription
from .typists import Typists

LookUp = Callable[[Answer, int], Coroutine[Any, Any, None]]
"""Looks for the end of an answer in the log after the place of its question."""


class Chat:
    """A session, with a connection of its own. Made by `RealtimeClient.chat`."""

    def __init__(
        self,
        room: str,
        connection: Connection,
        listen: Callable[[], Subscription],
        close: Callable[[], Awaitable[None]],
        look_up: LookUp,
    ) -> None:
        self.room = room
        self.title: str | None = None
        """What the session is called, as far as the server has told: at first its first question."""
        self._connection = connection
        self._listen = listen
        self._close = close
        self._look_up = look_up
        self._error: RealtimeError | None = None
        self._answers: dict[str, Answer] = {}
        self._lookups: set[asyncio.Task[None]] = set()
        self._said = Said()
        self._files: dict[str, OutgoingFile] = {}
        self._typists = Typists(asyncio.get_running_loop().time)
        connection.read_part = self._read_part

    async def send(
        self, content: str, *, context: Any = None, agent_id: str | None = None, message_id: str | None = None
    ) -> Answer:
        """Asks a question. Returns at once: what is asked while offline is sent later, once, under its id.

        Args:
            content: the question.
            context: for the agent alone, not shown to others; whatever JSON can say.
            agent_id: which agent to ask.
            message_id: an id of the caller's own, to ask again after a crash without asking twice. The answer is the
                one to the first time, also if it has ended; while it is under way here, it is the same object.

        Raises:
            InvalidMessageError: the question is blank, or another one is under way under its id.
            OutboxFullError: too much waits for the server already (see `Options.on_full`).
            RefusedError: the server does not want this connection.
        """
        question = _id(message_id)
        agent = None if agent_id is None else check_id(agent_id)
        frame = protocol.chat(question, check_text(content), context=context, agent_id=agent)
        self._check_open()
        known = self._answers.get(question)
        if known is not None:
            check_same(question, known.frame, frame)
            return known
        answer = Answer(question, frame, lambda: self._connection.feed(steps.Withdraw(question)))
        self._answers[question] = answer
        try:
            self._connection.feed(steps.Post(question, frame))
        except RealtimeError:
            self._answers.pop(question, None)
            raise
        return answer

    async def say(self, content: str, *, message_id: str | None = None) -> int:
        """Says something to the people in the session; no agent answers. Returns its place in the log, once it has one.

        Being cancelled takes it back if it has not been sent, and nobody else says the same under its id.

        Raises:
            InvalidMessageError: it is blank, or something else is being said under its id.
            OutboxFullError, RefusedError: as of `send`.
        """
        identifier = _id(message_id)
        frame = protocol.chat(identifier, check_text(content), ask=False)
        self._check_open()
        if identifier in self._answers:
            check_same(identifier, self._answers[identifier].frame, frame)
        place = self._said.wait_for(identifier)
        try:
            self._connection.feed(steps.Post(identifier, frame))
            return await place
        except asyncio.CancelledError:
            if self._said.leave(identifier, place):
                self._connection.feed(steps.Withdraw(identifier, asks=False))
            raise
        finally:
            self._said.leave(identifier, place)

    def typing(self, is_typing: bool = True) -> None:
        """Shows the others that the user types, or does no more. It is not sent while offline."""
        self._connection.feed(steps.Say(protocol.typing(is_typing)))

    def show(self, state: dict[str, Any]) -> None:
        """Shows the others a state of the user's, up to 1 KiB of JSON, now and on later connections."""
        self._connection.feed(steps.Show(state))

    @property
    def is_open(self) -> bool:
        """Whether the session can be used."""
        return self._error is None

    @property
    def presence(self) -> Roster:
        """Who is there. Needs `Options.presence`."""
        return self._connection.machine.presence(self.room)

    @property
    def typists(self) -> tuple[str, ...]:
        """The ids of the users who are typing now."""
        return self._typists.now

    @property
    def waiting(self) -> int:
        """How many questions and messages wait for the server."""
        return self._connection.machine.waiting

    def messages(self) -> Subscription:
        """All that is published in the session from now on; what this connection sends itself is not."""
        self._check_open()
        return self._listen()

    async def upload(
        self,
        source: Source,
        *,
        name: str | None = None,
        content_type: str | None = None,
        file_id: str | None = None,
        progress: Progress | None = None,
    ) -> StoredFile:
        """Sends a file, through broken connections, and returns when it is stored. Being cancelled aborts it.

        Args:
            source: bytes, a path, or a file that is open for reading bytes.
            name: the name that the others see; that of the path, if there is one.
            content_type: guessed from the name, if it is not given.
            file_id: an id of the caller's own: the same again goes on where it stopped, also after a crash.
            progress: called with how much is stored, and the size.

        Raises:
            RefusedError: the server does not take it: FILE_TYPE_NOT_ALLOWED, FILES_UNAVAILABLE, INVALID_FILE, ….
            OSError: it could not be read.
        """
        self._check_open()
        identifier = _id(file_id)
        if identifier in self._files:
            raise ValueError(f"a file with the id {identifier} is on its way")
        file = OutgoingFile(source, name, content_type, progress)
        self._files[identifier] = file
        try:
            return await self._upload(identifier, file)
        except asyncio.CancelledError:
            self._connection.feed(steps.AbortUpload(identifier))
            raise
        finally:
            self._files.pop(identifier, None)
            file.close()

    async def close(self) -> None:
        """Leaves the session: closes its connection."""
        await self._close()

    async def __aenter__(self) -> Chat:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def delivered(self, message: Message) -> None:
        """A message came."""
        self._typists.take(message)
        data = message.data if isinstance(message.data, dict) else {}
        if message.type == "session_updated" and isinstance(data.get("title"), str):
            self.title = data["title"]
        answer = self._answers.get(str(data.get("reply_to")))
        if answer is not None:
            answer.take(message)
            self._forget_finished(answer)

    def happened(self, event: events.Event) -> None:
        """Something happened to the connection."""
        match event:
            case events.Connected():
                self.title = event.title
                self._reconnected()
            case events.Lost():
                self._lost()
            case events.Sent():
                self._acknowledged(event)
            case events.Rejected(_, identifier, "CANCELLED"):
                self._withdrawn(identifier)
            case events.Rejected(_, identifier, code, message):
                self._refused(identifier, RefusedError(code, message))
            case events.Dropped(_, identifier):
                self._refused(identifier, DroppedError("the outbox has no place for it"))
            case events.UploadMoved():
                if event.file_id in self._files:
                    self._files[event.file_id].moved(event)
            case events.UploadEnded():
                if event.file_id in self._files:
                    self._files[event.file_id].ended(event)
            case _:
                pass

    def fail(self, error: RealtimeError | None) -> None:
        """The connection is over."""
        self._error = self._error or error or ClosedError("the chat was closed")
        for task in self._lookups:
            task.cancel()
        for answer in self._answers.values():
            answer.fail(self._error)
        self._answers.clear()
        self._said.fail_all(self._error)
        for file in self._files.values():
            file.fail(self._error)

    def _check_open(self) -> None:
        if self._error is not None:
            raise self._error

    async def _upload(self, identifier: str, file: OutgoingFile) -> StoredFile:
        frame = protocol.upload(identifier, file.name, file.size, file.content_type, await file.digest())
        self._check_open()
        self._connection.feed(steps.Upload(identifier, file.size, frame))
        return await file.stored

    async def _read_part(self, part: Part) -> bytes | None:
        file = self._files.get(part.file_id)
        if file is None:
            return None
        try:
            return await file.read(part.offset, part.length)
        except Exception as error:
            self._connection.feed(steps.AbortUpload(part.file_id))
            file.fail(error)
            return None

    def _acknowledged(self, event: events.Sent) -> None:
        self._said.sent(event.id, event.seq)
        answer = self._answers.get(event.id)
        if answer is None:
            return
        answer.sent()
        if event.duplicate:
            task = self._connection.run(self._find(answer, event.seq))
            self._lookups.add(task)
            task.add_done_callback(self._lookups.discard)

    async def _find(self, answer: Answer, seq: int) -> None:
        """The question was there before, so its answer may have ended before this connection."""
        await self._look_up(answer, seq)
        self._forget_finished(answer)

    def _withdrawn(self, identifier: str) -> None:
        answer = self._answers.pop(identifier, None)
        if answer is not None:
            answer.withdrawn()

    def _refused(self, identifier: str, error: RealtimeError) -> None:
        answer = self._answers.pop(identifier, None)
        if answer is not None:
            answer.fail(error)
        self._said.fail(identifier, error)

    def _reconnected(self) -> None:
        self._typists.clear()
        for answer in self._answers.values():
            answer.reconnected()

    def _lost(self) -> None:
        for answer in list(self._answers.values()):
            answer.lost()
            self._forget_finished(answer)

    def _forget_finished(self, answer: Answer) -> None:
        if answer.is_over and self._answers.get(answer.id) is answer:
            del self._answers[answer.id]


def _id(given: str | None) -> str:
    return str(uuid.uuid4()) if given is None else check_id(given)

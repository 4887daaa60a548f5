"""A chat session: questions to agents, what people say, and files."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
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
from .subscription import Subscription
from .typists import Typists


class Chat:
    """A session, with a connection of its own. Made by `RealtimeClient.chat`."""

    def __init__(
        self,
        room: str,
        connection: Connection,
        listen: Callable[[], Subscription],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self.room = room
        self._connection = connection
        self._listen = listen
        self._close = close
        self._error: RealtimeError | None = None
        self._answers: dict[str, Answer] = {}
        self._sent: dict[str, asyncio.Future[int]] = {}
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
            message_id: an id of the caller's own, to ask again after a crash without asking twice.

        Raises:
            OutboxFullError: too much waits for the server already (see `Options.on_full`).
            RefusedError: the server does not want this connection.
        """
        question = _id(message_id)
        answer = Answer(question, lambda: self._connection.feed(steps.Withdraw(question)))
        agent = None if agent_id is None else check_id(agent_id)
        frame = protocol.chat(question, content, context=context, agent_id=agent)
        self._check_open()
        self._answers[question] = answer
        self._post(question, frame, lambda: self._answers.pop(question, None))
        return answer

    async def say(self, content: str, *, message_id: str | None = None) -> int:
        """Says something to the people in the session; no agent answers. Returns its place in the log, once it has one.

        Being cancelled takes it back if it has not been sent.
        """
        identifier = _id(message_id)
        self._check_open()
        sent: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._sent[identifier] = sent
        frame = protocol.chat(identifier, content, ask=False)
        try:
            self._post(identifier, frame, lambda: None)
            return await sent
        except asyncio.CancelledError:
            self._connection.feed(steps.Withdraw(identifier))
            raise
        finally:
            self._sent.pop(identifier, None)

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
        answer = self._answers.get(str(data.get("reply_to")))
        if answer is not None:
            answer.take(message)
            self._forget_finished(answer)

    def happened(self, event: events.Event) -> None:
        """Something happened to the connection."""
        match event:
            case events.Connected():
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
                self._refused(identifier, DroppedError("dropped from the full outbox"))
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
        self._error = error or ClosedError("the chat was closed")
        for answer in self._answers.values():
            answer.fail(self._error)
        self._answers.clear()
        for sent in self._sent.values():
            _reject(sent, self._error)
        for file in self._files.values():
            file.fail(self._error)

    def _check_open(self) -> None:
        if self._error is not None:
            raise self._error

    def _post(self, identifier: str, frame: str, undo: Callable[[], object]) -> None:
        try:
            self._connection.feed(steps.Post(identifier, frame))
        except RealtimeError:
            undo()
            raise

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
        except (OSError, ValueError) as error:
            self._connection.feed(steps.AbortUpload(part.file_id))
            file.fail(error)
            return None

    def _acknowledged(self, event: events.Sent) -> None:
        if event.id in self._answers:
            self._answers[event.id].sent()
        sent = self._sent.get(event.id)
        if sent is not None and not sent.done():
            sent.set_result(event.seq)

    def _withdrawn(self, identifier: str) -> None:
        answer = self._answers.pop(identifier, None)
        if answer is not None:
            answer.withdrawn()

    def _refused(self, identifier: str, error: RealtimeError) -> None:
        answer = self._answers.pop(identifier, None)
        if answer is not None:
            answer.fail(error)
        if identifier in self._sent:
            _reject(self._sent[identifier], error)

    def _reconnected(self) -> None:
        self._typists.clear()
        for answer in self._answers.values():
            answer.reconnected()

    def _lost(self) -> None:
        for answer in list(self._answers.values()):
            answer.lost()
            self._forget_finished(answer)

    def _forget_finished(self, answer: Answer) -> None:
        if answer.is_over:
            self._answers.pop(answer.id, None)


def _id(given: str | None) -> str:
    return str(uuid.uuid4()) if given is None else check_id(given)


def _reject(future: asyncio.Future[int], error: RealtimeError) -> None:
    if not future.done():
        future.set_exception(error)

"""Publishing without a network: which requests to send, and what to do with their answers.

`deliver` is a generator. It yields a `Request` or a `Pause`, and is sent an `Outcome` for a request.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .backoff import Backoff, Random
from .errors import PublishError
from .jsons import to_json
from .rooms import check_id, messages_path, room_name

Kind = Literal["analysis", "chat", "investigation", "system", "user"]

OutgoingMessage = Mapping[str, Any]
"""``type``, and perhaps ``data``, ``id``, ``timestamp``, ``priority`` (critical, normal, low) and ``ephemeral``."""

MAX_MESSAGES = 1_000
MAX_BYTES = 1_048_576

_FIELDS = frozenset({"type", "data", "id", "timestamp", "priority", "ephemeral"})
_UNAUTHORIZED = 401
_SERVER_ERROR = 500
_TOO_MANY = 429
_OK = 200


@dataclass(frozen=True)
class Published:
    """A message that is in the log of its room; an ephemeral one has no ``seq``.

    ``duplicate``: it was there already, under the same id, and nobody got it again.
    """

    id: str
    seq: int | None = None
    duplicate: bool = False


@dataclass(frozen=True)
class Retrying:
    """How often to try, and how long to wait in between: a random time up to a bound that doubles.

    Attributes:
        attempts: how many times a request is sent at most.
        first_delay: the bound of the first wait, in seconds.
        max_delay: the bound of all waits. A server that asks for more (``Retry-After``) is not waited for.
    """

    attempts: int = 5
    first_delay: float = 0.5
    max_delay: float = 30.0


@dataclass(frozen=True)
class Request:
    """A request to send, with a token found for it."""

    path: str
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What came of a request: an answer, or the name of an error of the network."""

    status: int = 0
    body: bytes = b""
    retry_after: str | None = None
    error: str = ""


Steps = Generator["Request | Pause", "Outcome | None", list[Published]]


def prepare(message: OutgoingMessage) -> str:
    """A message as JSON, with an id, so that to send it again is not to publish it twice."""
    unknown = set(message) - _FIELDS
    if unknown:
        raise ValueError(
            f"a message has no field {sorted(map(str, unknown))[0]!r}; it has {', '.join(sorted(_FIELDS))}"
        )
    if not isinstance(message.get("type"), str):
        raise ValueError("a message has a string `type`")
    given = {name: value for name, value in message.items() if value is not None}
    identifier = given.get("id")
    return to_json(given | {"id": str(uuid.uuid4()) if identifier is None else check_id(identifier)})


def check_size(message: bytes) -> None:
    """A message goes in a body at least by itself."""
    if len(message) + 2 > MAX_BYTES:
        raise PublishError("TOO_LARGE", f"a message of {len(message)} bytes; {MAX_BYTES} is the most")


def bodies(messages: Iterable[str]) -> Iterable[tuple[int, bytes]]:
    """Messages in as few bodies as may be, in order; with how many are in each."""
    batch: list[bytes] = []
    size = 2
    for message in messages:
        data = message.encode()
        check_size(data)
        if batch and (len(batch) == MAX_MESSAGES or size + len(data) + 1 > MAX_BYTES):
            yield len(batch), b"[" + b",".join(batch) + b"]"
            batch, size = [], 2
        batch.append(data)
        size += len(data) + 1
    if batch:
        yield len(batch), b"[" + b",".join(batch) + b"]"


def room_of(kind: str, identifier: str | None) -> str:
    """The room that a publisher names; that of everybody needs no id."""
    if kind != "system" and identifier is None:
        raise ValueError(f"a room of kind {kind!r} has an id")
    return room_name(kind, identifier or "")


def deliver(room: str, messages: Sequence[str], retrying: Retrying, random: Random, *, renewable: bool) -> Steps:
    """Publishes prepared messages into a room. ``renewable``: another token can be had when one is refused."""
    published: list[Published] = []
    path = messages_path(room)
    for count, body in list(bodies(messages)):
        try:
            answer = yield from _attempt(path, body, retrying, random, renewable)
            published += _published(answer, count)
        except PublishError as error:
            error.published = published
            raise
    return published


def _attempt(
    path: str, body: bytes, retrying: Retrying, random: Random, renewable: bool
) -> Generator[Request | Pause, Outcome | None, bytes]:
    backoff = Backoff(random, retrying.first_delay, retrying.max_delay)
    for attempt in range(1, retrying.attempts + 1):
        outcome = (yield Request(path, body)) or Outcome(error="no outcome")
        if outcome.status == _OK:
            return outcome.body
        error = _error(outcome)
        renews = outcome.status == _UNAUTHORIZED and renewable
        wait = _wait(outcome)
        if attempt == retrying.attempts or not (error.retry or renews) or wait > retrying.max_delay:
            raise error
        renewable = renewable and not renews  # one other token is asked for, and no more
        if not renews:
            yield Pause(wait + backoff.delay())
    raise PublishError("UNREACHABLE", "no attempt was allowed")


def _published(body: bytes, count: int) -> list[Published]:
    try:
        entries = [_entry(entry) for entry in json.loads(body)["messages"]]
    except (KeyError, TypeError, ValueError):
        entries = []
    if len(entries) != count:
        raise PublishError("INVALID_ANSWER", "the answer is none of this server's", status=_OK, retry=True)
    return entries


def _entry(entry: Mapping[str, Any]) -> Published:
    return Published(str(entry["id"]), entry.get("seq"), entry.get("duplicate") is True)


def _error(outcome: Outcome) -> PublishError:
    if outcome.error:
        return PublishError("UNREACHABLE", outcome.error, retry=True)
    code, message, retry = f"HTTP_{outcome.status}", "", None
    try:
        told = json.loads(outcome.body)["error"]
        code, message, retry = str(told["code"]), str(told.get("message", "")), told.get("retry")
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    again = retry is True or outcome.status >= _SERVER_ERROR or outcome.status == _TOO_MANY
    return PublishError(code, message, status=outcome.status, retry=again)


def _wait(outcome: Outcome) -> float:
    """What the server asks for, in seconds."""
    try:
        return max(0.0, float(json.loads(outcome.body)["error"]["retry_after_ms"]) / 1000)
    except (KeyError, TypeError, ValueError):
        pass
    text = (outcome.retry_after or "").strip()
    return float(text) if text.isdecimal() else 0.0

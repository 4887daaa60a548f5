"""What can happen to a connection, and what it asks for: the inputs and effects of the machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .cursors import Cursor
from .events import Event
from .protocol import Message, Part, Refusal


@dataclass(frozen=True)
class Start:
    """Connect, and stay connected."""


@dataclass(frozen=True)
class Stop:
    """Disconnect for good."""


@dataclass(frozen=True)
class TokenGiven:
    """The token that was asked for."""

    token: str = field(repr=False)


@dataclass(frozen=True)
class TokenFailed:
    """There is no token now."""


@dataclass(frozen=True)
class Opened:
    """The socket is open."""


@dataclass(frozen=True)
class Received:
    """A text frame came."""

    text: str


@dataclass(frozen=True)
class Closed:
    """The socket is closed, or could not be opened. ``refusal`` is what an HTTP answer says, if there was one."""

    code: int = 1006
    reason: str = ""
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Woken:
    """It is the time of the machine's ``deadline``, or later."""


@dataclass(frozen=True)
class Subscribe:
    """Hear a room."""

    room: str


@dataclass(frozen=True)
class Unsubscribe:
    """Hear a room no more."""

    room: str


@dataclass(frozen=True)
class Post:
    """Send a frame, now or later, until it is acknowledged."""

    id: str
    frame: str


@dataclass(frozen=True)
class Withdraw:
    """Do not send a frame that was posted, or cancel the answer to it, if it asks for one."""

    id: str
    asks: bool = True


@dataclass(frozen=True)
class Say:
    """Send a frame now, or never."""

    frame: str


@dataclass(frozen=True)
class Show:
    """Show a state in presence, on this connection and those that come."""

    state: dict[str, Any]


@dataclass(frozen=True)
class Handled:
    """The program is done with a message."""

    room: str
    seq: int


@dataclass(frozen=True)
class Upload:
    """Send a file, until it is stored."""

    file_id: str
    size: int
    frame: str


@dataclass(frozen=True)
class AbortUpload:
    """Forget a file."""

    file_id: str


Input = (
    Start
    | Stop
    | TokenGiven
    | TokenFailed
    | Opened
    | Received
    | Closed
    | Woken
    | Subscribe
    | Unsubscribe
    | Post
    | Withdraw
    | Say
    | Show
    | Handled
    | Upload
    | AbortUpload
)


@dataclass(frozen=True)
class AskToken:
    """Find a token. Answer with TokenGiven or TokenFailed."""


@dataclass(frozen=True)
class Open:
    """Open a socket on this path and query. Answer with Opened and Received, and in any case with Closed."""

    path: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class Transmit:
    """Send a text frame. Its text may hold a token."""

    text: str = field(repr=False)


@dataclass(frozen=True)
class TransmitPart:
    """Send a piece of a file."""

    part: Part


@dataclass(frozen=True)
class Drop:
    """Forget the socket: nothing it says is of interest any more. With a ``code`` say goodbye."""

    code: int | None = None


@dataclass(frozen=True)
class Deliver:
    """Give a message to the program. If it has a ``seq``, say Handled when it is done with it."""

    message: Message


@dataclass(frozen=True)
class Emit:
    """Tell the program of an event."""

    event: Event


@dataclass(frozen=True)
class Save:
    """Keep these cursors."""

    cursors: dict[str, Cursor]


@dataclass(frozen=True)
class Fail:
    """It is over: the server does not want this client."""

    code: str
    message: str


Effect = AskToken | Open | Transmit | TransmitPart | Drop | Deliver | Emit | Save | Fail

"""Live updates of Cidadão.AI.

`RealtimeClient` hears what happens, for asyncio programs; `Publisher` and `AsyncPublisher` say it, for backends, as do
the helpers `notify_investigation_update`, `notify_anomaly_detected`, `notify_chat_session` and
`send_system_notification`.
"""

from .answer import Answer
from .batch import AsyncBatch, Batch
from .chat import Chat
from .client import RealtimeClient
from .cursors import Cursor
from .errors import (
    AnswerError,
    ClosedError,
    DroppedError,
    InterruptedCallError,
    InvalidIdError,
    InvalidMessageError,
    NotConfiguredError,
    OutboxFullError,
    PublishError,
    RealtimeError,
    RefusedError,
    UnreachableError,
)
from .events import (
    Connected,
    Disconnected,
    Dropped,
    Event,
    Lost,
    PresenceChanged,
    Refused,
    Rejected,
    Sent,
    Subscribed,
    Unsubscribed,
)
from .files import StoredFile
from .helpers import (
    configure,
    notify_anomaly_detected,
    notify_anomaly_detected_sync,
    notify_chat_session,
    notify_chat_session_sync,
    notify_investigation_update,
    notify_investigation_update_sync,
    send_system_notification,
    send_system_notification_sync,
)
from .history import History
from .options import Options
from .protocol import Message
from .publisher import AsyncPublisher, Publisher
from .publishing import OutgoingMessage, Published, Retrying
from .roster import Roster
from .storage import FileStorage, Storage
from .subscription import Subscription
from .tokens import ServiceToken, TokenError
from .transcript import Piece, Transcript

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "AnswerError",
    "AsyncBatch",
    "AsyncPublisher",
    "Batch",
    "Chat",
    "ClosedError",
    "Connected",
    "Cursor",
    "Disconnected",
    "Dropped",
    "DroppedError",
    "Event",
    "FileStorage",
    "History",
    "InterruptedCallError",
    "InvalidIdError",
    "InvalidMessageError",
    "Lost",
    "Message",
    "NotConfiguredError",
    "Options",
    "OutboxFullError",
    "OutgoingMessage",
    "Piece",
    "PresenceChanged",
    "PublishError",
    "Published",
    "Publisher",
    "RealtimeClient",
    "RealtimeError",
    "Refused",
    "RefusedError",
    "Rejected",
    "Retrying",
    "Roster",
    "Sent",
    "ServiceToken",
    "Storage",
    "StoredFile",
    "Subscribed",
    "Subscription",
    "TokenError",
    "Transcript",
    "UnreachableError",
    "Unsubscribed",
    "configure",
    "notify_anomaly_detected",
    "notify_anomaly_detected_sync",
    "notify_chat_session",
    "notify_chat_session_sync",
    "notify_investigation_update",
    "notify_investigation_update_sync",
    "send_system_notification",
    "send_system_notification_sync",
]

"""What the backend's helpers say, under their names, so that a backend changes nothing but an import.

The address comes from `configure`, or from the environment: ``CIDADAO_REALTIME_URL``, and for the token
``CIDADAO_REALTIME_TOKEN``, or ``JWT_SECRET_KEY`` to make a service's tokens with.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import weakref
from collections.abc import Mapping
from typing import Any, Literal

from .errors import NotConfiguredError, PublishError
from .publisher import AsyncPublisher, Publisher
from .publishing import Kind, OutgoingMessage, Published, Retrying
from .tokens import ServiceToken, SyncToken

OnError = Literal["log", "raise"]

_log = logging.getLogger("cidadao_realtime")
_RETRYING = Retrying(attempts=4, first_delay=0.25, max_delay=5.0)


class _Settings:
    """Where the helpers publish; one publisher for each event loop, and one for plain code."""

    def __init__(self, url: str | None, token: SyncToken | None, on_error: OnError, retrying: Retrying) -> None:
        self._url = url
        self._token = token
        self._retrying = retrying
        self._lock = threading.Lock()
        self._plain: Publisher | None = None
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncPublisher] = weakref.WeakKeyDictionary()
        self.on_error = on_error

    def plain(self) -> Publisher:
        with self._lock:
            if self._plain is None:
                self._plain = Publisher(self._find_url(), self._find_token(), retrying=self._retrying)
            return self._plain

    def of_this_loop(self) -> AsyncPublisher:
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._loops:
                self._loops[loop] = AsyncPublisher(self._find_url(), self._find_token(), retrying=self._retrying)
            return self._loops[loop]

    def take_all(self) -> tuple[Publisher | None, AsyncPublisher | None]:
        """The publishers that can be closed here: that of plain code, and that of the running loop."""
        with self._lock:
            plain, self._plain = self._plain, None
            return plain, self._loops.pop(asyncio.get_running_loop(), None)

    def _find_url(self) -> str:
        url = self._url or os.environ.get("CIDADAO_REALTIME_URL")
        if not url:
            raise NotConfiguredError("no address of the server: set CIDADAO_REALTIME_URL, or call configure(url=…)")
        return url

    def _find_token(self) -> SyncToken:
        token = self._token or os.environ.get("CIDADAO_REALTIME_TOKEN")
        if token:
            return token
        secret = os.environ.get("JWT_SECRET_KEY")
        if not secret:
            raise NotConfiguredError(
                "no token: set CIDADAO_REALTIME_TOKEN, or JWT_SECRET_KEY to make some, or call configure(token=…)"
            )
        self._token = ServiceToken(secret)
        return self._token


_settings = _Settings(None, None, "log", _RETRYING)


def configure(
    *,
    url: str | None = None,
    token: SyncToken | None = None,
    secret: str | None = None,
    on_error: OnError = "log",
    retrying: Retrying | None = None,
) -> None:
    """Says where the helpers publish. What is not given comes from the environment.

    Args:
        url: the address of the server.
        token: a service's token, or a function that gives one.
        secret: the secret that signs tokens, to make a service's tokens with.
        on_error: what becomes of a message that cannot be published. ``log``: an error in the log, and the helper
            returns None, since what a backend does should not fail for want of a notification. ``raise``: PublishError.
        retrying: how often to try; by default four times, within seconds.
    """
    global _settings
    source = ServiceToken(secret) if secret is not None else token
    _settings = _Settings(url, source, on_error, retrying or _RETRYING)


async def close() -> None:
    """Closes the connections that the helpers keep, of this event loop and of plain code. For the end of a program."""
    plain, of_this_loop = _settings.take_all()
    if plain is not None:
        plain.close()
    if of_this_loop is not None:
        await of_this_loop.close()


async def notify_investigation_update(
    investigation_id: str, update_type: str, data: Mapping[str, Any]
) -> Published | None:
    """Tells who watches an investigation how it goes: a message of type ``investigation_<update_type>``."""
    return await _publish("investigation", investigation_id, _update(investigation_id, update_type, data))


async def notify_anomaly_detected(investigation_id: str, anomaly_data: Mapping[str, Any]) -> Published | None:
    """Tells who watches an investigation of an anomaly. ``severity`` is ``medium`` if none is given."""
    return await _publish("investigation", investigation_id, _anomaly(investigation_id, anomaly_data))


async def notify_chat_session(session_id: str, notification: Mapping[str, Any]) -> Published | None:
    """Shows a notification in a chat session."""
    return await _publish("chat", session_id, _notification(notification))


async def send_system_notification(notification_type: str, data: Mapping[str, Any]) -> Published | None:
    """Tells everybody who is connected."""
    return await _publish("system", None, _system(notification_type, data))


def notify_investigation_update_sync(
    investigation_id: str, update_type: str, data: Mapping[str, Any]
) -> Published | None:
    """`notify_investigation_update` for plain code."""
    return _publish_sync("investigation", investigation_id, _update(investigation_id, update_type, data))


def notify_anomaly_detected_sync(investigation_id: str, anomaly_data: Mapping[str, Any]) -> Published | None:
    """`notify_anomaly_detected` for plain code."""
    return _publish_sync("investigation", investigation_id, _anomaly(investigation_id, anomaly_data))


def notify_chat_session_sync(session_id: str, notification: Mapping[str, Any]) -> Published | None:
    """`notify_chat_session` for plain code."""
    return _publish_sync("chat", session_id, _notification(notification))


def send_system_notification_sync(notification_type: str, data: Mapping[str, Any]) -> Published | None:
    """`send_system_notification` for plain code."""
    return _publish_sync("system", None, _system(notification_type, data))


def _update(investigation_id: str, update_type: str, data: Mapping[str, Any]) -> OutgoingMessage:
    told = {"investigation_id": investigation_id, "update_type": update_type, **data}
    return {"type": f"investigation_{update_type}", "data": told}


def _anomaly(investigation_id: str, anomaly_data: Mapping[str, Any]) -> OutgoingMessage:
    told = {"investigation_id": investigation_id, "severity": "medium", **anomaly_data}
    return {"type": "anomaly_detected", "data": told}


def _notification(notification: Mapping[str, Any]) -> OutgoingMessage:
    return {"type": "notification", "data": notification}


def _system(notification_type: str, data: Mapping[str, Any]) -> OutgoingMessage:
    return {"type": "system_notification", "data": {"notification_type": notification_type, **data}}


async def _publish(kind: Kind, identifier: str | None, message: OutgoingMessage) -> Published | None:
    settings = _settings
    publisher = settings.of_this_loop()
    try:
        return (await publisher.publish(kind, identifier, message))[0]
    except PublishError as error:
        _tell(settings, error)
        return None


def _publish_sync(kind: Kind, identifier: str | None, message: OutgoingMessage) -> Published | None:
    settings = _settings
    publisher = settings.plain()
    try:
        return publisher.publish(kind, identifier, message)[0]
    except PublishError as error:
        _tell(settings, error)
        return None


def _tell(settings: _Settings, error: PublishError) -> None:
    if settings.on_error == "raise":
        raise error
    _log.error("a notification was not published: %s", error)

"""Tokens: where they come from, and what may be known of them. They are never part of a text that is shown."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable

from .callbacks import call
from .errors import RealtimeError

Token = str | Callable[[], str | Awaitable[str]]
"""A token, or a function, plain or async, that gives a fresh one each time it is called."""

SyncToken = str | Callable[[], str]
"""A token, or a plain function that gives a fresh one each time it is called."""

_SERVICE_LIFETIME = 300
_MIN_SECRET = 32


class TokenError(RealtimeError, ValueError):
    """What a program gave for a token is none."""


def check_token(token: object) -> str:
    """The token itself, if it can be one."""
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable() or " " in token:
        raise TokenError("a token is a string of printable ASCII characters without spaces")
    return token


async def find_token(source: Token) -> str:
    """The token that a source gives now."""
    if isinstance(source, str):
        return check_token(source)
    return check_token(await call(source))


def subject(token: str) -> str | None:
    """Whom a token is for, as it says itself; None if it cannot be read. Nothing is verified."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        found = claims.get("sub")
    except (AttributeError, IndexError, ValueError):
        return None
    return found if isinstance(found, str) else None


class ServiceToken:
    """Makes tokens of a service from the secret that signs them, and another when one is about to end."""

    def __init__(self, secret: str, name: str = "backend", clock: Callable[[], float] = time.time) -> None:
        if len(secret.encode()) < _MIN_SECRET:
            raise ValueError(f"the secret has at least {_MIN_SECRET} bytes")
        self._secret = secret.encode()
        self._name = name
        self._clock = clock
        self._token = ""
        self._good_until = 0.0

    def __call__(self) -> str:
        """A token that is good for a minute at least."""
        now = self._clock()
        if now >= self._good_until:
            self._token = self._mint(int(now))
            self._good_until = now + _SERVICE_LIFETIME - 60
        return self._token

    def _mint(self, now: int) -> str:
        claims = {"sub": self._name, "role": "service", "type": "access", "iat": now, "exp": now + _SERVICE_LIFETIME}
        body = ".".join(_encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        return f"{body}.{_encode(hmac.new(self._secret, body.encode(), hashlib.sha256).digest())}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")

"""What backends have in their data, as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID


def to_json(value: Any) -> str:
    """A value as JSON.

    Beside what JSON knows there may be: a ``datetime`` (RFC 3339; without a zone it is taken to be UTC, as
    ``utcnow()`` gives it), ``date`` and ``time`` (ISO 8601), ``timedelta`` (seconds), ``Decimal`` (a number where a
    float has the same digits, else a string), ``UUID``, ``Enum`` (its value), sets, dataclasses, models of Pydantic,
    numbers of NumPy, and subclasses of any of these. Raises TypeError for anything else, and ValueError for NaN and
    infinities, which JSON cannot say.
    """
    text = json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("a text holds half of a surrogate pair, which cannot be sent") from None
    return text


def _plain(value: Any) -> Any:
    for kinds, convert in _CONVERSIONS:
        if isinstance(value, kinds):
            return convert(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    for method in ("model_dump", "item", "tolist"):  # Pydantic, a number of NumPy, an array of NumPy
        if callable(found := getattr(value, method, None)):
            return found()
    raise TypeError(f"JSON has no form for a {type(value).__name__}")


def _moment(value: datetime) -> str:
    aware = value if value.utcoffset() is not None else value.replace(tzinfo=timezone.utc)
    return aware.isoformat().replace("+00:00", "Z")


def _number(value: Decimal) -> int | float | str:
    if not value.is_finite():
        raise ValueError("JSON has no form for a Decimal that is no number")
    if value == value.to_integral_value() and abs(value) < 2**53:
        return int(value)
    near = float(value)
    return near if Decimal(repr(near)) == value else str(value)


_CONVERSIONS: tuple[tuple[type | tuple[type, ...], Any], ...] = (
    (datetime, _moment),
    ((date, time), lambda value: value.isoformat()),
    (timedelta, lambda value: value.total_seconds()),
    (Decimal, _number),
    (UUID, str),
    (Enum, lambda value: value.value),
    ((set, frozenset), list),
    (Mapping, dict),
)

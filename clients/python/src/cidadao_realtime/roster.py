"""Who is in a room."""

from __future__ import annotations

from typing import Any

from .events import PresenceChanged


class Roster:
    """The users of a room as the server tells them: a snapshot, and what changes."""

    def __init__(self) -> None:
        self.count = 0
        self.users: dict[str, Any] | None = None

    def apply(self, room: str, data: dict[str, Any]) -> PresenceChanged:
        """Takes what the server says; a snapshot replaces all."""
        changes = {name: _entries(data.get(name)) for name in ("joined", "left", "updated")}
        if any(name in data for name in changes):
            self._change(changes)
        else:
            self.users = _entries(data["users"]) if "users" in data else None
        count = data.get("count")
        if isinstance(count, int):
            self.count = count
        elif self.users is not None:
            self.count = len(self.users)
        users = None if self.users is None else dict(self.users)
        return PresenceChanged(room, self.count, users, *(tuple(names) for names in changes.values()))

    def _change(self, changes: dict[str, dict[str, Any]]) -> None:
        if self.users is None:
            return
        self.users.update(changes["joined"] | changes["updated"])
        for user in changes["left"]:
            self.users.pop(user, None)


def _entries(users: Any) -> dict[str, Any]:
    """A list of ids, or of users with their states, as ids with states."""
    entries: dict[str, Any] = {}
    for user in users if isinstance(users, list) else []:
        if isinstance(user, str):
            entries[user] = None
        elif isinstance(user, dict) and isinstance(user.get("user_id"), str):
            entries[user["user_id"]] = user.get("state")
    return entries

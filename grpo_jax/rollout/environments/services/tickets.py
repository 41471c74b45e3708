# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A company's support tickets, with the functions that the leaderboard's `ticket_api` describes."""

import copy
from collections.abc import Mapping
from typing import Any

from grpo_jax.rollout.environments.services.service import CallError

Ticket = dict[str, Any]
_EDITABLE = ("title", "description", "status", "priority")


class Tickets:
    """A queue of tickets and who is logged in."""

    def __init__(self, config: Mapping[str, Any]):
        """Take the initial configuration: `ticket_queue`, `ticket_counter`, `current_user`."""
        self._queue: list[Ticket] = copy.deepcopy(list(config.get("ticket_queue") or ()))
        self._counter = int(config.get("ticket_counter") or 1)
        self._user: str | None = config.get("current_user")

    def state(self) -> tuple[list[Ticket], str | None]:
        """Tickets and user."""
        return self._queue, self._user

    def create_ticket(self, title: str, description: str = "", priority: int = 1) -> Ticket:
        """Add a ticket of the logged-in user."""
        user = self._logged_in()
        if not 1 <= int(priority) <= 5:
            raise CallError("priority must be from 1 to 5")
        ticket = {
            "id": self._counter,
            "title": title,
            "description": description,
            "status": "Open",
            "priority": priority,
            "created_by": user,
        }
        self._queue.append(ticket)
        self._counter += 1
        return dict(ticket)

    def get_ticket(self, ticket_id: int) -> Ticket:
        """One ticket."""
        return dict(self._find(ticket_id))

    def close_ticket(self, ticket_id: int) -> dict[str, str]:
        """Set its status to Closed."""
        ticket = self._find(ticket_id)
        if ticket.get("status") == "Closed":
            raise CallError(f"Ticket {ticket_id} is already closed")
        ticket["status"] = "Closed"
        return {"status": f"Ticket {ticket_id} has been closed"}

    def resolve_ticket(self, ticket_id: int, resolution: str) -> dict[str, str]:
        """Set its status to Resolved, with what was done."""
        ticket = self._find(ticket_id)
        if ticket.get("status") == "Resolved":
            raise CallError(f"Ticket {ticket_id} is already resolved")
        ticket |= {"status": "Resolved", "resolution": resolution}
        return {"status": f"Ticket {ticket_id} has been resolved"}

    def edit_ticket(self, ticket_id: int, updates: Mapping[str, Any]) -> dict[str, str]:
        """Change title, description, status or priority."""
        unknown = [name for name in updates if name not in _EDITABLE]
        if unknown:
            raise CallError(f"A ticket has no field {unknown[0]} that could be edited")
        self._find(ticket_id).update({name: value for name, value in updates.items() if value is not None})
        return {"status": f"Ticket {ticket_id} has been updated"}

    def get_user_tickets(self, status: str | None = None) -> list[Ticket]:
        """Tickets that the logged-in user created."""
        user = self._logged_in()
        own = [ticket for ticket in self._queue if ticket.get("created_by") == user]
        return [dict(ticket) for ticket in own if status in (None, "None") or ticket.get("status") == status]

    def ticket_login(self, username: str, password: str) -> dict[str, bool]:
        """Log a user in; any password will do."""
        if not username or not password:
            return {"success": False}
        self._user = username
        return {"success": True}

    def ticket_get_login_status(self) -> dict[str, bool]:
        """Whether somebody is logged in."""
        return {"login_status": self._user is not None}

    def logout(self) -> dict[str, bool]:
        """Log the user out."""
        was_in, self._user = self._user is not None, None
        return {"success": was_in}

    def _logged_in(self) -> str:
        if self._user is None:
            raise CallError("User must be logged in")
        return self._user

    def _find(self, ticket_id: int) -> Ticket:
        found = next((ticket for ticket in self._queue if ticket.get("id") == ticket_id), None)
        if found is None:
            raise CallError(f"Ticket {ticket_id} not found")
        return found

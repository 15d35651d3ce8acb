"""People and the messages sent to them. A message that was sent stays sent."""

from __future__ import annotations

from typing import Any, Literal

from acenv.envs.tools.tooling import Record, ToolError, World, tool


def find(world: World, name: str) -> Record:
    """The contact of that full name.

    Raises:
        ToolError: There is none; similar names are suggested.
    """
    for contact in world.table("contacts").values():
        if contact["name"] == name:
            return contact
    first = name.split(" ", 1)[0].lower()
    near = [c["name"] for c in world.table("contacts").values() if first and first in c["name"].lower()]
    hint = f" Did you mean {' or '.join(near[:3])}?" if near else ""
    raise ToolError(f"no contact named {name[:60]}.{hint}")


def get_contact(world: World, name: str) -> Any:
    """Look up a contact."""
    return find(world, name)


def search_contacts(world: World, field: Literal["name", "city", "team"], value: str) -> Any:
    """List the contacts whose name, city or team contains a value."""
    wanted = value.lower()
    return {
        "contacts": [c["name"] for c in world.table("contacts").values() if wanted in str(c.get(field, "")).lower()]
    }


def update_contact(world: World, name: str, field: Literal["phone", "city", "team"], value: str) -> Any:
    """Change one field of a contact."""
    find(world, name)[field] = value
    return {"ok": True}


def send_message(world: World, to: str, text: str) -> Any:
    """Send a message to a contact."""
    contact = find(world, to)
    world.add("messages", "m", {"to": contact["name"], "text": text})
    return {"ok": True}


def read_messages(world: World, sender: str) -> Any:
    """Read the messages received from a contact."""
    name = find(world, sender)["name"]
    return {"messages": [m["text"] for m in world.table("inbox").values() if m["from"] == name]}


TOOLS = (
    tool(get_contact),
    tool(search_contacts),
    tool(update_contact, writes=True),
    tool(send_message, writes=True),
    tool(read_messages),
)

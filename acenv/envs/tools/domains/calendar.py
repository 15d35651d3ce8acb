"""A week's calendar."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from acenv.envs.tools.tooling import Record, ToolError, World, tool

Day = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
Time = Annotated[str, {"pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "maxLength": 5}]


def _find(world: World, event: str) -> Record:
    record = world.table("events").get(event)
    if record is None:
        raise ToolError(f"no event {event[:60]}. Events have ids such as e14: see list_events or find_events.")
    return record


def _check_free(world: World, day: str, time: str, moved: str = "") -> None:
    for key, event in world.table("events").items():
        if event["day"] == day and event["time"] == time and key != moved:
            raise ToolError(f"{day} {time} is taken by {event['title']} ({key}).")


def create_event(world: World, title: str, day: Day, time: Time) -> Any:
    """Add an event to the calendar."""
    _check_free(world, day, time)
    return {"id": world.add("events", "e", {"title": title, "day": day, "time": time})}


def list_events(world: World, day: Day) -> Any:
    """List the events of a day."""
    rows = [
        {"id": key, "title": e["title"], "time": e["time"]}
        for key, e in world.table("events").items()
        if e["day"] == day
    ]
    return {"events": sorted(rows, key=lambda row: row["time"])}


def find_events(world: World, word: str) -> Any:
    """Find events by a word of their title."""
    wanted = word.lower()
    return {"events": [{"id": k, **e} for k, e in world.table("events").items() if wanted in e["title"].lower()]}


def move_event(world: World, event: str, day: Day, time: Time) -> Any:
    """Move an event to another day and time."""
    record = _find(world, event)
    _check_free(world, day, time, moved=event)
    record["day"], record["time"] = day, time
    return {"ok": True}


def cancel_event(world: World, event: str) -> Any:
    """Cancel an event for good."""
    _find(world, event)
    del world.table("events")[event]
    return {"ok": True}


TOOLS = (
    tool(create_event, writes=True),
    tool(list_events),
    tool(find_events),
    tool(move_event, writes=True),
    tool(cancel_event, writes=True),
)

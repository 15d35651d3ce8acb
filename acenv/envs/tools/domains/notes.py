"""Notes and a to-do list."""

from __future__ import annotations

from typing import Any, Literal

from acenv.envs.tools.tooling import Record, ToolError, World, tool

Priority = Literal["low", "normal", "high"]


def _find(world: World, title: str) -> tuple[str, Record]:
    for key, note in world.table("notes").items():
        if note["title"] == title:
            return key, note
    raise ToolError(f"no note titled {title[:60]}. See search_notes.")


def add_note(world: World, title: str, text: str) -> Any:
    """Save a new note."""
    if any(note["title"] == title for note in world.table("notes").values()):
        raise ToolError(f"there is a note titled {title[:60]} already.")
    world.add("notes", "n", {"title": title, "text": text})
    return {"ok": True}


def read_note(world: World, title: str) -> Any:
    """Read a note."""
    return {"text": _find(world, title)[1]["text"]}


def search_notes(world: World, word: str) -> Any:
    """Find notes that contain a word."""
    wanted = word.lower()
    return {
        "notes": [
            n["title"]
            for n in world.table("notes").values()
            if wanted in n["title"].lower() or wanted in n["text"].lower()
        ]
    }


def delete_note(world: World, title: str) -> Any:
    """Delete a note for good."""
    del world.table("notes")[_find(world, title)[0]]
    return {"ok": True}


def add_todo(world: World, task: str, priority: Priority) -> Any:
    """Add a task to the to-do list."""
    world.add("todos", "t", {"task": task, "priority": priority, "done": False})
    return {"ok": True}


def list_todos(world: World, priority: Priority) -> Any:
    """List the open tasks of a priority."""
    return {
        "todos": [
            {"todo": key, "task": t["task"]}
            for key, t in world.table("todos").items()
            if t["priority"] == priority and not t["done"]
        ]
    }


def complete_todo(world: World, todo: str) -> Any:
    """Mark a task of the to-do list as done."""
    record = world.table("todos").get(todo)
    if record is None:
        raise ToolError(f"no task {todo[:60]}. Tasks have ids such as t14: see list_todos.")
    record["done"] = True
    return {"ok": True}


TOOLS = (
    tool(add_note, writes=True),
    tool(read_note),
    tool(search_notes),
    tool(delete_note, writes=True),
    tool(add_todo, writes=True),
    tool(list_todos),
    tool(complete_todo, writes=True),
)

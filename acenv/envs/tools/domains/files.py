"""A small virtual file system: paths are keys of a table, nothing of the machine's own disk is ever touched."""

from __future__ import annotations

from typing import Any

from acenv.envs.tools.tooling import Record, ToolError, World, tool

MAX_FILES = 200


def _check(path: str) -> str:
    """Paths have one spelling each, so that no file can be reached, or mistaken for another, under two names."""
    if any(part in ("", ".", "..") or part != part.strip() for part in path.split("/")):
        raise ToolError(f"bad path {path[:80]}. Paths look like notes/plan.txt, without a leading / and without '..'.")
    return path


def _find(world: World, path: str) -> Record:
    record = world.table("files").get(_check(path))
    if record is None:
        raise ToolError(f"no file {path[:80]}. See list_files.")
    return record


def read_file(world: World, path: str) -> Any:
    """Read a file."""
    return {"text": _find(world, path)["text"]}


def write_file(world: World, path: str, text: str) -> Any:
    """Write a file, replacing what it held."""
    files = world.table("files")
    if _check(path) not in files and len(files) >= MAX_FILES:
        raise ToolError(f"the disk is full: {MAX_FILES} files.")
    files[path] = {"path": path, "text": text}
    return {"ok": True}


def list_files(world: World, folder: str) -> Any:
    """List the files in a folder."""
    prefix = "" if folder in ("", ".", "/") else _check(folder.rstrip("/")) + "/"
    found = [path for path in world.table("files") if path.startswith(prefix)]
    if not found:
        raise ToolError(f"no folder {folder[:80]}.")
    return {"files": found}


def move_file(world: World, path: str, new_path: str) -> Any:
    """Move or rename a file."""
    record = _find(world, path)
    files = world.table("files")
    if _check(new_path) in files:
        raise ToolError(f"{new_path[:80]} exists already.")
    del files[path]
    files[new_path] = {"path": new_path, "text": record["text"]}
    return {"ok": True}


def delete_file(world: World, path: str) -> Any:
    """Delete a file for good."""
    _find(world, path)
    del world.table("files")[path]
    return {"ok": True}


TOOLS = (
    tool(read_file),
    tool(write_file, writes=True),
    tool(list_files),
    tool(move_file, writes=True),
    tool(delete_file, writes=True),
)

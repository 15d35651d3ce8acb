"""Official data sets: where their files are, and how they are read, with errors that name file, record and field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

GENERATED = "generated"
"""The ``source`` of environments that make their own tasks."""

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class RecordError(ValueError):
    """A file or a record of a data set that is not in the official format."""

    def __init__(self, path: Path | str, record: object, expected: str, got: str) -> None:
        """Say what is wrong where.

        Args:
            path: The file.
            record: Number or id of the record, or None where the file as a whole is at fault.
            expected: What should be there.
            got: What is there, in words (:func:`describe`).
        """
        where = f"{path}" if record is None else f"{path}, record {record}"
        super().__init__(f"{where}: expected {expected}, got {got}")


def find_source(source: str | Path, benchmark: str) -> Path:
    """The local file or folder of a data set.

    Args:
        source: A path, or the id of a data set on the Hugging Face hub, which is fetched once and cached.
        benchmark: What the data set is of, for the error.

    Raises:
        FileNotFoundError: There is no such path, and the hub does not have it or cannot be reached.
    """
    path = Path(source).expanduser()
    if path.exists():
        return path
    if not _HUB_ID.fullmatch(str(source)) or str(source).startswith((".", "/")):
        raise FileNotFoundError(
            f"no {benchmark} data at {source}: expected a folder or file in the official layout, or the id of a data "
            "set on the Hugging Face hub, such as owner/name"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(source), repo_type="dataset"))
    except Exception as error:  # the hub raises a dozen types for a missing repository or network
        raise FileNotFoundError(
            f"no {benchmark} data at {source}: there is no such folder, and the hub did not give a data set of that "
            f"name ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason'})"
        ) from error


def find_file(folder: Path, *names: str) -> Path:
    """The first of the named files that the folder holds, directly or further down.

    Raises:
        FileNotFoundError: It holds none of them; the message lists what it does hold.
    """
    if folder.is_file():
        return folder
    for name in names:
        if (folder / name).is_file():
            return folder / name
        if found := sorted(folder.glob(f"**/{name}")):
            return found[0]
    there = sorted(p.name for p in folder.iterdir())[:12]
    raise FileNotFoundError(
        f"{folder} holds no {' or '.join(names)}; it holds {', '.join(there) if there else 'nothing'}"
    )


def read_json(path: Path) -> Any:
    """The content of a JSON file; a copy of its own is not made, so do not change it.

    Raises:
        RecordError: It is not JSON in UTF-8.
    """
    return _read_json(path.resolve(), path.stat().st_mtime_ns)


@lru_cache(maxsize=32)
def _read_json(path: Path, modified: int) -> Any:
    del modified  # only there so that a changed file is read again
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise RecordError(path, None, "JSON in UTF-8", f"something else ({error})") from error


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The records of a JSON Lines file with the numbers of their lines, from 1; empty lines are passed over.

    Raises:
        RecordError: A line is not a JSON object in UTF-8.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise RecordError(path, f"in line {number}", "a JSON object", f"something else ({error})") from error
            if not isinstance(record, dict):
                raise RecordError(path, f"in line {number}", "a JSON object", describe(record))
            yield number, record


def take(record: Mapping[str, Any], key: str, kind: type | tuple[type, ...], path: Path, number: object) -> Any:
    """A field of a record.

    Raises:
        RecordError: It is missing or of another type.
    """
    names = " or ".join(_NAMES.get(k, k.__name__) for k in (kind if isinstance(kind, tuple) else (kind,)))
    if key not in record:
        raise RecordError(path, number, f"a field {key!r} with {names}", f"the fields {', '.join(map(repr, record))}")
    value = record[key]
    if not isinstance(value, kind):
        raise RecordError(path, number, f"{names} in {key!r}", describe(value))
    return value


_NAMES: dict[type, str] = {
    str: "a text",
    list: "a list",
    dict: "an object",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


def describe(value: object) -> str:
    """A short name of a JSON value for an error message.

    >>> describe([]), describe({"a": 1}), describe("yes")
    ('an empty list', 'an object with 1 item', "the text 'yes'")
    """
    if isinstance(value, str):
        return f"the text {value[:60]!r}"
    if isinstance(value, list):
        return f"a list with {len(value)} item{'s'[: len(value) != 1]}" if value else "an empty list"
    if isinstance(value, dict):
        return f"an object with {len(value)} item{'s'[: len(value) != 1]}" if value else "an empty object"
    return repr(value)[:60]

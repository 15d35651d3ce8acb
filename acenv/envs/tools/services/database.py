"""Generated tables that episodes share: an in-memory SQLite database that nobody can write to."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar, cast

T = TypeVar("T")

MAX_REMEMBERED = 2048
"""Results kept per database; an agent that asks for ever new things must not fill the memory."""

Rows = Mapping[str, Sequence[tuple[Any, ...]]]
"""Rows by table, in the order of the columns."""


class Database:
    """A read-only database, for any number of episodes and threads at once.

    Copies are the database itself, so that a snapshot of an episode does not copy it.
    """

    def __init__(self, schema: str, rows: Rows) -> None:
        """Make the tables, fill them, and close them to writing.

        Args:
            schema: SQL that creates the tables.
            rows: What goes into them.
        """
        # isolation_level=None: no transaction is ever left open.
        self._connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._lock = threading.Lock()
        self._remembered: dict[Hashable, Any] = {}
        self._connection.executescript(schema)
        self._connection.execute("BEGIN")
        for table, values in rows.items():
            if values:
                marks = ", ".join("?" * len(values[0]))
                self._connection.executemany(f"INSERT INTO {table} VALUES ({marks})", values)
        self._connection.execute("COMMIT")
        self._connection.execute("PRAGMA query_only = ON")

    def __deepcopy__(self, memo: dict[int, Any]) -> Database:
        return self

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows that a query gives; values go in as parameters only.

        Raises:
            sqlite3.Error: The query is wrong, or would write.
        """
        with self._lock:
            return self._connection.execute(sql, parameters).fetchall()

    def column(self, sql: str, *parameters: Any) -> list[Any]:
        """The first column of the rows."""
        return [row[0] for row in self.rows(sql, *parameters)]

    def first(self, sql: str, *parameters: Any) -> tuple[Any, ...] | None:
        """The first row, if there is one."""
        found = self.rows(sql, *parameters)
        return found[0] if found else None

    def remember(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What ``compute`` gave for this key before, or gives now; no error is remembered."""
        known = self._remembered.get(key)
        if known is not None:
            return cast(T, known)
        value = compute()
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered = {}
        self._remembered[key] = value
        return value

from __future__ import annotations

import copy
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from acenv.envs.tools.services.database import MAX_REMEMBERED, Database


def database() -> Database:
    return Database("CREATE TABLE t (a INTEGER, b TEXT);", {"t": [(i, f"row {i}") for i in range(100)]})


@pytest.mark.parametrize(
    "sql",
    ["DELETE FROM t", "INSERT INTO t VALUES (1, 'x')", "DROP TABLE t", "CREATE TABLE u (a)", "UPDATE t SET a = 0"],
)
def test_nothing_can_be_written(sql: str) -> None:
    data = database()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        data.rows(sql)
    assert data.first("SELECT COUNT(*) FROM t") == (100,)


def test_values_are_parameters() -> None:
    data = database()
    assert data.rows("SELECT a FROM t WHERE b = ?", "x' OR '1'='1") == []
    assert data.column("SELECT a FROM t WHERE b = ?", "row 7") == [7]
    assert data.first("SELECT a FROM t WHERE b = ?", "none") is None


def test_threads_read_at_once() -> None:
    data = database()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: data.column("SELECT a FROM t WHERE b = ?", f"row {i % 100}")[0], range(800)))
    assert found == [i % 100 for i in range(800)]


def test_a_copy_is_the_database_itself() -> None:
    data = database()
    assert copy.deepcopy({"x": data})["x"] is data


def test_results_are_remembered_up_to_a_limit_and_errors_are_not() -> None:
    data = database()
    assert [data.remember("key", lambda: 1), data.remember("key", lambda: 2)] == [1, 1]
    with pytest.raises(KeyError):
        data.remember("bad", lambda: {}["x"])
    assert data.remember("bad", lambda: 3) == 3
    for i in range(MAX_REMEMBERED):
        data.remember(i, lambda: 0)
    assert data.remember("key", lambda: 2) == 2

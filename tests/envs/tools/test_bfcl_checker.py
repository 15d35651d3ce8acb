"""When a call is right, by example; the parity tests compare with the official checker."""

from __future__ import annotations

import time
from typing import Any

import pytest

from acenv.envs.base import UnscorableError
from acenv.envs.tools.bfcl.checker import check
from acenv.envs.tools.bfcl.converters import from_java, from_javascript
from acenv.envs.tools.bfcl.gold import right_calls
from acenv.envs.tools.bfcl.tasks import Language
from acenv.envs.tools.calls import Call


def function(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"name": "shop.order", "parameters": {"type": "dict", "properties": properties, "required": required}}


def verdict(schema: Any, accepted: list[Any], value: Any, language: Language = "python") -> str:
    right = [{"shop.order": {"x": accepted}}]
    return check("simple", [Call("shop_order", {"x": value})], [function([], x=schema)], right, language)


STRINGS = {"type": "array", "items": {"type": "string"}}
LINES = {"type": "array", "items": {"type": "dict", "properties": {}}}


@pytest.mark.parametrize(
    ("schema", "accepted", "right", "wrong"),
    [
        ({"type": "string"}, ["April 1, 2024"], ["april 1 2024", "April-1/2024"], ["April 2, 2024", "", 1]),
        ({"type": "integer"}, [3, 4], [3, 4], [5, 3.0, "3", True]),
        ({"type": "float"}, [3.5, 4.0], [3.5, 4, 4.0], [3, "3.5"]),
        ({"type": "float"}, [5], [5, 5.0], [6]),
        ({"type": "boolean"}, [True], [True], [False, "true", 1]),
        ({"type": "integer"}, ["count"], ["count"], ["other", "COUNT", 3]),
        (STRINGS, [["a b", "c"]], [["a b", "c"], ["AB", "c"]], [["c", "a b"], ["a b"], "a b", ["a b", 1]]),
        (STRINGS, ["", ["a"]], [["a"]], [["b"], [1]]),
        ({"type": "tuple", "items": {"type": "float"}}, [[1.0, 2.0]], [(1.0, 2.0), [1.0, 2.0]], [(2.0, 1.0)]),
        ({"type": "array", "items": {"type": "integer"}}, [[1, 2]], [[1, 2]], [(1, 2), [1.0, 2.0]]),
        (
            {"type": "dict"},
            [{"a": [1, 2], "b": ["x", ""]}],
            [{"a": 2}, {"a": 1, "b": "X"}],
            [{"b": "x"}, {"a": 1, "c": 1}],
        ),
        (LINES, [[{"a": [1]}, {"a": [2]}]], [[{"a": 1}, {"a": 2}]], [[{"a": 2}, {"a": 1}], [{"a": 1}], []]),
    ],
)
def test_values(schema: Any, accepted: list[Any], right: list[Any], wrong: list[Any]) -> None:
    for value in right:
        assert verdict(schema, accepted, value) == ""
    for value in wrong:
        assert verdict(schema, accepted, value)


def test_parameters_and_functions() -> None:
    f = function(["a"], a={"type": "integer"}, b={"type": "integer"})
    right = [{"shop.order": {"a": [1], "b": [2, ""]}}]
    assert check("simple", [Call("shop.order", {"a": 1})], [f], right) == ""
    assert check("simple", [Call("shop_order", {"a": 1, "b": 2})], [f], right) == ""
    assert "missing" in check("simple", [Call("shop_order", {"b": 2})], [f], right)
    assert "no parameter" in check("simple", [Call("shop_order", {"a": 1, "c": 2})], [f], right)
    assert "'shop.order'" in check("simple", [Call("order", {"a": 1})], [f], right)
    assert "1 calls, not 0" in check("simple", [], [f], right)
    assert "missing" in check("simple", [Call("shop_order", {"a": 1})], [f], [{"shop.order": {"a": [1], "b": [2]}}])


def test_parallel_calls_match_in_any_order_and_each_once() -> None:
    f = function(["x"], x={"type": "integer"})
    right = [{"shop.order": {"x": [1, 2]}}, {"shop.order": {"x": [1]}}]
    calls = {n: Call("shop_order", {"x": n}) for n in (1, 2, 3)}
    assert check("parallel", [calls[2], calls[1]], [f], right) == ""
    assert check("parallel", [calls[2], calls[2]], [f], right)
    assert check("parallel", [calls[2], calls[1], calls[1]], [f], right)
    # The official matching is greedy: the first right call takes what the second needs.
    assert check("parallel", [calls[1], calls[2]], [f], right)


def test_relevance() -> None:
    call = Call("f")
    assert check("irrelevance", [], [], []) == check("relevance", [call], [], []) == ""
    assert check("irrelevance", [call], [], []) and check("relevance", [], [], [])


def test_where_the_official_checker_fails_there_is_no_verdict() -> None:
    with pytest.raises(UnscorableError, match="AttributeError"):
        verdict(LINES, [[{"a": [1]}], ""], [1])
    with pytest.raises(UnscorableError, match="KeyError"):
        verdict({"type": "matrix"}, [1], 1)


@pytest.mark.parametrize(
    ("language", "schema", "accepted", "right", "wrong"),
    [
        ("java", {"type": "long"}, [7], "7L", "7"),
        ("java", {"type": "float"}, [1.5], "1.5f", "1.5"),
        ("java", {"type": "boolean"}, [True], "true", "True"),
        ("java", {"type": "String"}, ["a"], "a", "b"),
        ("java", {"type": "Array", "items": {"type": "integer"}}, [[1, 2]], "new int[]{1, 2}", "[1, 2]"),
        (
            "java",
            {"type": "ArrayList", "items": {"type": "String"}},
            [["a"]],
            'new ArrayList<>(Arrays.asList("a"))',
            '"a"',
        ),
        ("java", {"type": "HashMap"}, [{"k": [1]}], 'new HashMap<>() {{ put("k", 1); }}', "{}"),
        ("javascript", {"type": "Bigint"}, [7], "7n", "7"),
        ("javascript", {"type": "array", "items": {"type": "String"}}, [["a"]], "['a']", "a"),
        ("javascript", {"type": "dict"}, [{"k": [1]}], "{k: 1}", "{k: 2}"),
        ("javascript", {"type": "Boolean"}, [False], "false", 0),
    ],
)
def test_other_languages(language: Language, schema: Any, accepted: Any, right: Any, wrong: Any) -> None:
    assert verdict(schema, accepted, right, language) == ""
    assert verdict(schema, accepted, wrong, language)
    gold = right_calls([function([], x=schema)], [{"shop.order": {"x": accepted}}], language)
    assert verdict(schema, accepted, gold[0].arguments["x"], language) == ""


@pytest.mark.parametrize("blank", [" ", "\n", "a", "[", ", []", "}", "a: ", "add("])
@pytest.mark.usefixtures("no_collections")
def test_hostile_expressions_take_no_time(blank: str) -> None:
    start = time.thread_time()
    for text in ("new ArrayList<>() {{", "new HashMap<>() {", "new HashMap<"):
        for kind in ("ArrayList", "HashMap"):
            from_java(text + blank * 900, kind, "String")
    for text in ("[ []", "{", "new Array(", "[ ["):
        for kind in ("array", "dict"):
            for size in (8, 300, 900):
                from_javascript(text + blank * size + "x}", kind)
    assert time.thread_time() - start < 0.5

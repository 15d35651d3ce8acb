"""Calls in the notation of Python, which are read and never run."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acenv.envs.tools.bfcl.parsing import parse_answer, parse_gold
from acenv.envs.tools.calls import Call, CallError


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("[f(a=1), g.h(b='x')]", [Call("f", {"a": 1}), Call("g.h", {"b": "x"})]),
        ("f()", [Call("f")]),
        ("f(a=1), g(a=2)", [Call("f", {"a": 1}), Call("g", {"a": 2})]),
        ("```python\n[f(a=[1, -2.5, True, None])]\n```", [Call("f", {"a": [1, -2.5, True, None]})]),
        ("<think>f(a=2)?</think>\nf(a=3)", [Call("f", {"a": 3})]),
        ("f(a=(1, 2), b={'k': 'v'})", [Call("f", {"a": (1, 2), "b": {"k": "v"}})]),
        ("f(a=name, b=true)", [Call("f", {"a": "name", "b": "true"})]),
        ("f(a=g(b=1), c=h(2))", [Call("f", {"a": {"g": {"b": 1}}, "c": "h(2)"})]),
        ("f(a=0.06/12, b=2*3 + 1, c=10**3)", [Call("f", {"a": 0.005, "b": 7, "c": 1000})]),
        ("f(1, a=2)", [Call("f", {"a": 2})]),
        ('{"name": "f", "arguments": {"a": 1}}\n{"name": "g", "arguments": {}}', [Call("f", {"a": 1}), Call("g")]),
        ('[{"name": "f", "arguments": {"a": "(x)"}}]', [Call("f", {"a": "(x)"})]),
    ],
)
def test_what_is_understood(text: str, calls: list[Call]) -> None:
    assert parse_answer(text) == calls


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        "[]",
        "I would call f(a=1).",
        "f(a=1) and g(b=2)",
        "f(**{'a': 1})",
        "f(a=lambda: 1)",
        "f(a=[x for x in y])",
        "f(a=__import__('os').system)",
        "f(a='x' * 10**9)",
        "f(a=9**9**9)",
        "f(a=10**64**2)",
        "f(a=1e999)",
        "f(a=1/0)",
        "f(a=(-8)**0.5)",
        "f(a='\\ud800')",
        "(lambda: 1)()",
        "[1, f()]",
        "[" + "f(), " * 17 + "]",
    ],
)
def test_what_is_not(text: str) -> None:
    with pytest.raises(CallError):
        parse_answer(text)


@pytest.mark.parametrize(
    "text",
    [
        f"f(a={'(' * 19_000})",
        f"f(a={'-' * 19_000}1)",
        f"f(a={'1+' * 9_000}1)",
        f"f(a={'[' * 9_000}{']' * 9_000})",
        f"f{'.a' * 9_000}(b=1)",
        f"f(a=x{'[0]' * 6_000})",
        f"f(a={'9' * 19_000})",
        f"[{'f(),' * 4_000}f()]",
        "f(a=" * 4_000 + "1" + ")" * 4_000,
    ],
    ids=lambda text: text[:8],
)
@pytest.mark.usefixtures("no_collections")
def test_hostile_texts_are_refused_in_no_time(text: str) -> None:
    start = time.thread_time()
    with pytest.raises(CallError):
        parse_answer(text)
    assert time.thread_time() - start < 0.1


@given(st.text(alphabet="fg.(){}[]=,:'\"\\1-*/ \n`ax", max_size=60))
def test_any_text_gives_calls_or_a_complaint(text: str) -> None:
    try:
        calls = parse_answer(text)
    except CallError:
        return
    assert calls
    for call in calls:
        repr(call).encode()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES))
def test_python_and_json_say_the_same(arguments: dict[str, object]) -> None:
    code = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    assert parse_answer(f"[f({code})]") == parse_answer(Call("f", arguments).to_json()) == [Call("f", arguments)]


def test_right_calls_of_the_data_may_give_arguments_by_position() -> None:
    assert parse_gold("f(1, c=3)", lambda name: ["a", "b"]) == Call("f", {"a": 1, "c": 3})
    with pytest.raises(CallError):
        parse_gold("f", lambda name: [])

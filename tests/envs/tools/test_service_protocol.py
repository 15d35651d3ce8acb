from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acenv.envs.tools.calls import Call, CallError
from acenv.envs.tools.services.protocol import parse_action, say

LOOK = Call("get_elevation", {"latitude": 1.5, "longitude": -2})


@pytest.mark.parametrize(
    "text",
    [
        'Action: get_elevation with Action Input: {"latitude": 1.5, "longitude": -2}',
        'get_elevation with Action Input: {"latitude": 1.5, "longitude": -2}',
        'I think.\nAction: get_elevation with Action Input: {"latitude": 1.5, "longitude": -2}\nObservation: 3',
        'action: `get_elevation`  with action input:\n{"latitude": 1.5, "longitude": -2}',
        "Action: get_elevation with Action Input: {'latitude': 1.5, 'longitude': -2}",
        "Action: get_elevation with Action Input: {'latitude': 1.5,\n 'longitude': -2}",
        "<think>Action: finish with Action Input: {}</think>Action: get_elevation with Action Input: "
        '{"latitude": 1.5, "longitude": -2}',
        'Action: get_elevation with Action Input: {"latitude": 1.5, "longitude": -2}\n'
        'Action: finish with Action Input: {"answer": 1}',
        '{"name": "get_elevation", "arguments": {"latitude": 1.5, "longitude": -2}}',
        '<tool_call>{"name": "get_elevation", "arguments": {"latitude": 1.5, "longitude": -2}}</tool_call>',
        '{"name": "get_elevation", "arguments": {"latitude": 1.5, "longitude": -2}}\n{"name": "finish"}',
    ],
)
def test_forms_that_are_understood(text: str) -> None:
    assert parse_action(text) == LOOK


def test_words_of_the_form_inside_of_json_are_data() -> None:
    call = Call("finish", {"answer": "Action: get_elevation with Action Input: {}"})
    assert parse_action(call.to_json()) == call
    assert parse_action(say(call)) == call


def test_python_literals_become_json() -> None:
    call = parse_action("Action: f with Action Input: {'a': (1, 'x'), 'b': None, 'c': True}")
    assert call == Call("f", {"a": [1, "x"], "b": None, "c": True})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Action: get_elevation",
        "Action: get_elevation with Action Input:",
        "Action: get_elevation with Action Input: nothing",
        "Action: get_elevation with Action Input: []",
        'Action: get_elevation with Action Input: {"a": ',
        " with Action Input: {}",
        'Action: f with Action Input: {"a": NaN}',
        'Action: f with Action Input: {"a": 1e999}',
        "Action: f with Action Input: {'a': {1, 2}}",
        "Action: f with Action Input: {'a': b'x'}",
        "Action: f with Action Input: {'a': 1e999}",
        "Action: f with Action Input: {'a': __import__('os').getcwd()}",
        'Action: f with Action Input: {"a": 1, "a": 2}',
        "Action: f with Action Input: {'a': 1, 'a': 2}",
        'Action: f with Action Input: {"a": "\\ud800"}',
        "Action: f with Action Input: {'a': '\\ud800'}",
        'Action: f with Action Input: {"a": ' + "[" * 17 + "]" * 17 + "}",
        "Action: f with Action Input: {'a': " + "[" * 900 + "]" * 900 + "}",
        "Action: f with Action Input: {'a': " + "-" * 3900 + "1}",
        "Action: f with Action Input: {'a': " + "1" * 5000 + "}",
        '{"name": "f", "arguments": []}',
    ],
)
def test_what_is_no_call_is_told(text: str) -> None:
    with pytest.raises(CallError) as error:
        parse_action(text)
    assert len(str(error.value)) < 400


@given(st.text() | st.text().map(lambda t: "Action: f with Action Input: {" + t))
def test_any_text_is_a_call_or_a_complaint(text: str) -> None:
    with contextlib.suppress(CallError):
        assert isinstance(parse_action(text), Call)


@pytest.mark.parametrize(
    "text",
    [
        " " * 20_000,
        " \t" * 10_000,
        "with " * 4000,
        "with action input:" * 1100,
        "action:" * 2800,
        "{" * 20_000,
        "Action: f with Action Input: " + "{'a':" * 3900,
        "Action: f with Action Input: {'a': " + "1+" * 1900 + "1}",
    ],
)
def test_hostile_text_costs_little_time(text: str) -> None:
    start = time.process_time()
    with pytest.raises(CallError):
        parse_action(text)
    assert time.process_time() - start < 0.5


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.from_regex(r"[a-z_]{1,20}", fullmatch=True), st.dictionaries(st.text(), VALUES, max_size=4))
def test_what_is_said_is_read_back(name: str, arguments: dict[str, object]) -> None:
    call = Call(name, arguments)
    assert parse_action(say(call)) == call

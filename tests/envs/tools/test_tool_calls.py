from __future__ import annotations

import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from acenv.envs.tools.calls import MAX_CALLS, Call, CallError, parse_calls

ARGUMENTS = {"to": "Ana", "text": "blue lamp"}
PLAIN = json.dumps({"name": "send_message", "arguments": ARGUMENTS})
WANTED = [Call("send_message", ARGUMENTS)]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        f"  {PLAIN}\n",
        f"```json\n{PLAIN}\n```",
        f"<tool_call>\n{PLAIN}\n</tool_call>",
        f"<tool_call>{PLAIN}",
        f"I call {{this}} tool [now]: {PLAIN} and wait.",
        f'<think>maybe {{"name": "delete_file", "arguments": {{}}}}?</think>{PLAIN}',
        f'The record was {{"name": "Ana", "phone": "1"}}, so: {PLAIN}',
        f'Not {{"name": "x", "arguments": {{}}}} but <tool_call>{PLAIN}</tool_call>',
        json.dumps([{"name": "send_message", "arguments": ARGUMENTS}]),
        json.dumps({"name": "send_message", "parameters": ARGUMENTS}),
        json.dumps({"name": "send_message", "arguments": json.dumps(ARGUMENTS)}),
        json.dumps({"id": "c1", "type": "function", "function": {"name": "send_message", "arguments": ARGUMENTS}}),
        json.dumps({"function": {"name": "send_message", "arguments": json.dumps(ARGUMENTS)}}),
        json.dumps({"function": "send_message", "arguments": ARGUMENTS}),
        json.dumps({"type": "function", "name": "send_message", "parameters": ARGUMENTS}),
    ],
)
def test_every_common_style_is_understood(text: str) -> None:
    assert parse_calls(text) == WANTED


def test_calls_keep_their_order() -> None:
    text = "".join(f'<tool_call>{{"name": "t{i}"}}</tool_call>' for i in range(3))
    assert parse_calls(text) == parse_calls('[{"name": "t0"}, {"name": "t1"}, {"name": "t2"}]')
    assert [c.name for c in parse_calls('{"name": "b"}\n{"name": "a"}')] == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "No tool call"),
        ("I am done.", "No tool call"),
        ('{"name": "x", "arguments": {"a": 1}', "Not valid JSON"),
        ('{"name": "get_contact", "arguments": {"name": "Ana"}', "Not valid JSON"),
        ('{"name": "x", "arguments": {"a": NaN}}', "NaN"),
        ('{"name": "x", "arguments": {"a": -Infinity}}', "Infinity"),
        ('{"name": "x", "arguments": {"a": 1e999}}', "too large"),
        ('{"name": "x", "arguments": {"a": 1, "a": 2}}', "same key twice"),
        ('{"name": "x", "arguments": {"a": ' + "9" * 5000 + "}}", "Not valid JSON"),
        ('{"name": "x", "arguments": {"a": "\\ud800"}}', "half a character"),
        ('{"name": "x", "arguments": [1]}', "JSON object"),
        ('{"name": "x", "arguments": "[1"}', "Not valid JSON"),
        ('{"name": 3, "arguments": {}}', "must be a string"),
        ('{"phone": "12 34"}', "no call"),
        ('{"name": "x", "arguments": {"a": ' + "[" * 40 + "]" * 40 + "}}", "deep"),
        ('{"name": "x", "arguments": {"a": ' + "[" * 9000 + "]" * 9000 + "}}", "deep"),
        (PLAIN * (MAX_CALLS + 1), "More than"),
    ],
)
def test_complaints_say_what_was_wrong(text: str, word: str) -> None:
    with pytest.raises(CallError, match=word):
        parse_calls(text)


@pytest.mark.parametrize(
    "unit", ["{", "[", '{"', '{"a":', "[{", '{"name": ', "<tool_call>", "{ ", '{"\\', '{"name":"a"}']
)
def test_hostile_text_is_fast(unit: str) -> None:
    text = unit * (20_000 // len(unit))
    start = time.perf_counter()
    with pytest.raises(CallError):
        parse_calls(text)
    assert time.perf_counter() - start < 1.0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(), st.dictionaries(st.text(), JSON, max_size=4))
@example("", {"\x1f": "<tool_call>"})
@example("", {"\x1f": "</think>"})
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read(name: str, arguments: dict) -> None:
    call = Call(name, arguments)
    assert parse_calls(call.to_json()) == [call]


@given(st.text(alphabet='{}[]":,\\abn 0\n<>/_tool_call'))
@settings(max_examples=300, deadline=None)
def test_any_text_gives_calls_or_a_complaint(text: str) -> None:
    try:
        assert parse_calls(text)
    except CallError as error:
        assert str(error)

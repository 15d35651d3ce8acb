from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acenv.analysis.divergence import (
    DIVERGENCES,
    divergence_kind,
    excerpt,
    first_divergence,
    prompt_messages,
)
from acenv.types import Message, Step

CALL = '{"name": "get_price", "arguments": {"item": "tin cup"}}'


def said(role: str, content: str) -> Message:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("base", "compressed", "kind"),
    [
        (CALL, CALL.replace("get_price", "get_prize"), "tool name"),
        (CALL, CALL.replace("get_price", "shell"), "tool name"),
        (CALL, CALL.replace("get_price", "get_prices"), "tool name"),
        (CALL, CALL.replace("get_price", "get"), "tool name"),
        (CALL, CALL.replace("tin cup", "tin cap"), "argument"),
        (CALL, CALL.replace("tin cup", "tin cups"), "argument"),
        (CALL, CALL.replace('"item"', '"goods"'), "argument"),
        (CALL, CALL.replace('"arguments"', '"argument"'), "syntax"),
        (CALL, CALL.replace('"name"', "name"), "syntax"),
        (CALL, CALL[:-1], "stopped early"),
        (CALL, "", "stopped early"),
        (CALL, CALL + " or not", "went on"),
        ("Node:\n1: get map\nEdge: (START,1)", "Node:\n1: get cup\nEdge: (START,1)", "node"),
        ("Node:\n1: get map\nEdge: (START,1)", "Node:\n1: get map\nEdge: (1,END)", "edge"),
        ("Thought: look\nAction: go", "Thought: jump\nAction: go", "thought"),
        ("steady pigeon 92", "steady badger 92", "text"),
    ],
)
def test_an_action_is_of_the_kind_of_what_differs_first(base: str, compressed: str, kind: str) -> None:
    assert divergence_kind(Step(base, 1.0), Step(compressed, 0.0)) == kind


def test_a_cut_text_is_of_the_kind_at_which_it_derailed() -> None:
    derailed = CALL.replace("get_price", "shell") + "askaskask"
    assert divergence_kind(Step(CALL, 1.0), Step(derailed, 0.0, "length")) == "tool name"
    assert divergence_kind(Step(CALL, 1.0), Step(CALL[:20], 0.0, "length")) == "cut off"
    assert divergence_kind(Step(CALL, 1.0), Step("", 0.0, "context")) == "cut off"


def test_the_verb_of_a_command_stands_for_a_tool() -> None:
    assert divergence_kind(Step("take knife", 0.0), Step("drop knife", 0.0), env_id="acenv/Household-v0") == "tool name"
    assert divergence_kind(Step("take knife", 0.0), Step("take spoon", 0.0), env_id="acenv/Household-v0") == "argument"


PIECES = st.lists(
    st.sampled_from([*'{}[]":,', "name", "get", "Node:\n", "Edge: ", "(1,2)", "Thought: ", "\n", " ", "é\U0001f600"])
).map("".join)
FINISHES = st.sampled_from(["stop", "length", "context"])


@given(PIECES, PIECES, FINISHES)
def test_any_two_texts_have_a_kind(ours: str, theirs: str, finish: str) -> None:
    assert divergence_kind(Step(ours, 0.0), Step(theirs, 0.0, finish)) in DIVERGENCES  # type: ignore[arg-type]


@given(PIECES, PIECES, st.integers(4, 60))
def test_an_excerpt_shows_the_difference(ours: str, theirs: str, limit: int) -> None:
    left, right = excerpt(ours, theirs, limit)
    assert len(left) <= limit and len(right) <= limit
    assert (left == right) == (ours == theirs)


def test_episodes_part_at_an_action_an_end_or_a_full_context() -> None:
    path = [Step("a", 0.0), Step("b", 0.0)]
    assert first_divergence(path, path) is None
    assert first_divergence([], []) is None
    assert first_divergence(path, path[:1]) == 1
    assert first_divergence(path, [Step("a", 0.0), Step("b", 0.0, "context")]) == 1
    assert first_divergence(path, [Step("a", 0.5, "length"), Step("b", 0.0)]) is None


def test_the_conversation_before_a_step_leaves_out_what_came_later() -> None:
    messages = [
        said("user", "example"),
        said("assistant", "shown"),
        said("user", "task"),
        said("assistant", "a"),
        said("user", "seen"),
        said("assistant", "b"),
        said("user", "end"),
    ]
    steps = [Step("a", 0.0), Step("b", 0.0)]
    assert [len(prompt_messages(messages, steps, t)) for t in range(2)] == [3, 5]
    full = [*steps, Step("", 0.0, "context")]
    assert [len(prompt_messages(messages, full, t)) for t in range(3)] == [3, 5, 7]

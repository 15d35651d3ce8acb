from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import acenv
from acenv.analysis.kinds import COMMANDS, KINDS, mark
from acenv.registry import SIMULATORS

TOOLS = [{"type": "function", "function": {"name": "get_price", "parameters": {}}}]


def pieces(text: str, *, commands: bool = False) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in mark(text, TOOLS, commands=commands)]


def of(kind: str, text: str, **options: bool) -> list[str]:
    return [piece.strip() for name, piece in pieces(text, **options) if name == kind]


@pytest.mark.parametrize(
    ("text", "names", "arguments"),
    [
        ('{"name": "get_item", "arguments": {"item": "ocean-87"}}', ["get_item"], ["item", "ocean-87"]),
        (
            '{"name": "f", "arguments": {"name": "Ann", "n": [1, {"a": null}]}}',
            ["f"],
            ["name", "Ann", "n", "1", "a", "null"],
        ),
        ('[{"name": "x.y", "args": {"p": "r"}}, {"name": "x.z", "args": {}}]', ["x.y", "x.z"], ["p", "r"]),
        ('{"to": "get_price", "values": {"item": "a"}}', ["get_price"], ["item", "a"]),
        ('```json\n{"name": "go"}\n```', ["go"], []),
        ('<tool_call>{"name": "go"}</tool_call>', ["go"], []),
        ('Action: get_cell with Action Input: {"position": "B2"}', ["get_cell"], ["position", "B2"]),
        ('[find(city="Rome"), stop()]', ["find", "stop"], ["[", 'city="Rome"),']),
        ("search[blue shoes]", ["search"], ["blue shoes"]),
        ('Sure! {"name": "a', ["a"], []),
    ],
)
def test_calls_are_taken_apart(text: str, names: list[str], arguments: list[str]) -> None:
    assert of("tool name", text) == names
    assert of("argument", text) == arguments


def test_thoughts_are_not_arguments() -> None:
    assert of("thought", '{"thought": "look it up", "name": "f", "args": {"thought": "mine"}}') == ["look it up"]
    assert of("thought", "Thought: I must look.\nAction: go") == ["I must look."]
    assert of("thought", '<think>hm {"</think>3') == ['hm {"']


def test_graphs_have_nodes_and_edges() -> None:
    text = "Node:\n1: get map\n2: clean room\nEdge: (START,1) (1,2)\n(2,END)"
    assert of("node", text) == ["get map", "clean room"]
    assert of("edge", text) == ["(START,1) (1,2)", "(2,END)"]
    assert of("syntax", text)[0] == "Node:\n1:"


def test_plain_text_is_a_command_only_in_a_world() -> None:
    assert pieces("take knife") == [("text", "take knife")]
    assert pieces("take knife", commands=True) == [("tool name", "take"), ("argument", " knife")]
    assert of("tool name", "Action: take knife", commands=True) == ["take"]


FORMS = st.sampled_from(
    [
        *(
            '{"name": "',
            '"',
            "}",
            "{",
            "[",
            "]",
            ", ",
            ": ",
            "Action: ",
            "Thought: ",
            " with Action Input: ",
            "Node:\n",
        ),
        *("1: ", "\n", "Edge: ", "(1,2)", "<think>", "</think>", "f(", "a=1)", "arguments", "\\", "é🙂", " ", "```"),
        *("get_price", "\ud800"),
    ]
)


@given(st.one_of(st.text(), st.lists(FORMS, max_size=30).map("".join)), st.booleans())
def test_any_text_is_covered_in_order(text: str, commands: bool) -> None:
    spans = mark(text, TOOLS, commands=commands)
    assert "".join(text[span.start : span.end] for span in spans) == text
    assert all(span.start < span.end and span.kind in KINDS for span in spans)
    assert all(
        left.end == right.start and left.kind != right.kind for left, right in zip(spans, spans[1:], strict=False)
    )


EXPECTED = {
    "tool name": (
        "ToolSandbox",
        "BFCL",
        "ToolPlan",
        "ToolReason",
        "ToolQuery",
        "ToolOperation",
        "PDDL",
        "Household",
        "Shop",
    ),
    "node": ("WorkflowFunctionCall", "WorkflowEmbodied", "WorkflowProblemSolving", "WorkflowOpenGrounded"),
    "edge": ("WorkflowFunctionCall", "WorkflowEmbodied", "WorkflowProblemSolving", "WorkflowOpenGrounded"),
    "text": ("Needle", "Ruler", "LongBench", "LongGenBench", "ToolReview"),
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in EXPECTED.items() for name in names])
def test_what_experts_say_is_recognised(kind: str, name: str) -> None:
    env_id = f"acenv/{name}-v0"
    results = acenv.evaluate(env_id, "oracle", range(5))
    for transcript in results.transcripts():
        said = "\n".join(step.action for step in transcript.steps)
        found = {
            span.kind
            for step in transcript.steps
            for span in mark(step.action, transcript.tools, commands=env_id in COMMANDS)
        }
        calls_nothing = kind == "tool name" and said.strip().lower() in ("done", "none")  # as some tasks ask for
        assert kind in found or calls_nothing, said


def test_worlds_are_named_by_their_ids() -> None:
    assert set(acenv.env_ids()) >= COMMANDS >= set(SIMULATORS)

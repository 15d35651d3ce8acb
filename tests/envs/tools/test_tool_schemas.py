from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from acenv.envs.tools.domains import TOOLS
from acenv.envs.tools.tooling import ToolError, World

LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 40),
    st.integers(),
    st.floats(-3, 40),
    st.sampled_from(
        [3.0, 1e6, 1e13, 10**30, "", "Monday", "12:30", "24:00", "12:30\n", "on", "km", "high", "x" * 2001]
    ),
    st.text(max_size=6),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    name = draw(st.sampled_from(sorted(TOOLS)))
    properties = TOOLS[name].schema["function"]["parameters"]["properties"]
    arguments = {}
    for key, schema in properties.items():
        if draw(st.integers(0, 9)) == 0:
            continue
        likely = st.sampled_from(schema["enum"]) if "enum" in schema else LEAVES
        arguments[key] = draw(st.one_of(likely, LEAVES))
    if draw(st.integers(0, 9)) == 0:
        arguments[draw(st.text(max_size=4))] = draw(LEAVES)
    return name, arguments


@given(calls())
@settings(max_examples=600, deadline=None)
def test_the_fast_check_agrees_with_jsonschema(call: tuple[str, dict[str, Any]]) -> None:
    name, arguments = call
    spec = TOOLS[name]
    valid = Draft202012Validator(spec.schema["function"]["parameters"]).is_valid(arguments)
    assert (spec.complaint(arguments) == "") == valid


@given(calls())
@settings(max_examples=300, deadline=None)
def test_valid_calls_work_or_explain(call: tuple[str, dict[str, Any]]) -> None:
    name, arguments = call
    spec = TOOLS[name]
    world = World({"rooms": {"hall": {"degrees": 20}}, "contacts": {"Ana": {"name": "Ana", "phone": "1"}}})
    if spec.complaint(arguments):
        return
    try:
        spec.run(world, arguments)
    except ToolError as error:
        assert str(error)


def test_there_are_enough_tools() -> None:
    assert len(TOOLS) >= 25
    assert len({spec.domain for spec in TOOLS.values()}) >= 6
    for spec in TOOLS.values():
        assert spec.schema["function"]["description"]
        Draft202012Validator.check_schema(spec.schema["function"]["parameters"])


def test_complaints_name_the_parameter_and_the_form() -> None:
    complaint = TOOLS["create_event"].complaint({"title": "x", "day": "Monday", "time": "9 am"})
    assert "time" in complaint and "Parameters:" in complaint
    assert "'day' is a required property" in TOOLS["list_events"].complaint({})


def test_a_whole_number_written_as_a_float_is_an_integer() -> None:
    world = World({"rooms": {"hall": {"degrees": 20}}})
    spec = TOOLS["set_temperature"]
    assert spec.complaint({"room": "hall", "degrees": 21.0}) == ""
    spec.run(world, {"room": "hall", "degrees": 21.0})
    assert repr(world.table("rooms")["hall"]["degrees"]) == "21"


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "./a", "a//b", "a/", "", " a"])
def test_paths_have_one_spelling(path: str) -> None:
    world = World({"files": {"a/b": {"path": "a/b", "text": "t"}}})
    for name, arguments in (
        ("read_file", {"path": path}),
        ("write_file", {"path": path, "text": "x"}),
        ("delete_file", {"path": path}),
        ("move_file", {"path": "a/b", "new_path": path}),
    ):
        with pytest.raises(ToolError, match="path"):
            TOOLS[name].run(world, arguments)
    assert list(world.table("files")) == ["a/b"]


def run(world: World, name: str, **arguments: Any) -> Any:
    assert TOOLS[name].complaint(arguments) == ""
    return TOOLS[name].run(world, arguments)


def test_domains_hold_state() -> None:
    world = World(
        {
            "contacts": {"Ana": {"name": "Ana", "phone": "1", "city": "Oslo"}},
            "accounts": {k: {"owner": "Ana", "kind": k, "balance": 10} for k in ("a", "b")},
            "items": {"k1": {"name": "red lamp", "stock": 4, "price": 5}},
        }
    )
    event = run(world, "create_event", title="x", day="Monday", time="09:30")["id"]
    with pytest.raises(ToolError, match="taken"):
        run(world, "create_event", title="y", day="Monday", time="09:30")
    run(world, "move_event", event=event, day="Monday", time="09:30")
    run(world, "cancel_event", event=event)
    assert run(world, "create_event", title="y", day="Monday", time="09:30")["id"] != event
    run(world, "transfer_money", source="a", target="b", amount=10)
    with pytest.raises(ToolError, match="only 0"):
        run(world, "transfer_money", source="a", target="b", amount=1)
    assert run(world, "get_balance", account="b") == {"balance": 20}
    with pytest.raises(ToolError, match="Did you mean Ana"):
        run(world, "send_message", to="Ana Bell", text="x")
    assert run(world, "search_items", word="LAMP") == {"items": [{"item": "k1", "name": "red lamp"}]}
    with pytest.raises(ToolError, match="measures"):
        run(world, "convert_units", value=1, unit="m", to="kg")
    assert run(world, "convert_units", value=1.5, unit="km", to="m") == {"value": 1500}
    run(world, "add_todo", task="buy bread", priority="low")
    todo = run(world, "list_todos", priority="low")["todos"][0]["todo"]
    run(world, "complete_todo", todo=todo)
    assert run(world, "list_todos", priority="low") == {"todos": []}

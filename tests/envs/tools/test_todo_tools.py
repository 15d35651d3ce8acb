from __future__ import annotations

from typing import Any

import pytest

from acenv.envs.tools.services.service import Refusal
from acenv.envs.tools.services.todo_world import TOOLS, TodoWorld, without_ids


def lists() -> TodoWorld:
    task = {"order": 1, "priority": 4, "due_date": "2026-03-14", "duration": 30, "description": "Ask Ana."}
    return TodoWorld(
        "2026-03-14",
        "Oslo",
        {"p1": {"order": 1, "name": "House", "color": "red", "is_favorite": False}},
        {
            "t1": {"project_id": "p1", "content": "Paint the door", **task},
            "t2": {"project_id": "p1", "content": "Paint the floor", **task},
        },
    )


def use(world: TodoWorld, name: str, **arguments: Any) -> Any:
    complaint = TOOLS[name].complaint(arguments)
    assert not complaint, complaint
    return TOOLS[name].run(world, arguments)


def test_listings_tell_ids_and_leave_the_rest_to_be_asked() -> None:
    world = lists()
    assert [task["id"] for task in use(world, "get_tasks", project_id="p1")] == ["t1", "t2"]
    assert "description" not in use(world, "get_tasks", project_id="p1")[0]
    assert use(world, "get_task_description", task_id="t1")["description"] == "Ask Ana."
    assert use(world, "get_task_duration", task_id="t1")["duration"] == "30(minute)"
    assert use(world, "get_user_current_date") == "2026-03-14"
    assert use(world, "get_user_current_location") == "Oslo"
    assert world == lists()


@pytest.mark.parametrize(("tool", "how"), [("complete_task", "completed"), ("delete_task", "deleted")])
def test_a_task_goes_once_and_for_good(tool: str, how: str) -> None:
    world = lists()
    result = use(world, tool, task_id="t1")
    assert result["message"] == f"task {how}"
    assert world.removed == {"t1": how}
    assert [task["id"] for task in use(world, "get_tasks", project_id="p1")] == ["t2"]
    for name in ("complete_task", "delete_task", "get_task_duration"):
        with pytest.raises(Refusal, match="t1 does not exist"):
            use(world, name, task_id="t1")


def test_dates_and_favorites_change() -> None:
    world = lists()
    assert use(world, "update_task", task_id="t2", due_date="2026-04-01")["task"]["due_date"] == "2026-04-01"
    assert use(world, "update_project", project_id="p1", is_favorite=True)["project"]["is_favorite"] is True
    with pytest.raises(Refusal, match="no day"):
        use(world, "update_task", task_id="t2", due_date="2026-02-30")
    assert TOOLS["update_task"].complaint({"task_id": "t2", "due_date": "tomorrow"})


@pytest.mark.parametrize("key", ["../t1", "t1' OR '1'='1", "t1; DROP TABLE tasks", "", "🙂", "x" * 2000])
def test_ids_are_just_ids(key: str) -> None:
    world = lists()
    for name in ("complete_task", "delete_task", "get_task_description"):
        with pytest.raises(Refusal, match="does not exist"):
            use(world, name, task_id=key)
    assert world == lists()


def test_answers_are_compared_without_order_and_quotes() -> None:
    world = lists()
    assert use(world, "finish", answer=["b", "a"]) == use(world, "finish", answer=["a", "b"])
    assert use(world, "finish", answer="120") == 120
    assert use(world, "finish", answer=[1, "a", None]) == [1, None, "a"]
    assert without_ids([{"id": "7", "task": {"id": "8", "content": "tea"}}]) == [{"task": {"content": "tea"}}]

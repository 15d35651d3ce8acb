from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.envs.tools.calls import Call
from acenv.envs.tools.services.operation import ToolOperationEnv
from acenv.envs.tools.services.protocol import parse_action, say

DIFFICULTIES = ("easy", "medium", "hard")
DOMAINS = ("todo", "sheet")
RANGES = {"easy": (2, 3), "medium": (4, 8), "hard": (8, 15)}


def make(domain: str = "mixed", difficulty: str = "medium", **keywords: Any) -> ToolOperationEnv:
    return ToolOperationEnv(domain=domain, difficulty=difficulty, **keywords)  # type: ignore[arg-type]


def call(name: str, /, **arguments: Any) -> str:
    return say(Call(name, arguments))


def finish_with_expert(env: ToolOperationEnv) -> tuple[float, dict[str, float]]:
    total, over, info = 0.0, False, {}
    while not over:
        _, reward, terminated, truncated, info = env.step(env.expert_action())  # type: ignore[assignment]
        total, over = total + reward, terminated or truncated
    return total, info["metrics"]


def seed_with(env: ToolOperationEnv, *tools: str) -> int:
    """The first seed whose plan uses all of these tools."""
    for seed in range(500):
        env.reset(seed=seed)
        if set(tools) <= {step.name for step in env.task.plan}:
            return seed
    raise AssertionError(f"no task with {tools}")


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("domain", DOMAINS)
def test_the_expert_gets_exactly_everything(domain: str, difficulty: str, split: str) -> None:
    env = make(domain, difficulty, split=split)
    least, most = RANGES[difficulty]
    for seed in range(20):
        env.reset(seed=seed)
        total, metrics = finish_with_expert(env)
        assert total == 1.0
        assert metrics["success"] == metrics["progress"] == metrics["grounding"] == metrics["solved"] == 1.0
        assert metrics["damage"] == 0
        assert least <= len(env.task.plan) <= most
        assert env.steps == len(env.task.plan)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_every_kind_of_task_turns_up_in_both_splits(domain: str, difficulty: str) -> None:
    plans: dict[str, set[frozenset[str]]] = {}
    for split in ("train", "test"):
        env = make(domain, difficulty, split=split)
        plans[split] = set()
        for seed in range(60):
            env.reset(seed=seed)
            plans[split].add(frozenset(step.name for step in env.task.plan))
    assert len(plans["train"] & plans["test"]) >= (4 if domain == "todo" else 6)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("domain", DOMAINS)
def test_doing_nothing_gives_nothing_and_no_success(domain: str, difficulty: str) -> None:
    env = make(domain, difficulty)
    for seed in range(15):
        _, info = env.reset(seed=seed)
        assert info["metrics"]["progress"] == info["metrics"]["success"] == 0
        _, reward, terminated, _, info = env.step(call("finish"))
        assert (reward, terminated) == (0, True)
        assert info["metrics"]["success"] == info["metrics"]["solved"] == 0


def test_an_untouched_sheet_has_agentboards_points_but_no_return() -> None:
    env = make("sheet", "medium")
    _, info = env.reset(seed=0)
    untouched = info["metrics"]["sheet_similarity"]
    assert untouched > 0.3
    _, reward, _, _, info = env.step("no call at all")  # AgentBoard does not evaluate what it cannot read.
    assert (reward, info["metrics"]["progress"]) == (0, 0)
    _, reward, _, _, info = env.step(call("get_cell_value", position="B2"))
    assert (reward, info["metrics"]["progress"]) == (0, untouched)


def test_the_return_rises_with_the_work_and_ends_with_finish() -> None:
    env = make("sheet", "easy")
    env.reset(seed=seed_with(env, "update_note"))
    rewards = [env.step(env.expert_action())[1] for _ in range(3)]
    assert rewards == pytest.approx([1 / 3] * 3, abs=0.001)


def test_what_is_broken_in_a_sheet_costs_and_bars_the_full_return() -> None:
    env = make("sheet", "medium")
    env.reset(seed=seed_with(env, "update_cell"))
    while env.expert_action() != call("finish"):
        env.step(env.expert_action())
    _, _, _, _, info = env.step(call("update_cell", position="A1", value="oops"))
    assert info["metrics"]["damage"] + info["metrics"]["sheet_similarity"] > 1
    _, reward, _, _, info = env.step(call("finish"))
    assert reward == 0
    assert info["metrics"]["success"] == 1  # The running maximum of AgentBoard forgives it.
    assert info["metrics"]["solved"] == 0


def test_the_wrong_task_cannot_be_brought_back() -> None:
    env = make("todo", "medium")
    env.reset(seed=seed_with(env, "complete_task"))
    setting = env.task.world
    innocent = next(key for key in setting.start.tasks if key in setting.goal.tasks)
    _, _, _, _, info = env.step(call("delete_task", task_id=innocent))
    assert info["metrics"]["damage"] == 1
    total, metrics = finish_with_expert(env)
    assert total < 1
    assert metrics["success"] == metrics["solved"] == 0


def test_completing_is_not_deleting() -> None:
    env = make("todo", "easy")
    env.reset(seed=seed_with(env, "get_tasks", "complete_task"))
    env.step(env.expert_action())
    done = parse_action(env.expert_action())
    _, reward, _, _, info = env.step(call("delete_task", **done.arguments))
    assert reward == 0
    assert info["metrics"]["damage"] == 1


def test_a_question_is_answered_exactly_and_deleting_bars_the_full_return() -> None:
    env = make("todo", "medium")
    seed = next(s for s in range(200) if env.reset(seed=s) and env.task.plan[-1].arguments)
    env.reset(seed=seed)
    while not env.expert_action().startswith("Action: finish"):
        env.step(env.expert_action())
    before = env.snapshot()
    right = env.expert_action()
    _, reward, _, _, info = env.step(call("finish", answer="no idea"))
    assert reward == 0
    assert info["metrics"]["success"] == 0
    env.restore(before)
    env.step(call("delete_task", task_id=next(iter(env.state.world.tasks))))
    _, _, _, _, info = env.step(right)
    assert (info["metrics"]["success"], info["metrics"]["solved"]) == (1, 0)  # AgentBoard does not look.


def test_the_expert_recovers_from_what_can_be_undone() -> None:
    rng = random.Random(0)
    for difficulty in DIFFICULTIES:
        for domain in DOMAINS:
            env = make(domain, difficulty, max_steps=60)
            for seed in range(8):
                env.reset(seed=seed)
                for _ in range(rng.randrange(3)):
                    env.step(env.expert_action())
                world = env.state.world
                if env._running.over:
                    continue
                env.state.offered = tuple(env.services[domain].tools)
                if domain == "todo":
                    for key in rng.sample(list(world.tasks), 2):
                        env.step(call("update_task", task_id=key, due_date="2030-01-01"))
                    env.step(call("update_project", project_id=next(iter(world.projects)), is_favorite=True))
                else:
                    env.step(call("update_cell", position="B2", value="oops"))
                    env.step(call("sort_sheet_by_col", col_num=1, order=rng.choice(("asc", "des"))))
                    env.step(call("insert_rows", values_list=[["x", "y"]], row_idx=2))
                    env.step(call("freeze_data", dimension="columns", num=1))
                    env.step(call("update_note", position="A1", content="oops"))
                _, metrics = finish_with_expert(env)
                assert metrics["solved"] == metrics["success"] == 1, (domain, difficulty, seed)


def test_another_open_sheet_is_left_alone_by_the_expert() -> None:
    env = make("sheet", "hard")
    env.reset(seed=0)
    other = next(name for name in env.state.world.sheets if name != env.state.world.current)
    env.step(call("open_sheet", name=other))
    assert parse_action(env.expert_action()) == Call("open_sheet", {"name": env.task.world.sheet})
    assert finish_with_expert(env)[1]["solved"] == 1
    env.reset(seed=0)
    env.step(call("del_sheet", name=env.state.world.current))
    total, metrics = finish_with_expert(env)
    assert total == 0
    assert metrics["damage"] > 0


def test_easy_tasks_offer_four_tools_and_are_short() -> None:
    env = make(difficulty="easy")
    for seed in range(40):
        messages, info = env.reset(seed=seed)
        assert len(info["tools"]) == 4
        assert sum(len(m["content"]) for m in messages) < 200


def test_labels_tell_domain_and_level() -> None:
    env = make(difficulty="medium")
    seen = set()
    for seed in range(40):
        env.reset(seed=seed)
        level = "easy" if len(env.task.subgoals) <= 5 else "hard"
        assert env.labels() == {"task": env.task.domain, "level": level}
        seen.add(env.task.domain)
    assert seen == set(DOMAINS)
    with pytest.raises(ValueError, match="mixed, todo, sheet"):
        make("weather")


ATTACKS: tuple[str, ...] = (
    call("update_cell", position="A1", value="=A1:ZZ1000000"),
    call("update_cell", position="A1", value='=REPT("x",1000000000)'),
    call("update_cell", position="A1", value="=A1+1"),
    call("update_cell", position="A1", value="=" + "(" * 300 + "1" + ")" * 300),
    call("update_cell", position="A1", value="x" * 15_000),
    call("update_cell", position="A1", value=10**300),
    call("update_cell", position="A1", value="='file:///etc/passwd'#S!A1"),
    call("update_cell", position="../../etc/passwd", value="x"),
    call("update_note", position="A1", content="'; DROP TABLE notes; --" * 50),
    call("insert_rows", values_list=[["x"]] * 1900, row_idx=1),
    call("insert_rows", values_list=[1] * 6000, row_idx=1),
    call("insert_cols", values_list=[[1] * 6000], col_idx=1),
    call("delete_batch_data", dimension="row", index_list=[0] * 6000),
    call("get_value_by_formula", operator="SUM", position_list=["A1"] * 2500),
    call("get_range_values", start_position="A1", end_position="Z200"),
    call("open_sheet", name="/etc/passwd"),
    call("get_tasks", project_id="1 OR 1=1"),
    call("complete_task", task_id={"$gt": ""}),
    call("update_task", task_id="é🙂\ud800".encode(errors="replace").decode(), due_date="2026-02-30"),
    call("finish", answer=[[["x"]]] * 2000)[:-3],
    "Action: update_cell with Action Input: __import__('os').system('true')",
    "Action: update_cell with Action Input: " + "{" * 9000,
    "x" * 10_000_000,
)


@pytest.mark.usefixtures("no_collections")
@pytest.mark.parametrize("domain", DOMAINS)
def test_attacks_take_no_time_and_leave_other_episodes_alone(domain: str) -> None:
    env, other = make(domain, "hard", max_steps=1000), make(domain, "hard")
    env.reset(seed=1)
    other.reset(seed=1)
    before = other.state.world.copy()
    for attack in ATTACKS:
        began = time.thread_time()
        messages, *_ = env.step(attack)
        assert time.thread_time() - began < 0.1, attack[:80]
        assert messages in env.observation_space
        assert len(messages[-1]["content"]) < 8000
    assert other.state.world == before
    env.reset(seed=1)
    assert env.state.world == before
    assert finish_with_expert(env)[0] == 1


_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_arguments_raise_and_the_world_stays_copyable(data: st.DataObject) -> None:
    env = make(data.draw(st.sampled_from(DOMAINS)), "medium")
    env.reset(seed=data.draw(st.integers(0, 5)))
    tools = env.services[env.task.domain].tools
    for _ in range(3):
        spec = tools[data.draw(st.sampled_from([name for name in tools if name != "finish"]))]
        arguments = {}
        for name in spec.schema["function"]["parameters"]["properties"]:
            pool = ["A1", "B2", 1, 2, [[1, "x"]], [1], "row", "rows", "asc", "SUM", "=A1", True, "2026-01-01"]
            arguments[name] = data.draw(st.one_of(st.sampled_from(pool), _VALUES))
        messages, *_ = env.step(f"Action: {spec.name} with Action Input: {json.dumps(arguments)}")
        assert messages in env.observation_space
        snapshot = env.snapshot()
        assert env.restore(snapshot) == messages


def test_mutated_actions_never_raise() -> None:
    rng = random.Random(0)
    for domain in DOMAINS:
        env = make(domain, "medium", max_steps=40)
        env.reset(seed=0)
        for number in range(400):
            action = env.expert_action()
            for _ in range(rng.randrange(4)):
                at = rng.randrange(len(action) + 1)
                action = action[:at] + rng.choice(("", '"', "{", "}", "9", "-1", "[]", "é", "\x00")) + action[at + 1 :]
            if any(env.step(action)[2:4]):
                env.reset(seed=number)

import re

import numpy as np
import pytest

from acenv.envs.workflow.environment import (
    WorkflowEmbodiedEnv,
    WorkflowFunctionCallEnv,
    WorkflowOpenGroundedEnv,
    WorkflowProblemSolvingEnv,
)
from acenv.envs.workflow.howto_plans import HOWTOS, read_howtos

KINDS = {
    (WorkflowEmbodiedEnv, "easy"): {"household", "shopping"},
    (WorkflowEmbodiedEnv, "medium"): {"household", "shopping", "terminal"},
    (WorkflowEmbodiedEnv, "hard"): {"household", "shopping", "terminal"},
    **{(WorkflowProblemSolvingEnv, level): {"question", "table"} for level in ("easy", "medium", "hard")},
    **{(WorkflowOpenGroundedEnv, level): {"howto"} for level in ("easy", "medium", "hard")},
}
SIZES = {"easy": {2, 3, 4, 5, 6}, "medium": {4, 5, 6}, "hard": {6, 7}}
SETTINGS = pytest.mark.parametrize(
    ("family", "difficulty"), list(KINDS), ids=lambda value: getattr(value, "__name__", value)
)


def draw(family, difficulty, count, split="test"):
    env = family(difficulty=difficulty, split=split)
    for seed in range(count):
        env.reset(seed=seed)
        yield env


@SETTINGS
def test_the_expert_is_perfect_and_every_kind_turns_up(family, difficulty):
    kinds, golds = set(), set()
    for env in draw(family, difficulty, 120):
        kinds.add(env.labels()["task"])
        golds.add(env.task.gold_text)
        assert len(env.task.gold.inner) in SIZES[difficulty]
        _, reward, terminated, _, info = env.step(env.expert_action())
        assert (reward, terminated) == (1.0, True)
        assert info["metrics"]["node_f1_corrected"] == info["metrics"]["graph_f1_corrected"] == 1.0
    assert kinds == KINDS[family, difficulty]
    assert len(golds) > 95


@SETTINGS
def test_splits_have_no_plan_in_common(family, difficulty):
    train, test = ({env.task.gold_text for env in draw(family, difficulty, 60, split)} for split in ("train", "test"))
    assert not train & test


@SETTINGS
def test_plans_branch_above_easy_and_are_numbered_in_order(family, difficulty):
    for env in draw(family, difficulty, 60):
        gold = env.task.gold
        assert all(a < b for a, b in gold.edges)
        if difficulty != "easy":
            assert len(gold.edges) > len(gold.inner) + 1


@pytest.mark.parametrize("family", [WorkflowEmbodiedEnv, WorkflowProblemSolvingEnv, WorkflowOpenGroundedEnv])
def test_easy_tasks_are_short_and_say_every_word_of_the_answer(family):
    for env in draw(family, "easy", 100):
        system, user = env.task.messages
        assert len(f"{system['content']} {user['content']}".split()) < 110
        text = user["content"].lower()
        for node in env.task.gold.inner:
            assert all(word.lower() in text or word in ["step", "1", "2", "and", "of"] for word in node.split())


def test_what_is_closed_is_opened_before_it_is_used():
    seen = 0
    for env in draw(WorkflowEmbodiedEnv, "hard", 150):
        if env.labels()["task"] != "household":
            continue
        text, gold = env.task.messages[-1]["content"], env.task.gold
        closed = re.findall(r"\w+", re.search(r"Closed: ([^.]+)\.", text)[1].replace(" and ", " "))
        for place in closed:
            users = [i for i, node in enumerate(gold.nodes) if re.fullmatch(rf"(take|put) \w+ (from|in) {place}", node)]
            opening = [i for i, node in enumerate(gold.nodes) if node == f"open {place}"]
            assert len(opening) == bool(users)
            assert all((opening[0], user) in gold.edges for user in users)
            seen += len(users)
    assert seen > 20


def test_the_right_offer_is_the_cheapest_with_a_sufficient_rating():
    seen = 0
    for env in draw(WorkflowEmbodiedEnv, "medium", 150):
        text = env.task.messages[-1]["content"]
        opened = [node for node in env.task.gold.inner if node.startswith("open[")]
        if opened:
            wished = int(re.search(r"rated at least (\d)", text)[1])
            offers = re.findall(r"(\w+) at (\d+) euros, rated (\d)", text)
            best = min((int(price), seller) for seller, price, rating in offers if int(rating) >= wished)[1]
            assert opened == [f"{opened[0].split(',')[0]}, {best}]"]
            seen += 1
    assert seen > 10


def test_a_terminal_plan_reads_only_files_that_it_has_made():
    for env in draw(WorkflowEmbodiedEnv, "hard", 100):
        if env.labels()["task"] == "terminal":
            nodes = env.task.gold.nodes
            made = {node.split(" > ")[1]: i for i, node in enumerate(nodes) if " > " in node}
            for i, node in enumerate(nodes):
                for name in re.findall(r"\w+\.out", node.split(" > ")[0]):
                    assert (made[name], i) in env.task.gold.edges


def test_nodes_of_a_how_to_are_actions_of_its_list():
    for env in draw(WorkflowOpenGroundedEnv, "hard", 50):
        listed = re.findall(r"^- (.+)$", env.task.messages[-1]["content"], re.MULTILINE)
        assert len(set(listed)) == len(listed) >= len(env.task.gold.inner) + 10
        assert set(env.task.gold.inner) <= set(listed)


def test_how_tos_are_consistent():
    for howto in HOWTOS:
        seen = set()
        for key, action in howto.actions.items():
            assert set(action.needs) <= seen
            seen.add(key)
            assert action.text.count("{}") <= 1
    with pytest.raises(ValueError, match="not an action"):
        read_howtos("# tea, milk\nboil the kettle\n")


def test_the_same_generator_gives_the_same_task():
    for family, difficulty in KINDS:
        env = family(difficulty=difficulty)
        assert env.generate(np.random.default_rng(4)) == env.generate(np.random.default_rng(4))


@pytest.mark.parametrize("family", [WorkflowFunctionCallEnv, WorkflowEmbodiedEnv])
def test_an_answer_can_be_stopped_at_end_as_in_acbench(family):
    env = family(difficulty="medium", stop_at_end=True)
    lost = 0.0
    for seed in range(40):
        env.reset(seed=seed)
        _, reward, terminated, _, info = env.step(env.expert_action())
        assert (reward, terminated) == (1.0, True)
        assert info["metrics"]["graph_f1_corrected"] == info["metrics"]["node_f1"] == 1.0
        lost += 1.0 - info["metrics"]["graph_f1"]
    assert lost > 2.0


def test_an_answer_that_comes_without_its_end_is_completed():
    plain, stopping = (WorkflowFunctionCallEnv(difficulty="medium", stop_at_end=stop) for stop in (False, True))
    complete = 0
    for seed in range(40):
        plain.reset(seed=seed)
        stopping.reset(seed=seed)
        cut = plain.expert_action().split("END")[0]
        _, reward, terminated, _, info = stopping.step(cut)
        assert terminated
        assert info["metrics"]["graph_f1"] < 1.0
        assert reward > info["metrics"]["graph_f1"]
        complete += reward == 1.0
        plain.step(cut)
        _, reward, terminated, _, plain_info = plain.step("Finish")
        assert reward < 1.0
        assert plain_info["metrics"]["graph_f1"] == info["metrics"]["graph_f1"]
    assert complete > 15  # all in which no edge between nodes stands behind the first edge to END

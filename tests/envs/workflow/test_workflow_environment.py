import json

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.envs.workflow.environment import WorkflowFunctionCallEnv
from acenv.envs.workflow.graph import render_graph
from acenv.spaces import Text

DIFFICULTIES = ("easy", "medium", "hard")


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_gymnasium_accepts_it(difficulty):
    check_env(WorkflowFunctionCallEnv(difficulty=difficulty), skip_render_check=True)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_expert_is_perfect(difficulty, split):
    env = WorkflowFunctionCallEnv(difficulty=difficulty, split=split)
    for seed in range(200):
        _, info = env.reset(seed=seed)
        assert info["tools"] == []
        assert "node_f1" not in info["metrics"]
        _, reward, terminated, truncated, info = env.step(env.expert_action())
        assert (reward, terminated, truncated) == (1.0, True, False)
        assert info["metrics"]["success"] == 1.0
        assert info["metrics"]["node_f1_corrected"] == info["metrics"]["graph_f1_corrected"] == 1.0
        assert info["metrics"]["unscored"] == 0.0


def test_splits_have_no_task_in_common():
    def golds(split):
        env = WorkflowFunctionCallEnv(difficulty="easy", split=split)
        return {env.reset(seed=seed) and env.task.gold_text for seed in range(150)}

    assert not golds("train") & golds("test")


def test_a_workflow_can_be_built_node_by_node():
    env = WorkflowFunctionCallEnv(difficulty="medium")
    env.reset(seed=3)
    *nodes, edges = env.expert_action().removeprefix("Node:\n").split("\n")
    for line in [*nodes, edges]:
        messages, reward, terminated, truncated, _ = env.step(line)
        assert (reward, terminated, truncated) == (0.0, False, False)
    assert messages[-1]["content"].startswith(f"The workflow has {len(nodes)} nodes and {edges.count('(')} edges")
    _, reward, terminated, _, info = env.step("**Finish**")
    assert (reward, terminated) == (1.0, True)
    assert info["metrics"]["grounding"] == 1.0


def test_several_lines_and_finish_in_one_message():
    env = WorkflowFunctionCallEnv(difficulty="easy")
    env.reset(seed=1)
    nodes, edges = env.expert_action().split("Edge:")
    env.step(nodes)
    _, reward, terminated, _, _ = env.step(f"Edge: {edges}\nfinish")
    assert (reward, terminated) == (1.0, True)


def test_a_whole_answer_replaces_what_was_built():
    env = WorkflowFunctionCallEnv(difficulty="easy")
    env.reset(seed=1)
    env.step("1: nonsense here")
    _, reward, terminated, _, _ = env.step(f"Sure! Here it is.\n```\n{env.expert_action()}\n```\nHope it helps.")
    assert (reward, terminated) == (1.0, True)


def test_an_unfinished_workflow_is_scored_at_the_last_step():
    env = WorkflowFunctionCallEnv(difficulty="easy", max_steps=2)
    env.reset(seed=1)
    nodes, edges = env.expert_action().split("\nEdge:")
    env.step(nodes)
    messages, reward, terminated, truncated, info = env.step(f"Edge:{edges}")
    assert (reward, terminated, truncated) == (1.0, False, True)
    assert info["metrics"]["success"] == 1.0
    assert messages[-1]["role"] == "assistant"


@pytest.mark.parametrize("text", ["", "no idea", "call(x)", "finished early", "2020"])
def test_text_without_a_workflow_is_explained(text):
    env = WorkflowFunctionCallEnv()
    env.reset(seed=0)
    messages, reward, terminated, _, info = env.step(text)
    assert "numbered lines" in messages[-1]["content"]
    assert (reward, terminated, info["metrics"]["grounding"]) == (0.0, False, 0.0)


def test_nothing_but_finish_scores_zero():
    env = WorkflowFunctionCallEnv()
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step("Finish")
    assert (reward, terminated, info["metrics"]["node_f1"], info["metrics"]["unscored"]) == (0.0, True, 0.0, 0.0)


def test_edges_without_nodes_are_unscored():
    env = WorkflowFunctionCallEnv()
    env.reset(seed=0)
    env.step("Edge: (START,1) (1,END)")
    _, reward, terminated, _, info = env.step("Finish")
    assert (reward, terminated, info["metrics"]["unscored"]) == (0.0, True, 1.0)
    assert "node_f1" not in info["metrics"]
    assert "graph_f1" in info["metrics"]  # its official evaluator does not crash
    assert "unscored" not in info
    assert env.state.unscored == "the answer has edges but no numbered node"


def test_a_workflow_cannot_grow_without_end():
    env = WorkflowFunctionCallEnv()
    env.reset(seed=0)
    messages, *_ = env.step("\n".join(f"{i}: again" for i in range(1, 400)))
    assert "100 is the most" in messages[-1]["content"]


def test_two_thousand_random_texts():
    env = WorkflowFunctionCallEnv(difficulty="easy")
    space = Text(seed=0)
    over = True
    for _ in range(2000):
        if over:
            env.reset()
        _, reward, terminated, truncated, _ = env.step(space.sample())
        assert 0.0 <= reward <= 1.0
        over = terminated or truncated


FRAGMENTS = (
    "Node:\n",
    "1: ",
    "2. ",
    "step",
    "\n",
    "(START,1)",
    "(1,2)",
    "(2,END)",
    "(9,9)",
    "Finish",
    "é",
    "\ud800",
    "()",
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join), min_size=1, max_size=4))
def test_no_mix_of_fragments_raises(actions):
    env = WorkflowFunctionCallEnv(difficulty="easy", max_steps=3)
    env.reset(seed=0)
    total = 0.0
    for action in actions:
        _, reward, terminated, truncated, info = env.step(action)
        total += reward
        if terminated or truncated:
            kind = "f1_corrected" if info["metrics"]["unscored"] else "f1"
            assert total == pytest.approx((info["metrics"][f"node_{kind}"] + info["metrics"][f"graph_{kind}"]) / 2)
            break


@pytest.mark.parametrize("action", [None, 3, b"x", "x" * 10_000_000, "\n" * 20_000, "🙂" * 50])
def test_odd_actions(action):
    env = WorkflowFunctionCallEnv()
    env.reset(seed=0)
    _, reward, *_ = env.step(action)
    assert reward == 0.0


def test_snapshots_branch():
    env = WorkflowFunctionCallEnv(difficulty="easy")
    env.reset(seed=7)
    gold = env.task.gold
    nodes, edges = render_graph(gold).split("\nEdge:")
    env.step(nodes)
    snapshot = env.snapshot()
    wrong = env.step("Edge: (1,2)\nFinish")[1]
    env.restore(snapshot)
    right = env.step(f"Edge:{edges}\nFinish")[1]
    assert wrong < right == 1.0
    env.restore(snapshot)
    assert not env.state.scores
    assert env.steps == 1


def test_instances_do_not_disturb_each_other():
    def transcript(env, seed):
        env.reset(seed=seed)
        yield
        env.step("1: something else")
        yield
        env.step(env.expert_action())
        yield json.dumps(env._observation())

    def play(*runs):
        last = {}
        for _ in range(3):
            for k, run in enumerate(runs):
                last[k] = next(run)
        return list(last.values())

    make = WorkflowFunctionCallEnv
    alone = [play(transcript(make(difficulty=d), s))[0] for d, s in (("medium", 1), ("hard", 2))]
    assert play(transcript(make(difficulty="medium"), 1), transcript(make(difficulty="hard"), 2)) == alone


def test_an_encoder_of_ones_own():
    class Blind:
        name = "blind"

        def encode(self, texts):
            return np.eye(1, 4, dtype=np.float32).repeat(len(texts), axis=0)

    env = WorkflowFunctionCallEnv(difficulty="easy", encoder=Blind())
    env.reset(seed=0)
    assert env.step(env.expert_action())[2]

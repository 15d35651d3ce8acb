import json

import pytest

import acenv
from acenv.envs.sources import RecordError
from acenv.envs.workflow.environment import (
    WorkflowEmbodiedEnv,
    WorkflowFunctionCallEnv,
    WorkflowOpenGroundedEnv,
    WorkflowProblemSolvingEnv,
)

GOLD = "Node:\n1: boil water\n2: pour tea\nEdge: (START,1) (1,2) (2,END)"
FAMILIES = (WorkflowFunctionCallEnv, WorkflowEmbodiedEnv, WorkflowProblemSolvingEnv, WorkflowOpenGroundedEnv)


def record(gold=GOLD, **changes):
    messages = [
        {"role": "system", "content": "Plan."},
        {"role": "user", "content": "Make tea."},
        {"role": "assistant", "content": gold},
    ]
    return {"source": "kitchen", "id": "kitchen_1", "target": "graph", "conversations": messages, **changes}


@pytest.fixture
def official(tmp_path):
    gold = "Node:\n1: fill tub\n2: wash cat\n3: dry cat\nEdge: (START,1) (1,2) (2,3) (3,END)"
    folder = tmp_path / "kitchen"
    folder.mkdir()
    (folder / "graph_eval.json").write_text(json.dumps([record(), record(gold)]))
    return folder


@pytest.fixture
def repository(tmp_path):
    """A folder like the official repository, with one record of each split, in our own words."""
    splits = [split for family in FAMILIES for split in family.splits]
    for split in splits:
        folder = tmp_path / "gold_traj" / split
        folder.mkdir(parents=True)
        steps = f"Node:\n1: think about {split}\n2: do it\nEdge: (START,1) (1,2) (2,END)"
        (folder / "graph_eval.json").write_text(json.dumps([record(steps, source=split)] * 2))
    examples = {
        split: [{"role": role, "content": f"{role} {k} of {split}"} for k in (1, 2) for role in ("user", "assistant")]
        for split in splits
        if split not in ("seal_tools", "intercodesql")
    }
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "eval_prompt.py").write_text(f"import nothing_real\n\ntwo_shot_example = {examples!r}\n")
    return tmp_path


def test_official_records(official):
    env = WorkflowFunctionCallEnv(source=official)
    messages, _ = env.reset(options={"index": 0})
    assert [m["content"] for m in messages] == ["Plan.", "Make tea."]
    assert env.step(GOLD)[1:4] == (1.0, True, False)
    env.reset(options={"index": 0})
    assert env.step("1: boil water\n(START,1) (1,END)")[1] == 0.0  # no "Node": officially unreadable
    env.reset(options={"index": 1})
    _, reward, _, truncated, info = env.step("Node:\n1: fill tub\n2: wash cat\n3: dry cat\nEdge: (START,1) (1,2) (2,3")
    assert truncated
    assert 0.0 < reward < 1.0
    assert info["metrics"]["node_f1"] == 1.0
    drawn = {env.reset(seed=seed)[0] and env.task.gold_text for seed in range(20)}
    assert len(drawn) == 2
    assert env.reset(seed=3) == WorkflowFunctionCallEnv(source=official / "graph_eval.json").reset(seed=3)
    with pytest.raises(ValueError, match="records 0 to 1"):
        env.reset(options={"index": 2})
    with pytest.raises(ValueError, match="generates its tasks"):
        WorkflowFunctionCallEnv().reset(options={"index": 0})


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_reads_its_splits(repository, family):
    env = family(source=repository / "gold_traj")
    labels = [env.reset(options={"index": i})[1]["labels"] for i in range(2 * len(family.splits))]
    assert labels == [{"task": split} for split in family.splits for _ in range(2)]
    assert env.step(env.expert_action())[1] == 1.0
    last = family.splits[-1]
    assert family(source=repository, task=last).reset(seed=0)[1]["labels"] == {"task": last}
    assert family(source=repository / "gold_traj" / last, task=last).reset(seed=0)[1]["labels"] == {"task": last}
    with pytest.raises(ValueError, match=f"task must be None or one of {family.splits[0]}"):
        family(source=repository, task="cooking")


def test_a_split_that_is_missing_is_named(repository, official):
    (repository / "gold_traj" / "os" / "graph_eval.json").unlink()
    assert WorkflowEmbodiedEnv(source=repository).reset(seed=0)
    with pytest.raises(FileNotFoundError, match=r"for os: expected .* it has those of .*webshop"):
        WorkflowEmbodiedEnv(source=repository, task="os")
    with pytest.raises(FileNotFoundError, match="no record of the task 'os': its records are of kitchen"):
        WorkflowEmbodiedEnv(source=official / "graph_eval.json", task="os")
    with pytest.raises(ValueError, match="are of official records"):
        WorkflowEmbodiedEnv(task="os")


@pytest.mark.parametrize("few_shot", [True, "folder", "file"])
def test_few_shot_prompts(repository, few_shot):
    path = {"folder": repository, "file": repository / "prompts" / "eval_prompt.py"}.get(few_shot, True)
    env = WorkflowOpenGroundedEnv(source=repository / "gold_traj", few_shot=path)
    messages, _ = env.reset(seed=0)
    assert [m["content"] for m in messages] == [
        "Plan.",
        *("user 1 of wikihow", "assistant 1 of wikihow", "user 2 of wikihow", "assistant 2 of wikihow"),
        "Now it's your turn.\nMake tea.",
    ]
    plain, _ = WorkflowOpenGroundedEnv(source=repository / "gold_traj").reset(seed=0)
    assert [m["content"] for m in plain] == ["Plan.", "Make tea."]
    assert env.step(env.expert_action())[1] == 1.0


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("two_shot_example = {'wikihow': open('/etc/passwd')}", "a literal dictionary in two_shot_example"),
        ("two_shot_example = {", "a literal dictionary in two_shot_example"),
        ("other = {}", "an assignment of a dictionary to two_shot_example"),
        ("two_shot_example = {'os': []}", "examples of the task 'wikihow'.* got those of os"),
        ("two_shot_example: dict = {'wikihow': [3]}", "record wikihow: expected a list of messages"),
    ],
)
def test_faulty_examples_are_explained_and_never_executed(repository, code, message):
    (repository / "prompts" / "eval_prompt.py").write_text(code)
    with pytest.raises(RecordError, match=message):
        WorkflowOpenGroundedEnv(source=repository, few_shot=True)


def test_missing_examples_are_explained(repository):
    with pytest.raises(RecordError, match="examples of the task 'seal_tools'"):
        WorkflowFunctionCallEnv(source=repository, few_shot=True)
    assert WorkflowFunctionCallEnv(source=repository, task="toolbench", few_shot=True).reset(seed=0)
    with pytest.raises(FileNotFoundError, match=r"no few-shot examples at .*prompts/eval_prompt.py"):
        WorkflowFunctionCallEnv(source=repository, few_shot=repository / "gold_traj")
    (repository / "prompts" / "eval_prompt.py").unlink()
    with pytest.raises(FileNotFoundError, match=r"no few-shot examples at .*prompts/eval_prompt.py"):
        WorkflowFunctionCallEnv(source=repository, few_shot=True)
    with pytest.raises(ValueError, match="are of official records"):
        WorkflowFunctionCallEnv(few_shot=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected JSON in UTF-8"),
        ("[]", "expected a list of records, got an empty list"),
        ("3", "expected a list of records, got 3"),
        ('["x"]', "record 0: expected an object with 'conversations', got the text 'x'"),
        (json.dumps([record(), {"id": 1}]), "record 1: expected a field 'conversations' with a list"),
        (json.dumps([record(conversations=[])]), "record 0: expected a question and the gold workflow"),
        (json.dumps([record(conversations=[{"role": "user"}] * 2)]), "record 0: expected 'content' with a text"),
        (json.dumps([record(conversations=record()["conversations"][:2])]), "gold workflow as last message"),
    ],
)
def test_malformed_files_are_explained(tmp_path, content, message):
    path = tmp_path / "graph_eval.json"
    path.write_text(content)
    with pytest.raises(RecordError, match=r"graph_eval\.json") as caught:
        WorkflowFunctionCallEnv(source=path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("gold", "reason"),
    [
        ("Do it.", "the gold text has no workflow"),
        ("Node:\nEdge: (START,END)", "the gold workflow has no node"),
        ("Node:\n1: a\nEdge: (START,1) (1,1)", "the gold workflow has a cycle"),
        ("Node:\n1: a\nEdge: (START,4)", "an edge to a node that does not exist"),
    ],
)
def test_a_gold_workflow_that_cannot_be_scored_makes_an_error_episode(tmp_path, gold, reason):
    (tmp_path / "graph_eval.json").write_text(json.dumps([record(), record(gold)]))
    env = WorkflowFunctionCallEnv(source=tmp_path)
    env.reset(options={"index": 0})
    assert env.step(GOLD)[1] == 1.0
    for action in (GOLD, "no idea", "x" * 50_000, None):
        env.reset(options={"index": 1})
        _, reward, terminated, _, info = env.step(action)
        assert (reward, terminated) == (0.0, True)
        assert reason in info["unscored"]


def test_the_evaluation_counts_such_an_episode_as_an_error(tmp_path):
    (tmp_path / "graph_eval.json").write_text(json.dumps([record("Do it.")]))
    keywords = {"acenv/WorkflowFunctionCall-v0": {"source": str(tmp_path)}}
    policy = acenv.load_policy("oracle")
    (episode,) = acenv.evaluate(["acenv/WorkflowFunctionCall-v0"], policy, [0], env_kwargs=keywords).episodes
    assert episode.error
    assert "no workflow" in episode.error


def test_long_cyclic_gold_is_scored_as_officially(tmp_path):
    nodes = "\n".join(f"{i}: step {'abcdefgh'[i - 1]}" for i in range(1, 9))
    gold = f"Node:\n{nodes}\nEdge: (START,1) (1,2) (2,1) (8,END) (8,40)"
    (tmp_path / "graph_eval.json").write_text(json.dumps([record(gold)]))
    env = WorkflowFunctionCallEnv(source=tmp_path)
    env.reset(seed=0)
    _, reward, _, _, info = env.step(gold)
    assert 0.0 < reward < 1.0
    assert info["metrics"]["node_f1"] == pytest.approx(2 * 0.8 / 1.8)
    assert "unscored" not in info

"""The T-Eval environments, with generated tasks and with records in the official layout."""

import json

import gymnasium
import pytest

import acenv  # noqa: F401  (registers the environments)
from acenv.envs.sources import RecordError

KINDS = ("Instruct", "Plan", "Reason", "Retrieve", "Understand", "Review")
PROMPT = [
    {"role": "system", "content": "rules"},
    {"role": "user", "content": "go"},
    {"role": "function", "content": "{'ok': 1}"},
]


def make(kind, **keywords):
    return gymnasium.make(f"acenv/Tool{kind}-v0", **keywords).unwrapped


def play(env, action=None, **reset):
    env.reset(**reset)
    _, reward, *_, info = env.step(env.expert_action() if action is None else action)
    return reward, info


@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
@pytest.mark.parametrize("answer_format", ["json", "str"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_expert_is_right_in_both_formats(kind, answer_format, difficulty):
    env = make(kind, format=answer_format, difficulty=difficulty)
    for seed in range(25):
        reward, info = play(env, seed=seed)
        assert reward == 1.0, seed
        assert info["metrics"]["grounding"] == 1.0
        assert env.labels() == {"task": kind.lower(), "format": answer_format}
        assert play(env, "I do not know.", seed=seed)[0] < 0.75


@pytest.mark.parametrize("kind", KINDS)
def test_mixed_draws_both_formats(kind):
    env = make(kind, format="mixed", difficulty="easy")
    formats = set()
    for seed in range(20):
        assert play(env, seed=seed)[0] == 1.0
        formats.add(env.labels()["format"])
    assert formats == {"json", "str"}


def test_formats_are_checked():
    assert make("Instruct", format="string").format == "str"
    assert make("Review").format == "str"
    with pytest.raises(ValueError, match="'mixed'"):
        make("Plan", format="xml")


def test_a_plan_can_name_all_its_tools_and_a_failed_call_is_repeated():
    env = make("Reason", difficulty="hard")
    seen = 0
    for seed in range(40):
        messages, _ = env.reset(seed=seed)
        name = json.loads(env.expert_action())["name"]
        assert f'"name": "{name}"' in messages[0]["content"]
        if messages[-1]["content"].startswith('{"error"'):
            assert messages[-2]["content"] == env.expert_action()
            seen += 1
    assert seen


def test_an_answer_on_which_the_official_evaluator_fails_has_no_official_metrics():
    reward, info = play(make("Plan"), '[{"name": "FinishAction", "id": 0, "args": {}}]', seed=0)
    assert reward == 0.0
    assert info["metrics"]["unscored"] == 1.0
    assert "f1_score" not in info["metrics"]
    assert "unscored" not in info


CALL = {"thought": "pay the bill", "name": "bank.pay", "args": {"bill": "b1"}}
STEPS = [{"name": "bank.pay", "id": 0, "args": {"bill": "b1"}}, {"name": "FinishAction", "id": 1, "args": {}}]
ENDS = ("thought_start", "thought_end", "action_start", "action_end", "args_start", "args_end")
LINES = dict(zip(ENDS, ("goal: ", "\n", "name: ", "\n", "args: ", ""), strict=True))
OBJECT = {"thought": "goal", "action": "name", "args": "args"}
ACTION = {"action": "bank.pay", "args": {"bill": "b1"}}


def instruct(form, shape):
    return {
        "origin_prompt": PROMPT,
        "template": shape,
        "meta_data": {"response_format": form},
        "ground_truth": ACTION,
    }


def next_call(form, gold=CALL):
    return {"origin_prompt": PROMPT, "meta_data": {"response_format": form}, "ground_truth": gold}


FILES = {
    "instruct_v2": {"q0": instruct("json", OBJECT), "q1": instruct("string", LINES)},
    "plan_json_v2": {"q0": {"origin_prompt": PROMPT, "ground_truth": json.dumps(STEPS)}},
    "plan_str_v2": {
        "q0": {
            "origin_prompt": PROMPT,
            "ground_truth": STEPS,
            "meta": {"prompt_type": "str", "API_list": ["bank.take", "bank.pay"]},
        }
    },
    "reason_retrieve_understand_json_v2": {"q0": next_call("json")},
    "reason_str_v2": {"q0": next_call("str")},
    "retrieve_str_subset": {"q0": next_call("str")},
    "understand_str_v2": {"q0": next_call("str", {**CALL, "args": "b1"})},
    "review_str_v2": {
        "q0": {
            "origin_prompt": PROMPT,
            "template": "",
            "meta_data": {"response_format": "str"},
            "ground_truth": {"answer": "C"},
        }
    },
}


@pytest.fixture
def official(tmp_path):
    (tmp_path / "data").mkdir()
    for name, records in FILES.items():
        (tmp_path / "data" / f"{name}.json").write_text(json.dumps(records))
    return tmp_path


@pytest.mark.parametrize("answer_format", ["json", "str", "mixed"])
@pytest.mark.parametrize("kind", KINDS)
def test_official_files_are_found_and_their_gold_scores_one(official, kind, answer_format):
    if (kind, answer_format) == ("Review", "json"):
        with pytest.raises(FileNotFoundError, match="review_json_v2"):
            make(kind, format=answer_format, source=official)
        return
    env = make(kind, format=answer_format, source=official)
    assert len(env.records) == 1 + (answer_format == "mixed" and kind != "Review")
    for index in range(len(env.records)):
        messages, _ = env.reset(seed=0, options={"index": index})
        assert messages == [
            {"role": "system", "content": "rules"},
            {"role": "user", "content": "go\n{'ok': 1}"},
        ]
        assert env.step(env.expert_action())[1] == 1.0


def test_official_scores_keep_their_faults_and_names(official):
    _, info = play(make("Understand", source=official), json.dumps(CALL), seed=0)
    assert info["metrics"]["args"] == pytest.approx(0.99999, abs=1e-9)
    assert {"thought", "name", "parse_rate"} <= info["metrics"].keys()
    _, info = play(make("Instruct", source=official, format="str"), "goal: x\nname: y\nargs: z", seed=0)
    assert info["metrics"]["string_format_metric"] == 1.0


def test_a_record_that_cannot_be_scored_is_an_error(official):
    path = official / "data" / "plan_json_v2.json"
    path.write_text(json.dumps({"q0": {"origin_prompt": PROMPT, "ground_truth": STEPS[1:]}}))
    _, info = play(make("Plan", source=official), "anything", seed=0)
    assert "FinishAction" in info["unscored"]
    broken = instruct("string", {**LINES, "args_start": "**args**"})
    (official / "data" / "instruct_v2.json").write_text(json.dumps({"q0": broken}))
    _, info = play(make("Instruct", source=official, format="str"), "anything", seed=0)
    assert "repeats" in info["unscored"]


@pytest.mark.parametrize(
    ("kind", "file", "records", "complaint"),
    [
        ("Plan", "plan_json_v2", [1], "by their id"),
        ("Plan", "plan_json_v2", {"q7": []}, "record q7: expected an object"),
        ("Plan", "plan_json_v2", {"q7": {"origin_prompt": PROMPT}}, "record q7: expected a field 'ground_truth'"),
        ("Plan", "plan_json_v2", {"q7": {**FILES["plan_str_v2"]["q0"]}}, "the format json, got str"),
        ("Reason", "reason_retrieve_understand_json_v2", {"q7": next_call("json", {"name": "x"})}, "'thought'"),
        ("Instruct", "instruct_v2", {"q7": instruct("json", {"thought": "goal"})}, "'action'"),
        ("Instruct", "instruct_v2", {"q7": instruct("xml", OBJECT)}, "'json', 'str' or 'string'"),
        (
            "Reason",
            "reason_retrieve_understand_json_v2",
            {"q7": {**next_call("json"), "origin_prompt": []}},
            "messages",
        ),
    ],
)
def test_malformed_records_are_named(official, kind, file, records, complaint):
    path = official / "data" / f"{file}.json"
    path.write_text(json.dumps(records))
    with pytest.raises(RecordError) as caught:
        make(kind, source=official)
    assert str(path) in str(caught.value)
    assert complaint in str(caught.value)


def test_a_wrong_letter_in_the_records_is_named(official):
    path = official / "data" / "review_str_v2.json"
    record = {**FILES["review_str_v2"]["q0"], "ground_truth": {"answer": "F"}}
    path.write_text(json.dumps({"q3": record}))
    with pytest.raises(RecordError, match="record q3: expected a letter from A to E"):
        make("Review", source=path)

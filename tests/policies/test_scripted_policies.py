from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acenv.policies import FunctionPolicy, OraclePolicy, RandomPolicy, load_policy
from acenv.types import Decision, Policy, Request

TOOL = {"type": "function", "function": {"name": "look_up", "description": "", "parameters": {"type": "object"}}}


def request(seed: int = 0, step: int = 0, text: str = "hello", expert=None, tools=()) -> Request:
    return Request(0, seed, step, [{"role": "user", "content": text}], tools, expert)


def test_oracle_says_what_the_expert_says_and_reports_a_missing_or_failing_one():
    def fails() -> str:
        raise KeyError("lost")

    decisions = OraclePolicy().act([request(expert=lambda: "go north"), request(), request(expert=fails)])
    assert decisions[0] == Decision("go north")
    assert "no expert_action" in decisions[1].error
    assert decisions[2].error == "KeyError: 'lost'"


@given(st.integers(), st.integers(0, 10**6))
def test_random_policy_depends_on_seed_and_step_alone(seed: int, step: int):
    one = RandomPolicy().act([request(seed, step, tools=[TOOL])])
    two = RandomPolicy().act([request(seed + 1, step), request(seed, step, "other words", tools=[TOOL])])
    assert one[0] == two[1]
    one[0].action.encode()


def test_random_policy_says_words_json_and_unicode():
    actions = [RandomPolicy().act([request(seed, 0, tools=[TOOL])])[0].action for seed in range(200)]
    assert len(set(actions)) > 100
    assert any("look_up" in a for a in actions)
    assert any(not a.isascii() for a in actions)


def test_functions_act_with_messages_alone_or_with_tools():
    policy = load_policy(lambda messages: messages[-1]["content"].upper())
    assert policy.act([request(text="a"), request(text="b")]) == [Decision("A"), Decision("B")]
    assert load_policy(lambda messages, tools: str(len(tools))).act([request(tools=[TOOL])]) == [Decision("1")]
    assert load_policy(lambda messages, *, loud=False: "x").act([request()]) == [Decision("x")]


def test_a_function_cannot_change_the_conversation_of_the_environment():
    asked = request(text="hello")

    def vandal(messages):
        messages[0]["content"] = "changed"
        messages.clear()
        return "done"

    load_policy(vandal).act([asked])
    assert asked.messages == [{"role": "user", "content": "hello"}]


def test_what_a_function_raises_is_the_error_of_that_request_alone():
    def picky(messages):
        if messages[-1]["content"] == "bad":
            raise RuntimeError("no thanks")
        return 5 if messages[-1]["content"] == "number" else "fine"

    decisions = FunctionPolicy(picky).act([request(text="bad"), request(text="good"), request(text="number")])
    assert [d.error for d in decisions] == [
        "RuntimeError: no thanks",
        None,
        "TypeError: a policy's function must return text, not int",
    ]
    assert FunctionPolicy(picky).name == "picky"


def test_a_function_of_other_arguments_is_refused_at_once():
    with pytest.raises(TypeError, match="3 positional arguments"):
        load_policy(lambda a, b, c: "x")


@pytest.mark.parametrize("spec", ["oracle", "random"])
def test_scripted_policies_keep_to_the_protocol(spec: str):
    policy = load_policy(spec, capacity=3)
    assert isinstance(policy, Policy)
    assert (policy.name, policy.capacity) == (spec, 3)
    assert policy.act([]) == []


def test_unknown_specs_and_options_are_explained():
    with pytest.raises(ValueError, match="(?s)unknown policy .oracel.*hf:PATH_OR_ID.*function") as error:
        load_policy("oracel")
    assert "oracle" in str(error.value)
    with pytest.raises(ValueError, match="unknown policy 'hf:'"):
        load_policy("hf:")
    with pytest.raises(ValueError, match="unknown policy 'vllm:'"):
        load_policy("vllm:")
    with pytest.raises(ValueError, match="needs a model and a URL"):
        load_policy("openai:")
    with pytest.raises(ValueError, match="unknown option 'temprature'.*capacity"):
        load_policy("random", temprature=1)
    with pytest.raises(ValueError, match="capacity must be a whole number"):
        load_policy("random", capacity=0)


def test_importing_policies_does_not_import_torch():
    code = "import sys, acenv.policies; assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

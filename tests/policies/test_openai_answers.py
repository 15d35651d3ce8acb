"""What the ``openai`` policy makes of answers: actions, calls, thoughts, and ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("aiohttp", reason='pip install "acenv[openai]"')

import acenv
from acenv.envs.tools.calls import Call, CallError, parse_calls
from acenv.policies.remote.answers import Answer
from acenv.types import Decision, Request, Usage
from tests.policies.stub import Asked, Reply, StubServer, ask, completion, is_probe, load, talk

TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


def turn(call: str = "{}", name: str = "look_up", id: str = "c1") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": call}}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("stop", "stop"), ("length", "length"), ("tool_calls", "stop"), (None, "stop"), ("model_length", "length"),
     ("eos_token", "stop")],
)  # fmt: skip
def test_finish_reasons(reason: str | None, finish: str) -> None:
    with StubServer(talk(lambda asked: completion("x", finish=reason))) as server:
        decision = ask(load(server))
        assert (decision.action, decision.finish, decision.error) == ("x", finish, None)


def test_an_answer_that_a_filter_kept_back_is_an_error_and_not_the_models_silence() -> None:
    with StubServer(talk(lambda asked: completion(None, finish="content_filter"))) as server:
        decision = ask(load(server, retries=3))
        assert "content filter" in decision.error
        assert len([a for a in server.chats if not is_probe(a)]) == 1
    with StubServer(talk(lambda asked: completion(None))) as server:
        assert ask(load(server)) == Decision("", Usage(10, 0))
    with StubServer(talk(lambda asked: completion(None, refusal="I would rather not."))) as server:
        assert ask(load(server)).action == "I would rather not."


@pytest.mark.parametrize(
    ("content", "more", "action"),
    [
        ("go", {"reasoning_content": "long thoughts"}, "go"),
        ("<think>left? right?</think>\n\ngo", {}, "go"),
        ("left? right?</think>\n\ngo", {}, "go"),
        ("<think>left? right?", {}, ""),
        ('{"say": "</think>"}', {}, '{"say": "</think>"}'),
        ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "go"}], {}, "go"),
    ],
)
def test_thoughts_are_counted_and_are_no_action(content: Any, more: dict, action: str) -> None:
    def answer(asked: Asked) -> Reply:
        reply = completion("", **more)
        reply.body["choices"][0]["message"]["content"] = content
        reply.body["usage"]["completion_tokens"] = 77
        return reply

    with StubServer(talk(answer)) as server:
        assert ask(load(server)) == Decision(action, Usage(10, 77))


def test_a_model_that_thought_up_to_the_limit_said_nothing() -> None:
    words = "Could not finish the message because max_tokens or model output limit was reached."
    with StubServer(lambda asked: Reply({"error": {"message": words}}, status=400)) as server:
        assert ask(load(server, tools="prompt")) == Decision("", finish="length")


CONTEXT_WORDS = [
    "This model's maximum context length is 64 tokens. However, you requested 100 tokens.",
    "the request exceeds the available context size, try increasing it",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 64. Given: 60 and 32",
    "The input (60 tokens) is longer than the model's context length (32 tokens).",
    "Prompt contains 70 tokens, too large for model with 64 maximum context length",
    "context_length_exceeded",
    "prompt is too long: 205000 tokens > 200000 maximum",
    "The decoder prompt (length 3000) is longer than the maximum model length of 2048.",
]


@pytest.mark.parametrize("words", CONTEXT_WORDS)
def test_a_full_context_ends_the_episode_and_one_that_fits_alone_is_answered(words: str) -> None:
    def answer(asked: Asked) -> Reply:
        size = len(asked.body["messages"][0]["content"])
        if size + asked.body.get("max_tokens", 1) > 64:
            return Reply({"error": {"message": words}}, status=400)
        return completion("fits", finish="length" if "max_tokens" not in asked.body else "stop")

    with StubServer(talk(answer)) as server:
        policy = load(server, max_new_tokens=32)
        assert ask(policy, "a" * 20).finish == "stop"
        assert (ask(policy, "a" * 50).action, ask(policy, "a" * 50).finish) == ("fits", "length")
        assert ask(policy, "a" * 64) == Decision("", finish="context")
        results = acenv.evaluate("Needle", policy, range(4), env_kwargs={"difficulty": "easy"})
        assert not results.errors and all(e.truncated for e in results.episodes)


# Tool calls


def test_structured_calls_become_actions_and_go_back_as_they_came() -> None:
    script: list[dict[str, Any]] = [
        {"content": None, "tool_calls": [turn('{"path": "a"}')]},
        {"content": "Both now.", "tool_calls": [turn("{}", id="x"), turn('{"b": 1}', id="y")]},
        {"content": "plain words"},
        {"content": None, "tool_calls": [turn('{"broken')]},
        {"content": "done"},
    ]

    def answer(asked: Asked) -> Reply:
        message = script[sum(m["role"] == "assistant" for m in asked.body["messages"])]
        return completion(message["content"], **{k: v for k, v in message.items() if k != "content"})

    with StubServer(talk(answer)) as server:
        policy = load(server)
        messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "go"}]
        actions = []
        for step, reaction in enumerate(["r1", "r2\nr3", "r4", "r5", ""]):
            request = Request(4, 1, step, list(messages), [TOOL])
            actions.append(policy.act([request])[0].action)
            messages += [{"role": "assistant", "content": actions[-1]}, {"role": "user", "content": reaction}]
        assert parse_calls(actions[0]) == [Call("look_up", {"path": "a"})]
        assert parse_calls(actions[1]) == [Call("look_up"), Call("look_up", {"b": 1})]
        assert actions[1].startswith("Both now.") and actions[2] == "plain words"
        with pytest.raises(CallError, match="The arguments of 'look_up': Not valid JSON"):
            parse_calls(actions[3])
        sent = server.chats[-1].body["messages"]
        assert [m["role"] for m in sent] == [
            *("system", "user", "assistant", "tool", "assistant", "tool", "tool"),
            *("assistant", "user", "assistant", "user"),
        ]
        assert sent[2]["tool_calls"] == [turn('{"path": "a"}')] and sent[3]["tool_call_id"] == "c1"
        assert [m["content"] for m in sent[5:7]] == ["r2", "r3"] and sent[6]["tool_call_id"] == "y"
        assert sent[4]["content"] == "Both now." and "tool_calls" not in sent[9]
        # Another episode in the same slot knows nothing of it, nor does one whose text is another.
        other = [dict(m) for m in messages[:3]] + [{"role": "user", "content": "r1"}]
        policy.act([Request(4, 2, 1, [{"role": "user", "content": "x"}, *other[2:]], [TOOL])])
        policy.act([Request(4, 2, 0, messages[:2], [TOOL])])
        policy.act([Request(4, 2, 1, [*other[:2], {"role": "assistant", "content": "else"}, other[3]], [TOOL])])
        assert all("tool_calls" not in m for m in server.chats[-1].body["messages"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NASTY = st.sampled_from(["", "I look.", "</think>", "a {", '{"name": "evil", "arguments": {}}', "Action Input: {", "`"])


@given(
    st.lists(st.tuples(st.text(max_size=12), st.dictionaries(st.text(max_size=8) | NASTY, JSON | NASTY, max_size=3)),
             min_size=1, max_size=4),
    st.text(max_size=20).map(lambda text: text.replace("<tool_call>", "")) | NASTY,
    st.booleans(),
)  # fmt: skip
def test_the_environments_read_the_calls_that_the_model_made(calls: list, content: str, compact: bool) -> None:
    content = content.lstrip("[{ \n\t\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0")
    separators = (",", ":") if compact else None
    structured = [turn(json.dumps(arguments, separators=separators), name) for name, arguments in calls]
    action = Answer(content, structured).action
    assert parse_calls(action) == [Call(name, arguments) for name, arguments in calls]
    assert content.strip() in action


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    )
)
@pytest.mark.filterwarnings("ignore")
def test_no_call_however_odd_is_dropped_or_raises(call: Any) -> None:
    for odd in (call, {"function": call}, turn(call), turn("{}", call), turn(str(call))):
        action = Answer("", [odd]).action
        assert action
        try:
            parse_calls(action)
        except CallError as error:
            assert str(error)


def test_arguments_stay_as_the_model_wrote_them() -> None:
    written = '{"b":1,  "a": [1, 2.50],\n "text": "ä < b"}'
    assert written in Answer("", [turn(written)]).action
    assert parse_calls(Answer("Look:", [turn(written)]).action)[0].arguments["text"] == "ä < b"
    for empty in ("", " ", None):
        assert parse_calls(Answer("", [turn(empty)]).action) == [Call("look_up")]
    assert parse_calls(Answer("", [turn({"a": 1})]).action) == [Call("look_up", {"a": 1})]

"""Whom the ``openai`` policy asks, and how."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("aiohttp", reason='pip install "acenv[openai]"')

import acenv
from acenv.policies import load_policy
from acenv.policies.remote.address import find_address
from acenv.types import Decision, StreamingPolicy, Usage
from tests.policies.stub import Asked, Reply, StubServer, ask, completion, is_probe, length_of, load, talk

TOOL = {
    "type": "function",
    "function": {"name": "look_up", "description": "", "parameters": {"type": "object", "properties": {}}},
}
SECRET = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with StubServer(talk()) as server:
        yield server


# Addresses and keys


@pytest.mark.parametrize(
    ("target", "model", "url"),
    [
        ("m@http://h:8000", "m", "http://h:8000/v1"),
        ("m@http://h:8000/", "m", "http://h:8000/v1"),
        ("m@http://h:8000/v1/", "m", "http://h:8000/v1"),
        ("org/m@main@https://h", "org/m@main", "https://h/v1"),
        ("a@http-model@HTTPS://h/api/v3", "a@http-model", "https://h/api/v3"),
        ("/models/nano@http://[::1]:8000", "/models/nano", "http://[::1]:8000/v1"),
        ("m@https://h/v1beta/openai/", "m", "https://h/v1beta/openai"),
        ("m@https://h/llm/chat/completions", "m", "https://h/llm"),
        ("m@http://user:p%40ss@h/v1", "m", "http://h/v1"),
    ],
)
def test_a_target_is_a_model_and_a_url(target: str, model: str, url: str) -> None:
    address = find_address(target)
    assert (address.model, address.url) == (model, url)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("", "needs a model and a URL"),
        ("m", "needs a model and a URL"),
        ("@http://h", "needs a model and a URL"),
        ("http://h/v1", "needs a model and a URL"),
        ("m@http://", "no URL of a server"),
        ("m@http://h:port", "no URL"),
        ("m@http://h:99999999", "no URL"),
        ("m@http://h/a b", "no URL of a server"),
        ("m@http://h/v1?key=topsecret", "neither"),
    ],
)
def test_a_wrong_target_is_explained(target: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        load_policy(f"openai:{target}")
    assert "topsecret" not in str(error.value)


@pytest.mark.parametrize("host", ["..", "a..b", "x" * 300, "1.2.3.4.5", "127.0.0.1:0"])
def test_a_host_that_cannot_be_is_explained(host: str) -> None:
    with pytest.raises(ValueError, match="no URL that can be asked|cannot connect"):
        load_policy(f"openai:m@http://{host}", retries=0)


def test_no_proxy_stands_between_this_machine_and_itself(stub: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert ask(load(stub)).action == "OK"


@given(st.text(max_size=60))
def test_no_target_crashes(text: str) -> None:
    for target in (text, f"m@http://{text}"):
        try:
            address = find_address(target)
        except ValueError:
            continue
        assert address.model and address.url.startswith(("http://", "https://"))


def test_the_key_comes_from_the_environment_and_shows_up_nowhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", f" {SECRET}\n")
    monkeypatch.setenv("MY_TOKEN", "token-" + SECRET[::-1])
    caplog.set_level(logging.DEBUG)

    def leak(asked: Asked) -> Reply:
        return Reply({"error": {"message": f"I do not like {asked.headers['authorization']}"}}, status=500)

    with StubServer(talk(leak)) as server:
        policy = load(server, api_key_env="MY_KEY", header_env={"X-Token": "MY_TOKEN"})
        assert server.asked[0].headers["authorization"] == f"Bearer {SECRET}"
        assert server.asked[0].headers["x-token"] == "token-" + SECRET[::-1]
        results = acenv.evaluate("Needle", policy, range(2), out=tmp_path / "run", env_kwargs={"difficulty": "easy"})
        assert len(results.errors) == 2 and "I do not like Bearer ***" in results.errors[0].error
        server.answer = lambda asked: Reply({"error": f"no {asked.headers['authorization']}"}, status=401)
        with pytest.raises(ValueError, match=r"does not accept the key in MY_KEY: .*no Bearer \*\*\*") as refused:
            load(server, api_key_env="MY_KEY", header_env={"X-Token": "MY_TOKEN"})
    written = "".join(p.read_text() for p in (tmp_path / "run").iterdir())
    shown = [repr(policy), str(policy.describe()), str(refused.value), caplog.text, written, repr(vars(policy))]
    assert not any(SECRET in text or SECRET[::-1] in text for text in shown)


def test_user_and_password_in_the_url_are_sent_and_not_shown(stub: StubServer) -> None:
    target = f"stub@{stub.url.replace('//', '//ann:hush%21@')}"
    policy = load_policy(f"openai:{target}")
    expected = base64.b64encode(b"ann:hush!").decode()
    assert stub.asked[0].headers["authorization"] == f"Basic {expected}"
    assert policy.describe()["url"] == stub.url
    assert "hush" not in repr(policy) + json.dumps(policy.describe())


def test_keys_that_cannot_be_sent_are_refused_without_showing_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAD_KEY", "sk-1\r\nX-Evil: 1")
    for option in ({"api_key_env": "BAD_KEY"}, {"header_env": {"X-Key": "BAD_KEY"}}):
        with pytest.raises(ValueError, match="BAD_KEY holds characters") as error:
            load_policy("openai:m@http://127.0.0.1:9", **option)
        assert "sk-1" not in str(error.value)
    with pytest.raises(ValueError, match="NO_SUCH_KEY, which is not set"):
        load_policy("openai:m@http://127.0.0.1:9", api_key_env="NO_SUCH_KEY")
    with pytest.raises(ValueError, match="no name of a header"):
        load_policy("openai:m@http://127.0.0.1:9", header_env={"X Key:": "HOME"})


# Requests


def test_a_request_carries_conversation_sampling_and_seed(stub: StubServer) -> None:
    policy = load(
        stub, temperature=0.7, top_p=0.9, stop=["END"], max_new_tokens=99, extra_body={"min_p": 0.1}, capacity=3
    )
    assert isinstance(policy, StreamingPolicy) and policy.name == "stub-large" and policy.capacity == 3
    decision = ask(policy, "caf\u00e9 \ud800")
    assert decision == Decision("OK", Usage(length_of(stub.chats[-1].body), 1))
    body = stub.chats[-1].body
    seed = body.pop("seed")
    assert body == {
        "model": "stub-large",
        "messages": [{"role": "user", "content": "caf\u00e9 ?"}],
        "temperature": 0.7,
        "top_p": 0.9,
        "stop": ["END"],
        "max_tokens": 99,
        "min_p": 0.1,
    }
    assert "authorization" not in stub.chats[-1].headers
    ask(policy, slot=7)
    assert stub.chats[-1].body["seed"] == seed
    for other in ({"seed": 6}, {"step": 1}):
        ask(policy, **other)
        assert stub.chats[-1].body["seed"] != seed
    assert policy.act([]) == []


def test_what_is_neutral_is_not_sent(stub: StubServer) -> None:
    ask(load(stub))
    assert set(stub.chats[-1].body) == {"model", "messages", "temperature", "max_tokens", "seed"}
    ask(load(stub, temperature=None))
    assert "temperature" not in stub.chats[-1].body
    ask(load(stub, temperature=1.0, top_k=20))
    assert stub.chats[-1].body["top_p"] == 1.0 and stub.chats[-1].body["top_k"] == 20


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"temperature": -1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"timeout": "fast"}, "timeout"),
        ({"max_new_tokens": 2.5}, "max_new_tokens"),
        ({"retries": True}, "retries"),
        ({"stop": [1]}, "stop must be texts"),
        ({"stop": None}, "stop must be texts"),
        ({"extra_body": "x"}, "extra_body must be an object"),
        ({"header_env": ["x"]}, "header_env must be an object"),
        ({"tools": ["native"]}, "tools must be"),
        ({"tools": "yes"}, "tools must be one of auto, native, template, prompt"),
        ({"timeout": 0}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"backoff": float("inf")}, "backoff"),
        ({"capacity": 0}, "capacity"),
        ({"extra_body": {"messages": []}}, "may not hold messages"),
        ({"extra_body": {"x": {1}}}, "must be JSON"),
        ({"beams": 4}, "unknown option 'beams'"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_is_asked(option: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load_policy("openai:m@http://127.0.0.1:9/v1", **option)


def test_the_description_is_equal_for_equal_answers_and_lets_a_run_go_on(stub: StubServer, tmp_path: Path) -> None:
    one = load(stub).describe()
    assert one == load(stub, capacity=3, retries=2, timeout=5).describe()
    assert one != load(stub, temperature=0.5).describe()
    assert one["model"] == "stub-large" and one["server"]["model"] == "stub-1" and one["server"]["tools"] == "native"
    kwargs = {"difficulty": "easy"}
    acenv.evaluate("Needle", load(stub), range(2), out=tmp_path, env_kwargs=kwargs)
    asked = len(stub.chats)
    results = acenv.evaluate("Needle", load(stub), range(3), out=tmp_path, env_kwargs=kwargs)
    assert len(results) == 3
    assert sum(not is_probe(a) for a in stub.chats[asked:]) == results.episodes[-1].length
    with pytest.raises(acenv.RunError, match="temperature"):
        acenv.evaluate("Needle", load(stub, temperature=0.5), range(3), out=tmp_path, env_kwargs=kwargs)


# What servers understand


def test_the_other_name_of_the_token_limit_is_tried_once() -> None:
    def refuse(body: dict) -> str | None:
        return "'max_tokens' is not supported, use 'max_completion_tokens'" if "max_tokens" in body else None

    with StubServer(talk(refuse=refuse)) as server:
        policy = load(server, max_new_tokens=50)
        assert ask(policy).action == "OK"
        assert server.chats[-1].body["max_completion_tokens"] == 50
        assert sum("max_tokens" in asked.body for asked in server.chats) == 1


def test_a_seed_that_is_refused_is_left_out_and_said() -> None:
    with StubServer(talk(refuse=lambda body: "unknown field: seed" if "seed" in body else None)) as server:
        policy = load(server)
        assert ask(policy).error is None and "seed" not in server.chats[-1].body
        assert policy.describe()["server"]["seed"] is False


def test_a_template_without_system_role_or_with_strict_turns_gets_other_messages() -> None:
    def refuse(body: dict) -> str | None:
        roles = [m["role"] for m in body["messages"]]
        if "system" in roles:
            return "System role not supported"
        return "roles must alternate" if any(a == b for a, b in zip(roles, roles[1:], strict=False)) else None

    with StubServer(talk(refuse=refuse)) as server:
        policy = load(server)
        messages = [{"role": role, "content": role[0]} for role in ("system", "user", "user", "assistant", "user")]
        assert ask(policy, messages=messages).error is None
        sent = server.chats[-1].body["messages"]
        assert [(m["role"], m["content"]) for m in sent] == [("user", "s\n\nu\n\nu"), ("assistant", "a"), ("user", "u")]


def test_a_system_message_that_never_reaches_the_model_is_noticed() -> None:
    def forgetful(asked: Asked) -> Reply:
        kept = [m for m in asked.body["messages"] if m["role"] != "system"]
        return completion("OK", prompt_tokens=length_of({**asked.body, "messages": kept}))

    with StubServer(forgetful) as server:
        assert load(server).describe()["server"]["system"] is False


@pytest.mark.parametrize("status", [500, 503, 401])
def test_a_server_that_falls_ill_while_it_is_asked_is_no_server_that_knows_little(status: int) -> None:
    ill = Reply({"error": "oh"}, status=status)

    def template_fails(asked: Asked) -> Reply:
        return ill if status == 500 and asked.body["messages"][0]["role"] == "system" else talk()(asked)

    with StubServer(template_fails) as server:
        assert load(server).describe()["server"]["system"] is (status != 500)
        asked: list[Asked] = []
        server.answer = lambda a: (asked.append(a), ill if len(asked) > 1 else talk()(a))[1]
        with pytest.raises(ValueError, match="no usable answer"):
            load(server)


def no_tools(body: dict) -> str | None:
    return "this model does not support tools" if "tools" in body else None


def no_parser(body: dict) -> str | None:
    if "tools" in body and body.get("tool_choice") != "none":
        return '"auto" tool choice requires --enable-auto-tool-choice'
    return None


def deaf(asked: Asked) -> Reply:
    """Takes tools, and lets them fall under the table."""
    return completion("OK", prompt_tokens=length_of({"messages": asked.body["messages"]}))


@pytest.mark.parametrize(
    ("server", "mode", "choice"),
    [
        (talk(), "native", None),
        (talk(refuse=no_parser), "template", "none"),
        (talk(refuse=no_tools), "prompt", None),
        (deaf, "prompt", None),
    ],
)
def test_tools_reach_the_model_in_the_best_way_that_the_server_has(server: Any, mode: str, choice: str | None) -> None:
    with StubServer(server) as running:
        policy = load(running)
        assert policy.describe()["server"]["tools"] == mode
        assert ask(policy, tools=[TOOL]).action == "OK"
        body = running.chats[-1].body
        assert body.get("tool_choice") == choice
        if mode == "prompt":
            assert "tools" not in body and "look_up" in body["messages"][0]["content"]
        else:
            assert body["tools"] == [TOOL] and len(body["messages"]) == 1
        ask(policy)
        assert "tools" not in running.chats[-1].body


def test_a_way_that_was_asked_for_and_does_not_work_is_refused() -> None:
    with StubServer(talk(refuse=no_tools)) as server:
        for mode, words in (("native", "reads no calls"), ("template", "takes no tools")):
            with pytest.raises(ValueError, match=f"{words} .*does not support tools"):
                load(server, tools=mode)
        assert load(server, tools="prompt").describe()["server"]["tools"] == "prompt"


def test_log_probabilities_are_passed_on_or_missed_at_once() -> None:
    def answer(asked: Asked) -> Reply:
        reply = completion("a b", prompt_tokens=length_of(asked.body))
        if asked.body.get("logprobs"):
            reply.body["choices"][0]["logprobs"] = {"content": [{"logprob": -0.5}, {"logprob": -2}]}
        return reply

    with StubServer(answer) as server:
        assert ask(load(server, logprobs=True)).logprobs == (-0.5, -2.0)
        assert ask(load(server)).logprobs is None
    with StubServer(talk()) as server, pytest.raises(ValueError, match="no log probabilities"):
        load(server, logprobs=True)


def test_a_server_that_refuses_is_told_about_at_once() -> None:
    cases: list[tuple[Reply, str]] = [
        (Reply({"error": {"message": "who are you"}}, status=401), "does not accept a request without a key.*who are"),
        (Reply({"detail": "keep out"}, status=403), "does not accept a request without a key.*keep out"),
        (Reply({"error": {"message": "no such"}}, status=404), "has no model 'stub-larg'; it has stub-large"),
        (Reply({"error": {"message": "Unknown field: top_k"}}, status=400), "has no model"),
        (Reply(b"<html>moved</html>", status=308, headers={"Location": "https://else/"}), "sends on to https://else/"),
        (Reply({"error": {"code": "insufficient_quota", "message": "pay"}}, status=429), "insufficient_quota"),
    ]
    for reply, words in cases:
        with StubServer(talk(lambda asked: Reply())) as server:
            server.answer = lambda asked, reply=reply: reply if "chat" in asked.path else talk()(asked)
            with pytest.raises(ValueError, match=words):
                load(server, "stub-larg")
            assert len(server.chats) <= 2
    refuse = talk(refuse=lambda body: "no top_k here" if "top_k" in body else None)
    with StubServer(refuse) as server, pytest.raises(ValueError, match="refuses these settings.*no top_k here"):
        load(server, top_k=5)


def test_a_key_that_is_revoked_in_a_run_costs_errors_and_not_the_run() -> None:
    revoked = Reply({"error": "key expired"}, status=401)
    with StubServer(talk()) as server:
        policy = load(server, retries=3, capacity=2)
        assert ask(policy).action == "OK"
        server.answer = talk(lambda asked: revoked)
        results = acenv.evaluate("Needle", policy, range(40), env_kwargs={"difficulty": "easy"})
        assert len(results.errors) == 40 and "key expired" in results.errors[-1].error
        assert len([a for a in server.chats if not is_probe(a)]) < 20  # and the server is not pestered


def test_a_run_that_only_gets_refusals_is_given_up() -> None:
    with StubServer(talk(lambda asked: Reply({"error": "this model only sings"}, status=400))) as server:
        with pytest.raises(ValueError, match=r"first \d+ requests were refused.*only sings"):
            acenv.evaluate("Needle", load(server, capacity=2), range(20), env_kwargs={"difficulty": "easy"})
        assert len([a for a in server.chats if not is_probe(a)]) <= 6

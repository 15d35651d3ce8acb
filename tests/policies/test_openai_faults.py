"""Servers that fail: no fault may crash a run, lose an episode, or become a zero."""

from __future__ import annotations

import email.utils
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("aiohttp", reason='pip install "acenv[openai]"')

import acenv
from acenv.policies import load_policy
from acenv.policies.remote import client
from acenv.policies.remote.client import MAX_BODY, OUTAGE, complaint, retry_after
from acenv.types import Decision, Episode, Request, Usage
from tests.policies.servers import free_port
from tests.policies.stub import Asked, Reply, StubServer, ask, completion, is_probe, length_of, load, talk

EASY = {"difficulty": "easy"}
QUICK = {"backoff": 0.01}

FAULTS: dict[str, Reply] = {
    "drop": Reply(fault="drop"),
    "reset": Reply(fault="reset"),
    "cut": Reply({"choices": [{"message": {"content": "half" * 99}}]}, fault="cut"),
    "cut chunks": Reply(b"5\r\n{\"cho\r\n", headers={"Transfer-Encoding": "chunked"}, fault="cut"),
    "no http": Reply(b"", headers={"Bad Header\x00": "x"}),
    "hang": Reply(fault="hang"),
    "garbage": Reply(b"\xff\xfe\x00garbage"),
    "html": Reply(b"<html><body>Welcome to nginx</body></html>", headers={"Content-Type": "text/html"}),
    "empty": Reply(b""),
    "null": Reply(None),
    "a list": Reply([1, 2]),
    "deep": Reply(b"[" * 100_000),
    "no choices": Reply({"id": "x"}),
    "empty choices": Reply({"choices": []}),
    "null choice": Reply({"choices": [None]}),
    "no message": Reply({"choices": [{"finish_reason": "stop"}]}),
    "number": Reply({"choices": [{"message": {"content": 5}}]}),
    "odd calls": Reply({"choices": [{"message": {"content": "", "tool_calls": {"a": 1}}}]}),
    "error in 200": Reply({"error": {"message": "upstream is gone", "code": 502}}),
    "aborted": completion("ha", finish="abort"),
    **{str(status): Reply({"detail": "not now"}, status=status) for status in (408, 409, 425, 429, 500, 502, 503, 599)},
    "bad gateway": Reply(b"<html>Bad Gateway</html>", status=502),
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def threads() -> Callable[[], list[threading.Thread]]:
    """Gives the threads of policies that were made in this test."""
    before = set(threading.enumerate())
    return lambda: [t for t in threading.enumerate() if t.name == "acenv-openai" and t not in before]


def fails(reply: Reply, times: int) -> Callable[[Asked], Reply]:
    """A server that fails so often for each request, and then answers."""
    return talk(lambda asked: reply if asked.attempt < times else completion("fine"))


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_tried_again_and_in_the_end_is_an_error(kind: str) -> None:
    patience = {"timeout": 0.4} if kind == "hang" else {}
    with StubServer(fails(FAULTS[kind], 2)) as server:
        policy = load(server, retries=2, **QUICK, **patience)
        assert ask(policy) == Decision("fine", Usage(10, 1))
        policy = load(server, retries=1, **QUICK, **patience)
        decisions = policy.act([Request(i, i, 0, [{"role": "user", "content": f"{kind} {i}"}]) for i in range(3)])
        for decision in decisions:
            assert decision.action == "" and "(attempt 2 of 2)" in decision.error
            assert server.url in decision.error or "server" in decision.error


def test_a_body_without_end_is_not_read_to_its_end() -> None:
    with StubServer(talk(lambda asked: Reply(fault="flood"))) as server:
        assert f"more than {MAX_BODY >> 20} MiB" in ask(load(server)).error


def test_nobody_there_is_told_at_once(threads: Any) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match=r"no usable answer.*[Cc]onnect.*is the server running"):
        load_policy(f"openai:m@http://127.0.0.1:{free_port()}", retries=2, **QUICK)
    assert time.monotonic() - began < 10
    assert not threads()


@pytest.mark.parametrize("kind", ["seconds", "date", "capped"])
def test_retry_after_is_honoured_up_to_a_limit(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_PAUSE", 0.8)
    # A date has no fractions of a second, so it is between one and two seconds away.
    values = {"seconds": "0.5", "date": email.utils.formatdate(time.time() + 2, usegmt=True), "capped": "3600"}
    reply = Reply({"error": "slow down"}, status=429, headers={"Retry-After": values[kind]})
    with StubServer(fails(reply, 1)) as server:
        policy = load(server, retries=1, **QUICK)
        began = time.monotonic()
        assert ask(policy).action == "fine"
        waited = time.monotonic() - began
    assert (0.5 if kind == "seconds" else 0.8) <= waited < 10


@given(st.text() | st.floats().map(str) | st.integers().map(str))
def test_any_retry_after_is_seconds_or_nothing(value: str) -> None:
    seconds = retry_after(value)
    assert seconds is None or seconds >= 0


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda x: st.dictionaries(st.text(), x) | st.lists(x), max_leaves=4
    )
)
def test_any_json_can_be_looked_through_for_a_complaint(value: Any) -> None:
    for data in (value, {"error": value}, {"error": {"message": value, "code": value}}, {"detail": value}):
        assert isinstance(complaint(data), str)


def test_pauses_grow_and_are_spread_out() -> None:
    with StubServer(talk(lambda asked: Reply({}, status=500))) as server:
        policy = load(server, retries=4, backoff=0.1)
        times = []
        answer = server.answer
        server.answer = lambda asked: (times.append(time.monotonic()), answer(asked))[1]
        ask(policy)
    assert len(times) == 5
    # Full jitter: up to 0.1, 0.2, 0.4 and 0.8 seconds; all of them together are hardly ever nothing.
    assert 0.05 < times[-1] - times[0] < 10


def test_a_dead_server_is_left_alone_and_found_again() -> None:
    state = {"dead": False}
    with StubServer(talk(lambda asked: Reply({}, status=503) if state["dead"] else completion("fine"))) as server:
        policy = load(server, retries=2, capacity=4, **QUICK)
        assert ask(policy).error is None
        state["dead"] = True
        before = len(server.chats)
        decisions = policy.act([Request(i, i, 0, [{"role": "user", "content": str(i)}]) for i in range(400)])
        assert all(d.error and "HTTP 503" in d.error for d in decisions)
        # Those that were under way when the server was given up, and a look at it each second or more.
        assert len(server.chats) - before <= 3 * (OUTAGE + 4) + 5
        assert "requests in a row failed" in decisions[-1].error
        state["dead"] = False
        deadline = time.monotonic() + 30
        while ask(policy).error is not None and time.monotonic() < deadline:
            time.sleep(0.1)
        again = policy.act([Request(i, i, 0, [{"role": "user", "content": "x"}]) for i in range(20)])
        assert all(d.error is None for d in again)


# Whole runs


def key_of(messages: Any) -> str:
    """A conversation as text alone, however its calls and results came."""
    texts = []
    for message in messages:
        calls = message.get("tool_calls")
        text = calls[0]["function"]["arguments"] if calls else message["content"]
        texts.append(text)
    return json.dumps(texts)


@pytest.fixture(scope="module")
def reference() -> acenv.Results:
    return acenv.evaluate("quick", "oracle", range(12), env_kwargs=EASY)


class Expert:
    """A server that knows what the experts say, and says it as structured calls where it is offered tools."""

    def __init__(self, reference: acenv.Results) -> None:
        self.answers: dict[str, str] = {}
        for transcript in reference.transcripts():
            texts: list[dict[str, Any]] = []
            for message in transcript.messages:
                if message["role"] == "assistant":
                    self.answers[key_of(texts)] = message["content"]
                    if transcript.tools:
                        arguments = json.dumps(json.loads(message["content"])["arguments"])
                        texts.append({"content": arguments})
                        continue
                texts.append(dict(message))

    def __call__(self, asked: Asked) -> Reply:
        if not asked.path.endswith("/chat/completions") or is_probe(asked):
            return completion("OK", prompt_tokens=length_of(asked.body))
        text = self.answers[key_of(asked.body["messages"])]
        if "tools" not in asked.body:
            return completion(text)
        call = json.loads(text)
        function = {"name": call["name"], "arguments": json.dumps(call["arguments"])}
        return completion(None, tool_calls=[{"id": f"c{asked.attempt}", "type": "function", "function": function}])


class Faulty:
    """A server before which a share of the requests fails, each in a way of its own, the same in every run."""

    KINDS = ("drop", "reset", "cut", "garbage", "html", "500", "429", "no choices", "hang")

    def __init__(self, inner: Callable[[Asked], Reply], share: float, kinds: tuple[str, ...] = KINDS) -> None:
        self.inner, self.share, self.kinds = inner, share, kinds
        self.faults = 0

    def __call__(self, asked: Asked) -> Reply:
        draw = random.Random(f"{json.dumps(asked.body)} {asked.attempt}")
        if draw.random() >= self.share:
            return self.inner(asked)
        self.faults += 1
        kind = draw.choice(self.kinds)
        if kind == "429":
            return Reply({"error": "slow"}, status=429, headers={"Retry-After": "0.01"})
        return FAULTS[kind]


def strip(results: acenv.Results) -> list[tuple[Any, ...]]:
    """What a policy decides about episodes."""
    return sorted(
        (e.env_id, e.seed, e.return_, e.length, e.terminated, e.truncated, tuple(sorted(e.metrics.items())))
        for e in results.episodes
        if e.error is None
    )


def test_a_run_through_faults_has_the_results_of_one_without(reference: acenv.Results) -> None:
    assert len(reference) == 48
    with StubServer(Expert(reference)) as server:
        plain = acenv.evaluate("quick", load(server, capacity=16), range(12), env_kwargs=EASY)
        assert strip(plain) == strip(reference) and not plain.errors
        server.answer = faulty = Faulty(Expert(reference), 0.3)
        policy = load(server, capacity=16, retries=12, timeout=1.0, **QUICK)
        results = acenv.evaluate("quick", policy, range(12), env_kwargs=EASY)
        assert not results.errors, results.errors[0].error
        assert strip(results) == strip(reference)
        assert faulty.faults > 30
        tools = [t for t in results.transcripts() if t.tools]
        assert tools and all(t.messages == reference.transcript((t.env_id, t.seed)).messages for t in tools)


def test_what_failed_is_counted_and_a_resumed_run_ends_with_every_episode_once(
    reference: acenv.Results, tmp_path: Path
) -> None:
    with StubServer(Expert(reference)) as server:
        policy = load(server, capacity=4)
        server.answer = Faulty(Expert(reference), 0.2, ("drop", "500", "cut"))
        first = acenv.evaluate("quick", policy, range(12), out=tmp_path, env_kwargs=EASY)
        assert len(first) == 48 and 3 < len(first.errors) < 45
        assert {e.error[:7] for e in first.errors} == {"policy:"}
        assert all(value == 1.0 for value in first.returns().values())
        server.answer = Expert(reference)
        before = len(server.chats)
        final = acenv.evaluate("quick", load(server, capacity=4), range(12), out=tmp_path, env_kwargs=EASY)
        assert strip(final) == strip(reference) and not final.errors
        # Only what had failed ran again.
        again = {e.key for e in first.errors}
        asked = sum(not is_probe(a) for a in server.chats[before:])
        assert asked == sum(e.length for e in final.episodes if e.key in again)


def test_a_server_that_dies_in_a_run_costs_no_episode(reference: acenv.Results, tmp_path: Path) -> None:
    port = free_port()
    seen: list[Episode] = []
    server = StubServer(Expert(reference), port=port).__enter__()

    def watch(episode: Episode) -> None:
        seen.append(episode)
        if len(seen) == 10:
            server.close()

    policy = load(server, retries=1, capacity=8, **QUICK)
    results = acenv.evaluate("quick", policy, range(12), out=tmp_path, env_kwargs=EASY, progress=watch)
    assert len(results) == 48 and len(results.errors) > 20
    assert len(results.returns()) >= 10 and set(results.returns().values()) == {1.0}
    with StubServer(Expert(reference), port=port) as healed:
        final = acenv.evaluate("quick", load(healed, capacity=8), range(12), out=tmp_path, env_kwargs=EASY)
    assert strip(final) == strip(reference)


def test_a_long_answer_holds_up_no_short_one(reference: acenv.Results) -> None:
    expert = Expert(reference)
    slow_texts = reference.transcript(("acenv/PDDL-v0", 3)).messages
    start = key_of([dict(m) for m in slow_texts[:2]])
    order: list[int] = []

    def answer(asked: Asked) -> Reply:
        reply = expert(asked)
        slow = not is_probe(asked) and key_of(asked.body["messages"][:2]) == start
        return Reply(reply.body, delay=0.3) if slow else reply

    with StubServer(answer) as server:
        acenv.evaluate(
            "PDDL", load(server, capacity=4), range(12), env_kwargs=EASY, progress=lambda e: order.append(e.seed)
        )
    assert order[-1] == 3


# Threads, sockets, time


def test_thousand_requests_share_a_few_connections_and_little_time(threads: Any) -> None:
    requests = [Request(i, i, 0, [{"role": "user", "content": f"hello {i}"}]) for i in range(1000)]
    with StubServer(talk()) as server:
        policy = load(server, capacity=64)
        policy.act(requests[:64])
        connections = server.connections
        began, cpu = time.perf_counter(), time.process_time()
        decisions = policy.act(requests)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - began
        assert all(d.action == "OK" for d in decisions)
        assert server.most_open <= 64 and server.connections <= connections + 64
        assert len(threads()) == 1
        # Of this process, the server's own work included; the wall clock also counts what else the machine does.
        assert cpu < 2.0, f"{cpu:.2f} ms a request"
        assert wall < 20.0
        policy.cancel()
        assert not threads()
        assert gone(server)
        assert ask(policy).action == "OK"  # it comes back when it is needed


def gone(server: StubServer) -> bool:
    """Whether all connections are closed, at once or very soon."""
    deadline = time.monotonic() + 5
    while server.open and time.monotonic() < deadline:
        time.sleep(0.01)
    return server.open == 0


def test_what_is_cancelled_is_never_decided_and_leaves_nothing_behind(threads: Any) -> None:
    with StubServer(talk(lambda asked: Reply(fault="hang"))) as server:
        policy = load(server, capacity=4)
        policy.submit([Request(i, i, 0, [{"role": "user", "content": str(i)}]) for i in range(4)])
        assert policy.collect(0.1) == []
        policy.cancel()
        assert not threads() and gone(server)
        assert policy.collect() == [] and policy.collect(0.05) == []
        server.answer = talk()
        policy.submit([Request(9, 9, 0, [{"role": "user", "content": "again"}])])
        assert [(slot, d.action) for slot, d in policy.collect()] == [(9, "OK")]


def test_a_policy_that_is_forgotten_takes_its_thread_along(threads: Any) -> None:
    with StubServer(talk()) as server:
        policy = load(server)
        assert threads()
        del policy
        deadline = time.monotonic() + 5
        while threads() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not threads() and gone(server)


def test_the_interpreter_ends_with_requests_under_way() -> None:
    script = """
import sys
from acenv.policies import load_policy
from acenv.types import Request
policy = load_policy("openai:m@" + sys.argv[1], retries=0)
policy.submit([Request(i, i, 0, [{"role": "user", "content": str(i)}]) for i in range(8)])
policy.collect(0.2)
print("end")
"""
    with StubServer(talk(lambda asked: Reply(fault="hang"))) as server:
        ran = subprocess.run(
            [sys.executable, "-X", "dev", "-c", script, server.url.replace("127.0.0.1", "localhost")],
            capture_output=True, text=True, timeout=60, env={**os.environ, "OPENAI_API_KEY": ""}, check=False,
        )  # fmt: skip
        assert (ran.returncode, ran.stdout.strip()) == (0, "end")
        assert "never retrieved" not in ran.stderr and "Unclosed" not in ran.stderr and "destroyed" not in ran.stderr
        assert gone(server)

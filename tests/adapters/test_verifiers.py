"""verifiers runs our episodes: rewards are our returns, whatever form the model's calls have."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("verifiers", reason="verifiers is not in this environment: make test-adapters")

import acenv
from acenv.adapters.verifiers import make_env, run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
EASY = {"difficulty": "easy"}
Ask = Callable[[dict[str, Any]], dict[str, Any] | None]


@pytest.fixture
def serve() -> Iterator[Callable[[Ask], str]]:
    """A chat server whose messages a function gives; it fails where that gives None."""
    servers = []

    def start(ask: Ask) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = ask(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                answer: dict[str, Any] = {"id": "0", "object": "chat.completion", "created": 0, "model": "m"}
                body = json.dumps(answer | {"choices": [choice]} if message else {"error": {"message": "no"}}).encode()
                self.send_response(200 if message else 400)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v1"

    yield start
    for server in servers:
        server.shutdown()


def play(env: Any, url: str) -> list[Any]:
    return asyncio.run(run(env, model="m", base_url=url, at_once=1))


def expert(env_id: str, seed: int) -> acenv.Transcript:
    return acenv.evaluate(env_id, "oracle", [seed], env_kwargs=EASY).transcript((env_id, seed))


def test_the_expert_in_words_earns_the_whole_return(serve: Callable[[Ask], str]) -> None:
    transcript = expert("acenv/PDDL-v0", 0)
    actions = iter(step.action for step in transcript.steps)
    asked = []

    def ask(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request)
        return {"role": "assistant", "content": next(actions)}

    [episode] = play(make_env("pddl", [0], **EASY), serve(ask))
    assert episode.ok
    [trace] = episode.traces
    assert trace.reward == pytest.approx(1.0)
    assert trace.metrics["success"] == 1.0 and trace.num_turns == len(transcript.steps)
    assert [m["content"] for m in asked[-1]["messages"]] == [m["content"] for m in transcript.messages][
        : len(asked) * 2 - 1
    ]
    assert "tools" not in asked[0]


def test_structured_calls_are_calls_and_get_tool_messages(serve: Callable[[Ask], str]) -> None:
    transcript = expert("acenv/ToolSandbox-v0", 0)
    actions = iter(json.loads(step.action) for step in transcript.steps)
    asked: list[dict[str, Any]] = []

    def ask(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request)
        call = next(actions)
        function = {"name": call["name"], "arguments": json.dumps(call["arguments"])}
        calls = [{"id": f"c{len(asked)}", "type": "function", "function": function}]
        return {"role": "assistant", "content": None, "tool_calls": calls}

    [episode] = play(make_env("toolsandbox", [0], **EASY), serve(ask))
    assert episode.traces[0].reward == pytest.approx(1.0)
    assert asked[0]["tools"] == list(transcript.tools)
    answers = [m for m in asked[-1]["messages"] if m["role"] == "tool"]
    assert [m["tool_call_id"] for m in answers] == [f"c{i + 1}" for i in range(len(answers))]
    assert answers


def test_a_failing_server_is_an_error_and_no_zero(serve: Callable[[Ask], str]) -> None:
    [episode] = play(make_env("pddl", [0], **EASY), serve(lambda request: None))
    assert not episode.ok
    assert not any(trace.rewards for trace in episode.traces)


def test_tasks_are_the_episodes_of_the_seeds() -> None:
    env = make_env("pddl", [3, 5], **EASY)
    tasks = list(env.taskset)
    assert [task.data.name for task in tasks] == ["acenv/PDDL-v0#3", "acenv/PDDL-v0#5"]
    assert [task.data.prompt[-1].content for task in tasks] == [
        expert("acenv/PDDL-v0", seed).messages[0]["content"] for seed in (3, 5)
    ]


def test_nano_earns_what_it_earns_in_an_evaluation() -> None:
    command = [sys.executable, str(EXAMPLES / "verifiers_env.py"), "--seeds", "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rewards = [float(value) for value in re.findall(r"reward (\d\.\d+)", done.stdout)]
    here = acenv.evaluate("toolsandbox", "nano", range(3), env_kwargs=EASY)
    assert rewards == [pytest.approx(value, abs=0.0006) for value in here.returns().values()]

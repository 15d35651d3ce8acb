"""An environment behind an OpenEnv server on loopback: what comes over the wire is what happens here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openenv", reason="openenv-core is not in this environment: make test-adapters")

import uvicorn
from websockets.exceptions import ConnectionClosed

import acenv
from acenv.adapters.openenv import TextAction, connect, make_app

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    servers = []

    def start(env_id: str, **options: Any) -> str:
        app = make_app(env_id, **options)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        servers.append((server, thread))
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

    yield start
    for server, thread in servers:
        server.should_exit = True
        thread.join()


def expert_actions(env_id: str, seed: int) -> list[str]:
    results = acenv.evaluate(env_id, "oracle", [seed], env_kwargs={"difficulty": "easy"})
    return [step.action for step in results.transcript((env_id, seed)).steps]


@pytest.mark.parametrize("env_id", ["acenv/PDDL-v0", "acenv/ToolSandbox-v0"])
def test_the_record_survives_the_trip(serve: Callable[..., str], env_id: str) -> None:
    expected = acenv.evaluate(env_id, "oracle", range(2), env_kwargs={"difficulty": "easy"})
    with connect(serve(env_id, difficulty="easy")) as client:
        for episode in expected.episodes:
            result = client.reset(seed=episode.seed)
            assert result.observation.tools == list(expected.transcript(episode.key).tools)
            rewards = []
            for action in expert_actions(env_id, episode.seed):
                assert not result.done
                result = client.step(TextAction(text=action))
                rewards.append(result.reward)
            assert result.done
            assert result.observation.messages == list(expected.transcript(episode.key).messages)
            got = client.state().episode()
            assert sum(rewards) == pytest.approx(got.return_)
            for name in (
                "env_id",
                "seed",
                "return_",
                "length",
                "terminated",
                "truncated",
                "error",
                "metrics",
                "labels",
            ):
                assert getattr(got, name) == getattr(episode, name)


def test_the_reward_is_beside_the_observation(serve: Callable[..., str]) -> None:
    from websockets.sync.client import connect as plain

    with plain(serve("pddl", difficulty="easy").replace("http", "ws") + "/ws") as wire:
        wire.send(json.dumps({"type": "reset", "data": {"seed": 0}}))
        wire.recv()
        wire.send(json.dumps({"type": "step", "data": {"text": "look"}}))
        data = json.loads(wire.recv())["data"]
    assert data["reward"] == 0.0 and data["done"] is False
    assert data["observation"].keys() == {"messages", "tools"}


def test_clients_have_sessions_of_their_own(serve: Callable[..., str]) -> None:
    url = serve("pddl", difficulty="easy")
    with connect(url) as one, connect(url) as two:
        first, second = one.reset(seed=1), two.reset(seed=2)
        assert first.observation.messages != second.observation.messages
        one.step(TextAction(text="look"))
        assert one.state().step_count == 1 and two.state().step_count == 0


def test_more_clients_than_sessions_are_refused(serve: Callable[..., str]) -> None:
    url = serve("pddl", sessions=1)
    with connect(url) as one, connect(url) as two:
        one.reset(seed=0)
        with pytest.raises(ConnectionClosed):
            two.reset(seed=0)
        assert not one.reset(seed=1).done


def test_a_step_out_of_order_is_an_error_and_the_session_goes_on(serve: Callable[..., str]) -> None:
    with connect(serve("pddl", difficulty="easy")) as client:
        with pytest.raises(RuntimeError, match=r"call reset\(\) first"):
            client.step(TextAction(text="look"))
        assert not client.reset(seed=0).done


def test_any_text_is_taken(serve: Callable[..., str]) -> None:
    with connect(serve("toolsandbox")) as client:
        client.reset()
        for text in ("", "🙂" * 50, "[" * 5000, "\x00\x1b[31m", "x" * 100_000):
            if client.step(TextAction(text=text)).done:
                client.reset(seed=1)
        assert client.state().metrics["success"] == 0.0


def test_the_schema_is_served(serve: Callable[..., str]) -> None:
    with urllib.request.urlopen(serve("pddl") + "/schema") as answer:
        schema = json.load(answer)
    assert schema["action"]["required"] == ["text"]
    assert "messages" in schema["observation"]["properties"]


def test_what_cannot_be_made_is_refused_before_it_is_served() -> None:
    with pytest.raises(ValueError, match="no environment or suite is called"):
        make_app("no-such-thing")
    with pytest.raises(ValueError, match="difficulty must be one of"):
        make_app("pddl", difficulty="odd")


def test_nano_plays_over_the_wire() -> None:
    command = [sys.executable, str(EXAMPLES / "openenv_server.py"), "--seeds", "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    returns = [float(value) for value in re.findall(r"return (\d\.\d+)", done.stdout)]
    here = acenv.evaluate("toolsandbox", "nano", range(3), env_kwargs={"difficulty": "easy"})
    assert returns == [pytest.approx(value, abs=0.006) for value in here.returns().values()]

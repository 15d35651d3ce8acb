"""The ``openai`` policy against a real server with a real model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason='pip install "acenv[openai]"')

import acenv
from acenv.policies import NANO, load_policy
from acenv.types import Episode
from tests.policies.servers import Server

EASY = {"difficulty": "easy"}
SEEDS = range(10)
TOKENS = 64


def load(server: Server, **options: Any) -> Any:
    return load_policy(f"openai:{NANO}@{server.url}", **{"capacity": 4, "max_new_tokens": TOKENS, **options})


@pytest.fixture(scope="module")
def served(transformers_server: Server) -> acenv.Results:
    return acenv.evaluate("quick", load(transformers_server), SEEDS, env_kwargs=EASY)


def test_a_served_model_acts_as_the_checkpoint_does(served: acenv.Results) -> None:
    policy = load_policy("nano", dtype="float32", max_new_tokens=TOKENS)
    own = acenv.evaluate("quick", policy, SEEDS, env_kwargs=EASY)
    assert not served.errors and len(served) == 4 * len(SEEDS)
    assert served.returns() == own.returns()
    # Text for text and token for token.
    usage = {e.key: e.usage for e in own.episodes}
    for episode in served.episodes:
        there, here = (results.transcript(episode.key) for results in (served, own))
        assert (there.messages, there.steps) == (here.messages, here.steps)
        # A server counts the token that ends an answer.
        ends = sum(step.finish == "stop" for step in there.steps)
        assert episode.usage.completion_tokens == usage[episode.key].completion_tokens + ends
        assert episode.usage.prompt_tokens == usage[episode.key].prompt_tokens


def test_what_the_server_does_not_know_is_said_in_its_words(transformers_server: Server) -> None:
    with pytest.raises(ValueError, match="Server is pinned to"):
        load_policy(f"openai:another-model@{transformers_server.url}")
    with pytest.raises(ValueError, match="Unexpected fields in the request.*top_k"):
        load(transformers_server, top_k=5)
    with pytest.raises(ValueError, match="no log probabilities"):
        load(transformers_server, logprobs=True)


def test_a_killed_server_costs_no_episode(transformers_server: Server, served: acenv.Results, tmp_path: Path) -> None:
    def kill(episode: Episode) -> None:
        if transformers_server.process is not None and transformers_server.process.poll() is None:
            transformers_server.kill()

    run = {"out": tmp_path, "env_kwargs": EASY}
    first = acenv.evaluate(
        "ToolSandbox", load(transformers_server, retries=1, backoff=0.01), SEEDS, progress=kill, **run
    )
    assert len(first) == len(SEEDS) and 0 < len(first.errors) < len(SEEDS)
    transformers_server.start()
    final = acenv.evaluate("ToolSandbox", load(transformers_server), SEEDS, **run)
    assert not final.errors and len(final) == len(SEEDS)
    assert final.returns() == {k: v for k, v in served.returns().items() if "ToolSandbox" in k[0]}

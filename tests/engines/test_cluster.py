from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import acenv
from acenv.cli import main
from acenv.engines import cluster
from acenv.types import EngineError, Episode
from tests.engines.conftest import timeless

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow

EASY = {"difficulty": "easy"}
ENVS = ["ToolSandbox", "PDDL"]


@pytest.fixture(scope="module", autouse=True)
def a_cluster() -> Iterator[None]:
    """Ray on this machine, with room for two actors, which are not left to wait for whatever else runs here."""
    names = {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False)
    yield
    ray.shutdown()
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


def actors() -> list[int]:
    """Processes of actors that have begun to work."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().startswith(b"ray::ShardActor"):
                found.append(int(folder.name))
        except OSError:
            continue  # It has gone meanwhile.
    return sorted(found)


def test_results_are_those_of_one_process_also_when_an_actor_is_killed(tmp_path: Path) -> None:
    seen: list[Episode] = []
    killed: list[int] = []

    def kill(episode: Episode) -> None:
        seen.append(episode)
        if len(seen) in (4, 40):
            killed.append(actors()[0])
            os.kill(killed[-1], signal.SIGKILL)

    out = tmp_path / "run"
    spread = acenv.evaluate(ENVS, "oracle", range(60), env_kwargs=EASY, engine="ray", slots=2, out=out, progress=kill)
    alone = acenv.evaluate(ENVS, "oracle", range(60), env_kwargs=EASY)
    assert len(set(killed)) == 2
    assert timeless(spread) == timeless(alone)
    assert len(seen) == len((out / "episodes.jsonl").read_text().splitlines()) == 120
    assert all(spread.manifest[name] == alone.manifest[name] for name in ("policy", "versions", "env_kwargs"))


def test_the_command_line_goes_on_where_a_local_run_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    local = acenv.evaluate(ENVS, "oracle", range(3), env_kwargs=EASY, out=out)
    command = ["eval", "--policy", "oracle", "--envs", *ENVS, "--episodes", "6", "--difficulty", "easy", "--json"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--out", str(out), "--engine", "ray", "--workers", "1", "--resource", "num_cpus=0.5"])
    printed, said = capsys.readouterr()
    assert not ended.value.code, said
    assert json.loads(printed)["policy"] == "oracle"
    results = acenv.Results.load(out)
    assert len(results) == 12 and list(results.episodes[:6]) == list(local.episodes)


def test_an_actor_has_a_model_of_its_own() -> None:
    pytest.importorskip("transformers")
    options = {"capacity": 1, "max_new_tokens": 48}
    spread = acenv.evaluate("PDDL", "nano", range(3), env_kwargs=EASY, engine="ray", workers=1, policy_options=options)
    alone = acenv.evaluate("PDDL", "nano", range(3), env_kwargs=EASY, policy_options=options)
    assert timeless(spread) == timeless(alone)
    assert spread.manifest["policy"] == alone.manifest["policy"] and spread.manifest["policy"]["name"] == "nano"


def test_functions_travel() -> None:
    word = "nothing"
    results = acenv.evaluate("Needle", lambda messages: word, range(2), env_kwargs=EASY, engine="ray", workers=1)
    assert {step.action for t in results.transcripts() for step in t.steps} == {"nothing"}


def test_what_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="unknown policy 'noone'"):
        acenv.evaluate("Needle", "noone", range(2), engine="ray", workers=1)
    monkeypatch.setattr(cluster, "START_SECONDS", 3.0)
    needs: Any = {"num_gpus": 64}
    with pytest.raises(EngineError, match=r"needs .*'num_gpus': 64.* and the cluster has .*'CPU'"):
        acenv.evaluate("Needle", "oracle", range(2), engine="ray", resources=needs)
    with pytest.raises(ValueError, match="cannot need -1 of num_gpus"):
        acenv.evaluate("Needle", "oracle", range(2), engine="ray", resources={"num_gpus": -1})

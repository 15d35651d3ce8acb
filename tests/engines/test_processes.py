from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import acenv
from acenv.engines.processes import ProcessPool
from acenv.engines.shards import Job
from acenv.engines.spreading import spread
from acenv.policies import OraclePolicy
from acenv.starts import Start
from acenv.types import Decision, EngineError, Episode, Request
from tests.engines.conftest import timeless

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")

EASY = {"difficulty": "easy"}
ENVS = ["ToolSandbox", "PDDL"]


class Resident:
    """The oracle, in this process."""

    name, capacity = "resident", 5

    def act(self, batch: Sequence[Request]) -> list[Decision]:
        return [Decision(request.expert() if request.expert else "") for request in batch]


@pytest.mark.parametrize("policy", [OraclePolicy(), Resident()], ids=["portable", "resident"])
def test_results_are_those_of_one_process(tmp_path: Path, policy: Any) -> None:
    alone = acenv.evaluate(ENVS, policy, range(8), env_kwargs=EASY, out=tmp_path / "alone")
    spread_out = acenv.evaluate(ENVS, policy, range(8), env_kwargs=EASY, out=tmp_path / "spread", workers=2)
    assert timeless(spread_out) == timeless(alone)
    lines = [(tmp_path / name / "transcripts.jsonl").read_bytes().splitlines() for name in ("alone", "spread")]
    assert sorted(lines[0]) == sorted(lines[1])
    created = {"created": ""}
    assert spread_out.manifest | created == alone.manifest | created
    # Either goes on where the other was.
    more = acenv.evaluate(ENVS, policy, range(9), env_kwargs=EASY, out=tmp_path / "alone", workers=2)
    assert len(more) == 18


def children() -> list[int]:
    """Worker processes of this process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid() and b"acenv.engines.processes" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue  # It has gone meanwhile.
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("policy", [OraclePolicy(), Resident()], ids=["portable", "resident"])
def test_what_a_killed_worker_had_runs_again(tmp_path: Path, policy: Any) -> None:
    seen: list[Episode] = []
    killed: list[int] = []

    def kill(episode: Episode) -> None:
        seen.append(episode)
        if len(seen) in (3, 9):
            killed.append(children()[-1])
            os.kill(killed[-1], signal.SIGKILL)

    disturbed = acenv.evaluate(ENVS, policy, range(12), env_kwargs=EASY, workers=2, out=tmp_path / "run", progress=kill)
    assert len(set(killed)) == 2 and len(seen) == len({e.key for e in seen}) == 24
    assert timeless(disturbed) == timeless(acenv.evaluate(ENVS, policy, range(12), env_kwargs=EASY))
    assert len((tmp_path / "run" / "episodes.jsonl").read_text().splitlines()) == 24
    assert children() == []


@pytest.mark.parametrize("policy", [OraclePolicy(), Resident()], ids=["portable", "resident"])
def test_an_episode_that_takes_its_worker_down_is_begun_again_and_at_last_an_error(
    mortal_env: tuple[str, dict[str, Any]], policy: Any
) -> None:
    env_id, keywords = mortal_env
    import torch  # noqa: F401 (it is here, and must not be in the workers)

    results = acenv.evaluate(env_id, policy, range(12), env_kwargs=keywords, workers=2)
    assert {e.seed for e in results.episodes} == set(range(12))
    assert {e.seed for e in results.errors} == {7, 8}
    errors = {e.seed: str(e.error) for e in results.errors}
    assert "3 times" in errors[7] and "SIGKILL" in errors[7]
    assert errors[8] == "environment step failed: KeyError: 'no such thing'"
    scored = [e for e in results.episodes if e.error is None]
    assert {(e.return_, e.length, e.labels["torch"]) for e in scored} == {(1.0, 3, "False")}
    assert [step.action for step in results.transcript((env_id, 3)).steps] == ["step 3", "step 2", "step 1"]


def test_functions_stay_in_this_process() -> None:
    asked = []

    def say(messages: Any) -> str:
        asked.append(len(messages))
        return "nothing"

    results = acenv.evaluate("Needle", say, range(4), env_kwargs=EASY, workers=2)
    assert len(results) == 4 and not results.errors and len(asked) == sum(e.length for e in results.episodes)


def test_a_worker_says_why_it_cannot_begin() -> None:
    job = Job("no such policy", {}, [])
    with (
        ProcessPool(job) as pool,
        pytest.raises(EngineError, match="a worker process failed: ValueError: unknown policy"),
    ):
        list(spread(pool, 1, deque([Start("acenv/PDDL-v0", 0)]), 1))


def test_a_script_needs_no_guard_and_is_not_run_twice(tmp_path: Path) -> None:
    import subprocess

    script = tmp_path / "script.py"
    script.write_text("import acenv\nprint(len(acenv.evaluate('Needle', 'oracle', range(3), workers=2)))\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "3\n"


def test_engines_and_resources_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="no engine is called 'cloud'; there are local and ray"):
        acenv.evaluate("Needle", "oracle", range(1), engine="cloud")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="resources are for engine='ray'"):
        acenv.evaluate("Needle", "oracle", range(1), resources={"num_gpus": 1})
    with pytest.raises(ValueError, match="workers must be at least 1"):
        acenv.evaluate("Needle", "oracle", range(1), workers=0)

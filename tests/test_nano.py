"""The built-in model acts: its bars on tasks that it has never seen."""

from __future__ import annotations

import pytest

import acenv
from acenv.policies import NANO
from acenv.registry import SIMULATORS
from acenv.runs import Results

BARS = {
    "acenv/ToolSandbox-v0": 0.8,
    "acenv/Needle-v0": 0.8,
    "acenv/WorkflowFunctionCall-v0": 0.6,
    "acenv/PDDL-v0": 0.4,
}


EVERYWHERE = 0.3
"""What it reaches in every environment that makes its own tasks."""


@pytest.fixture(scope="module")
def results() -> Results:
    return acenv.evaluate(list(BARS), "nano", range(40), env_kwargs={"difficulty": "easy"})


def test_it_reaches_its_bars_and_leaves_room_for_a_drop(results: Results) -> None:
    means = results.mean_returns()
    assert not results.errors
    for env_id, bar in BARS.items():
        assert means[env_id] >= bar, env_id
    assert min(means.values()) < 1.0


@pytest.mark.parametrize("answer_format", ["json", "str"])
def test_it_acts_in_every_generated_environment(answer_format: str) -> None:
    teval = {env_id: {"format": answer_format} for env_id in acenv.suites["toolcalling"] if "Sandbox" not in env_id}
    teval.pop("acenv/BFCL-v0")
    generated = [env_id for env_id in acenv.env_ids() if env_id not in SIMULATORS]
    others = [env_id for env_id in generated if env_id not in teval and env_id not in BARS]
    wanted = [*teval, *(others if answer_format == "json" else [])]
    results = acenv.evaluate(wanted, "nano", range(20), env_kwargs={"difficulty": "easy", **teval})
    assert not results.errors
    assert {env_id: mean for env_id, mean in results.mean_returns().items() if mean < EVERYWHERE} == {}


def test_it_fits_into_the_package() -> None:
    assert sum(file.stat().st_size for file in NANO.iterdir()) < 12e6
    assert (NANO / "README.md").read_text(encoding="utf-8").startswith("# nano")


def test_larger_tasks_are_not_made_for_it() -> None:
    medium = acenv.evaluate("ToolSandbox", "nano", range(6))
    assert medium.mean_returns()["acenv/ToolSandbox-v0"] < 0.5

"""The built-in model acts: its bars on tasks that it has never seen."""

from __future__ import annotations

import pytest

import acenv
from acenv.policies import NANO
from acenv.runs import Results

BARS = {
    "acenv/ToolSandbox-v0": 0.8,
    "acenv/Needle-v0": 0.8,
    "acenv/WorkflowFunctionCall-v0": 0.6,
    "acenv/PDDL-v0": 0.4,
}


@pytest.fixture(scope="module")
def results() -> Results:
    return acenv.evaluate(list(BARS), "nano", range(40), env_kwargs={"difficulty": "easy"})


def test_it_reaches_its_bars_and_leaves_room_for_a_drop(results: Results) -> None:
    means = results.mean_returns()
    assert not results.errors
    for env_id, bar in BARS.items():
        assert means[env_id] >= bar, env_id
    assert min(means.values()) < 1.0


def test_it_fits_into_the_package() -> None:
    assert sum(file.stat().st_size for file in NANO.iterdir()) < 12e6
    assert (NANO / "README.md").read_text(encoding="utf-8").startswith("# nano")


def test_larger_tasks_are_not_made_for_it() -> None:
    medium = acenv.evaluate("toolcalling", "nano", range(6))
    assert medium.mean_returns()["acenv/ToolSandbox-v0"] < 0.5

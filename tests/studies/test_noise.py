"""The built-in model against itself: what only changes the order or the precision of additions is no loss."""

from __future__ import annotations

import numpy as np
import pytest

import acenv
from acenv.analysis.comparison import compare, compare_all
from acenv.analysis.simulation import is_accused
from acenv.runs import Results

ENVS = ["acenv/ToolSandbox-v0", "acenv/Needle-v0"]


@pytest.fixture(scope="module")
def runs() -> dict[str, Results]:
    settings = {
        "dense": {"capacity": 16, "dtype": "float32"},
        "batch size": {"capacity": 3, "dtype": "float32"},
        "dtype": {"capacity": 16, "dtype": "bfloat16"},
    }
    return {
        name: acenv.evaluate(
            ENVS,
            acenv.load_policy("nano", name=name, max_new_tokens=60, **options),
            range(10),
            env_kwargs={"difficulty": "easy"},
        )
        for name, options in settings.items()
    }


def test_the_model_does_not_lose_against_itself(runs: dict[str, Results]) -> None:
    again = {name: run for name, run in runs.items() if name != "dense"}
    for comparison in compare_all(runs["dense"], again).values():
        assert not is_accused(comparison) and comparison.overall.episodes == 20
        for part in (*comparison.environments, comparison.overall):
            assert part.difference.low <= 0.0 <= part.difference.high and part.p_difference > 0.05


def test_nor_in_samples_of_these_episodes(runs: dict[str, Results]) -> None:
    """200 times as many episodes, drawn from the real pairs, either side of which may be the original."""
    rng = np.random.default_rng(0)
    pairs = [
        (one, other)
        for name in ("batch size", "dtype")
        for one, other in zip(runs["dense"].episodes, runs[name].episodes, strict=True)
    ]
    accused = 0
    for _ in range(200):
        sides: tuple[list[acenv.Episode], list[acenv.Episode]] = ([], [])
        for seed, i in enumerate(rng.integers(len(pairs), size=20)):
            first = rng.integers(2)
            for side, episode in ((sides[0], pairs[i][first]), (sides[1], pairs[i][1 - first])):
                side.append(acenv.Episode(pairs[i][0].env_id, seed, episode.return_, 1, True, False))
        accused += is_accused(
            compare(
                Results({"policy": {"name": "a"}}, sides[0]),
                Results({"policy": {"name": "b"}}, sides[1]),
                resamples=200,
            )
        )
    assert accused <= 20  # binomial, 5% of 200 at 99.9%

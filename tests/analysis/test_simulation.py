"""Intervals and tests against a known truth: what they say of themselves holds, also where little is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from acenv.analysis.simulation import WORLDS, World, simulate, tally

TOSS = World((0.0, 1.0), (0.5, 0.5), noise=0.6)


def at_most(level: float, repetitions: int) -> float:
    """What a count with this chance exceeds in one of a thousand cases."""
    return float(binom.ppf(0.999, repetitions, level))


def with_loss(loss: float, keep: float) -> dict[str, World]:
    return {name: replace(world, loss=loss, keep=keep) for name, world in WORLDS.items()}


@pytest.mark.parametrize(
    ("worlds", "episodes"),
    [
        (WORLDS, 25),
        ({"toss": TOSS}, 120),
        ({str(i): TOSS for i in range(5)}, 10),
        ({"large": TOSS, "small": TOSS, "graded": WORLDS["graded, no ties"]}, {"large": 150, "small": 6, "graded": 40}),
    ],
    ids=["all kinds", "tosses", "many environments", "uneven"],
)
def test_the_original_against_itself_is_rarely_said_to_lose(
    worlds: Mapping[str, World], episodes: int | Mapping[str, int]
) -> None:
    found = tally(worlds, episodes, 200, seed=3, resamples=200)
    limit = at_most(0.05, 200)
    assert found.accused <= limit and found.differs <= limit and found.flips <= limit


def test_a_real_loss_is_seen() -> None:
    found = tally({"A": replace(TOSS, noise=0.1, loss=0.3)}, 100, 60, resamples=300)
    assert found.accused >= 48


@pytest.mark.parametrize(("loss", "keep", "episodes"), [(0.0, 0.0, 4), (0.15, 0.3, 2), (0.15, 0.3, 30)])
def test_intervals_cover_the_truth(loss: float, keep: float, episodes: int) -> None:
    found = tally(with_loss(loss, keep), episodes, 50, seed=episodes, resamples=300)
    for env_id, by_name in found.covered.items():
        for name, count in by_name.items():
            assert 50 - count <= at_most(0.05, 50), (env_id, name)


@pytest.mark.parametrize("episodes", [2, 5])
def test_the_mean_over_many_environments_is_covered_however_few_episodes_each_has(episodes: int) -> None:
    """With plain uniform weights in each environment, only 80% to 92% of these intervals cover."""
    worlds = {str(i): replace(TOSS, noise=1.0) for i in range(16)}
    found = tally(worlds, episodes, 40, seed=1, resamples=300)
    for name, count in found.covered["overall"].items():
        assert 40 - count <= at_most(0.05, 40), name


def test_the_overall_interval_is_worth_its_name_and_no_wider_than_it_must_be() -> None:
    worlds = {str(i): replace(TOSS, noise=1.0) for i in range(6)}
    found = tally(worlds, 40, 20, seed=2, resamples=400)
    ideal = 2 * 1.96 * np.sqrt(0.5 / 240)  # the variance of a difference of two tosses is 1 / 2
    assert ideal < found.width < 1.15 * ideal


def test_worlds_have_the_means_that_they_say() -> None:
    world = World((0.0, 0.5, 1.0), (0.2, 0.3, 0.5), noise=0.4, loss=0.25, keep=0.2)
    means = world.draw(200_000, np.random.default_rng(0)).mean(axis=0)
    assert means[0] == pytest.approx(world.mean, abs=0.005) == pytest.approx(0.65, abs=0.005)
    assert means[1] == pytest.approx(world.mean * world.retention, abs=0.005)
    reference, candidate = simulate({"A": world, "B": world}, {"A": 3, "B": 2}, np.random.default_rng(1))
    assert [e.key for e in reference.episodes] == [e.key for e in candidate.episodes]
    assert [e.env_id for e in reference.episodes] == ["A"] * 3 + ["B"] * 2

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.analysis.deviations import Deviation, EpisodeAttribution
from acenv.analysis.divergence import DIVERGENCES
from acenv.analysis.shares import context_range, group_deviations, mean_loss, range_name, step_name


def episode(seed: int, shares: dict[str, float], env_id: str = "a", replicate: int = 0) -> EpisodeAttribution:
    """An episode that lost what its decisions, one of each kind, cost."""
    path = tuple(Deviation(t, kind, 10 * t, "x", "y", s, s) for t, (kind, s) in enumerate(shares.items()))
    lost = math.fsum(shares.values())
    return EpisodeAttribution(env_id, seed, 1.0, 1.0 - lost, 5, 0 if path else None, (0,) * 5, path, path, replicate)


def kinds(episodes: list[EpisodeAttribution]) -> dict[str, tuple[float, float, float, float, float, float]]:
    groups = group_deviations(episodes, lambda e, d: d.kind, DIVERGENCES)
    return {
        g.name: (g.cost.estimate, g.cost.low, g.cost.high, g.share.estimate, g.share.low, g.share.high) for g in groups
    }


SHARES = st.dictionaries(
    st.sampled_from(["tool name", "argument", "syntax"]), st.floats(-1, 1).map(lambda x: round(x, 3))
)


@settings(max_examples=30)
@given(st.lists(SHARES, min_size=1, max_size=12))
def test_parts_add_up_and_lie_in_their_intervals(drawn: list[dict[str, float]]) -> None:
    episodes = [episode(seed, shares, env_id="ab"[seed % 2]) for seed, shares in enumerate(drawn)]
    found = kinds(episodes)
    whole = mean_loss(episodes).estimate
    assert math.fsum(f[0] for f in found.values()) == pytest.approx(whole, abs=1e-9)
    for estimate, low, high, share, *bounds in found.values():
        assert math.isnan(low) or low <= estimate <= high
        assert math.isnan(share) or share * whole == pytest.approx(estimate, abs=1e-9)
        assert any(map(math.isnan, bounds)) or bounds[0] <= share <= bounds[1]


def test_what_was_not_seen_is_not_excluded() -> None:
    """Twenty episodes without a loss do not show that there is none: the rule of three."""
    cost, low, high, *_ = kinds([episode(seed, {}) for seed in range(20)])["tool name"]
    assert cost == 0.0
    assert high == pytest.approx(1 - 0.025 ** (1 / 20), abs=0.02) and low == pytest.approx(-high, abs=0.02)


def test_a_share_has_no_bounds_where_the_loss_may_be_none() -> None:
    even = [episode(seed, {"argument": 1.0 if seed % 2 else -0.9}) for seed in range(20)]
    *_, share, low, high = kinds(even)["argument"]
    assert share == pytest.approx(1.0) and math.isnan(low) and math.isnan(high)
    *_, share, low, high = kinds([episode(seed, {"argument": 1.0, "syntax": -0.2}) for seed in range(20)])["syntax"]
    assert share == pytest.approx(-0.25) and low <= share <= high < 0.1


def test_draws_of_one_episode_are_one_observation() -> None:
    once = [episode(seed, {"argument": float(seed < 5)}) for seed in range(10)]
    often = [episode(seed, {"argument": float(seed < 5)}, replicate=r) for seed in range(10) for r in range(8)]
    assert kinds(often)["argument"] == pytest.approx(kinds(once)["argument"], nan_ok=True)
    lonely = [episode(0, {"argument": 1.0}, replicate=r) for r in range(8)]
    assert math.isnan(mean_loss(lonely).low)


def test_environments_weigh_alike() -> None:
    many = [episode(seed, {"argument": 1.0}) for seed in range(30)]
    few = [episode(seed, {"syntax": 0.5}, env_id="b") for seed in range(3)]
    found = kinds(many + few)
    assert found["argument"][0] == pytest.approx(0.5) and found["syntax"][0] == pytest.approx(0.25)


@pytest.mark.parametrize(("rate", "size"), [(0.05, 30), (0.3, 15), (0.9, 40)])
def test_intervals_cover_what_they_say(rate: float, size: int) -> None:
    """A kind that costs an episode half of its return at a known rate, beside another that always costs a bit."""
    rng = np.random.default_rng(7)
    hits = {"cost": 0, "share": 0}
    rounds = 120
    for _ in range(rounds):
        lost = rng.random(size) < rate
        found = kinds([episode(i, {"tool name": 0.5 * hit, "syntax": 0.1}) for i, hit in enumerate(lost)])["tool name"]
        hits["cost"] += found[1] <= 0.5 * rate <= found[2]
        hits["share"] += math.isnan(found[4]) or found[4] <= 0.5 * rate / (0.5 * rate + 0.1) <= found[5]
    assert hits["cost"] >= 0.93 * rounds and hits["share"] >= 0.93 * rounds


@given(st.integers(0, 10**6))
def test_ranges_hold_what_they_are_named_after(length: int) -> None:
    low, high = context_range(length)
    assert low <= length <= high and range_name(length) == f"{low}-{high}"
    assert context_range(low) == context_range(high) == (low, high)


def test_late_steps_are_pooled() -> None:
    assert [step_name(t) for t in (0, 9, 10, 19, 20, 49, 50, 500)] == [
        *("0", "9", "10-19", "10-19", "20-49", "20-49", "50+", "50+")
    ]

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.analysis.loss_model import Point, leave_one_out, predict
from acenv.analysis.prediction import Relations, distances, mean_distances, mean_loss, predict_loss, relate
from acenv.analysis.rank_correlation import between_points, spearman, within_groups
from acenv.analysis.replay import EpisodeInternals, Histogram, Replay

ENVS = ("acenv/A-v0", "acenv/B-v0")
SEEDS = 8
BASE = {(env_id, seed): 1.0 for env_id in ENVS for seed in range(SEEDS)}
finite = st.floats(-1e3, 1e3, allow_nan=False)


def internals(env_id: str, seed: int, kl: float) -> EpisodeInternals:
    """Of a transcript on which all internals have moved by the same amount, the top-3 Kendall being undefined."""
    close = math.exp(-kl)
    return EpisodeInternals(
        env_id=env_id,
        seed=seed,
        tokens=10,
        erank_logits=(10.0, 10.0 * close),
        erank_hidden=(20.0, 20.0 * close),
        jaccard={3: close, 10: close},
        kendall={3: math.nan, 10: close},
        spearman={3: close, 10: close},
        energy=(-1.0, -1.0 - kl),
        energy_shift=kl,
        kl=kl,
        top1_agreement=close,
        rbo=close,
    )


def replayed(name: str, kls: Sequence[float]) -> Replay:
    episodes = tuple(internals(*key, kl) for key, kl in zip(BASE, kls, strict=True))
    return Replay("dense", name, episodes, Histogram((0.0, 1.0), (1,), (1,)))


def method(name: str, severity: float, *, seed: int = 0) -> tuple[dict[tuple[str, int], float], Replay]:
    """A method that loses those episodes which it reads most differently, the more the larger its severity."""
    kls = severity * (0.5 + np.random.default_rng(seed).random(len(BASE)))
    returns = {key: 1.0 - min(1.0, float(kl)) for key, kl in zip(BASE, kls, strict=True)}
    return returns, replayed(name, kls.tolist())


SEVERITIES = {f"m{i}": s for i, s in enumerate((0.01, 0.05, 0.1, 0.2, 0.3, 0.5))}


@pytest.fixture(scope="module")
def relations() -> Relations:
    return relate(
        BASE, {name: method(name, s, seed=i) for i, (name, s) in enumerate(SEVERITIES.items())}, resamples=200
    )


def test_planted_relations_are_found_between_methods_within_them_and_out_of_sample(relations: Relations) -> None:
    assert {r.internal: r.rho.estimate for r in relations.methods} == dict.fromkeys(relations.points[0].distances, 1.0)
    assert all(r.p_value == pytest.approx(2 / math.factorial(6)) for r in relations.methods)
    for rows in (relations.pooled, *relations.episodes.values()):
        assert all(r.rho.estimate == pytest.approx(1.0) and r.p_adjusted < 0.05 for r in rows)
    assert relations.held_out is not None
    assert relations.held_out.error < 0.5 * relations.held_out.baseline
    assert "the internals help" in relations.sentences()[1]


def test_the_result_survives_json(relations: Relations) -> None:
    text = json.dumps(relations.to_dict(), allow_nan=False)
    again = Relations.from_dict(json.loads(text))
    assert again.to_dict() == relations.to_dict()
    with pytest.raises(ValueError, match="to_dict"):
        Relations.from_dict({"k": 10})


def test_where_nothing_is_lost_correlations_are_undefined_and_not_zero() -> None:
    found = relate(BASE, {name: (BASE, method(name, 0.1, seed=i)[1]) for i, name in enumerate("abcde")}, resamples=50)
    for row in (*found.pooled, *found.methods):
        assert math.isnan(row.rho.estimate) and math.isnan(row.p_adjusted)
    assert found.held_out is not None and found.held_out.error == 0.0
    assert "lost the same" in found.sentences()[0] and "No method lost" in found.sentences()[2]


def test_few_methods_leave_the_rest_absent() -> None:
    found = relate(BASE, {name: method(name, s) for name, s in list(SEVERITIES.items())[:3]}, resamples=50)
    assert found.methods == () and found.held_out is None
    assert "4 methods" in found.sentences()[0] and "5 methods" in found.sentences()[1]
    with pytest.raises(ValueError, match="add methods"):
        predict_loss(found, method("new", 0.1)[1])
    with pytest.raises(ValueError, match="no method has been replayed"):
        relate(BASE, {})
    with pytest.raises(ValueError, match="no finished episode in common"):
        relate(BASE, {"a": ({("other", 0): 1.0}, method("a", 0.1)[1])})


def test_a_k_that_was_not_replayed_is_named() -> None:
    with pytest.raises(ValueError, match="no k = 5; they have 3, 10"):
        relate(BASE, {"a": method("a", 0.1)}, k=5)


def test_an_identical_model_is_at_distance_zero_and_expected_to_lose_nothing(relations: Relations) -> None:
    same = replayed("same", [0.0] * len(BASE))
    assert set(mean_distances(same).values()) == {0.0}
    assert predict_loss(relations, same).estimate == 0.0


def test_a_model_beyond_all_that_is_known_is_said_to_be(relations: Relations) -> None:
    found = predict_loss(relations, method("far", 3.0)[1])
    assert found.outside and "may lose more" in found.sentence()
    assert found.estimate == pytest.approx(max(p.loss for p in relations.points))
    near = predict_loss(relations, method("near", 0.15, seed=9)[1])
    assert not near.outside and near.low <= near.estimate <= near.high
    assert near.guaranteed == pytest.approx(1 - 2 / 7) and near.level == pytest.approx(1 - 1 / 7)


def test_distances_that_are_undefined_are_left_out() -> None:
    found = distances(internals(ENVS[0], 0, 0.5), k=3)
    assert math.isnan(found["top-3 Kendall"]) and found["top-3 overlap"] == pytest.approx(1 - math.exp(-0.5))
    methods = {name: method(name, s, seed=i) for i, (name, s) in enumerate(SEVERITIES.items())}
    relations = relate(BASE, methods, k=3, resamples=50)
    assert math.isnan({r.internal: r.rho.estimate for r in relations.methods}["top-3 Kendall"])
    assert relations.held_out is not None and relations.held_out.error < relations.held_out.baseline


def test_environments_weigh_the_same_whatever_their_number_of_episodes() -> None:
    base = {("a", s): 1.0 for s in range(9)} | {("b", 0): 1.0}
    assert mean_loss(base, {**base, ("b", 0): 0.0}) == pytest.approx(0.5)


def test_the_feature_is_chosen_without_the_method_that_is_left_out() -> None:
    """The noise goes perfectly with the loss if the last method is among the points, and badly if it is not."""
    losses = [0.0, 0.1, 0.2, 0.3, 0.4]
    signal, noise = [1.0, 2.0, 3.0, 4.0, 5.0], [4.0, 3.0, 2.0, 1.0, 100.0]
    points = [
        Point(str(i), y, {"noise": n, "signal": s})
        for i, (y, s, n) in enumerate(zip(losses, signal, noise, strict=True))
    ]
    found = leave_one_out(points)
    assert found is not None
    assert {p.internal for p in found.predictions} == {"signal"}


@given(st.lists(st.tuples(finite, finite), min_size=4, max_size=9))
@settings(max_examples=30)
def test_a_correlation_does_not_depend_on_order_or_units(pairs: list[tuple[float, float]]) -> None:
    x, y = np.array(pairs).T
    order = np.random.default_rng(len(pairs)).permutation(len(pairs))
    one, other = between_points(x, y), between_points(3.0 * x[order] + 1.0, y[order])
    flipped = between_points(x, -y)
    if len(set(np.round(3.0 * x + 1.0, 6))) != len(set(x)):
        return  # rounding made ties
    assert one.rho.estimate == pytest.approx(other.rho.estimate, nan_ok=True)
    assert one.rho.estimate == pytest.approx(-flipped.rho.estimate, nan_ok=True)
    if len(pairs) <= 8:  # beyond, permutations are drawn
        assert one.p_value == pytest.approx(other.p_value, nan_ok=True)
    if not math.isnan(one.rho.estimate):
        assert -1.0 <= one.rho.low <= one.rho.estimate <= one.rho.high <= 1.0
        assert 0.0 < one.p_value <= 1.0


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(-1, 1)), min_size=4, max_size=10), st.floats(0, 9))
@settings(max_examples=60)
def test_predictions_do_not_depend_on_order_and_rise_with_the_distance(
    known: list[tuple[float, float]], x: float
) -> None:
    points = [Point(str(i), y, {"KL": d}) for i, (d, y) in enumerate(known)]
    one, other = predict(points, "new", {"KL": x}), predict(points[::-1], "new", {"KL": x})
    for name in ("estimate", "low", "high"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-6)
    assert -1 <= one.low <= one.estimate <= one.high <= 1
    curve = [predict(points, "new", {"KL": d}).estimate for d in (0.0, x / 2, x, 2 * x)]
    assert all(a <= b + 1e-9 for a, b in pairwise(curve))


def test_spearman_equals_scipys_with_ties() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, y = rng.integers(4, size=(2, 12)).astype(float)
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
        assert within_groups(x[None], y[None], ["a"] * 12, resamples=10).rho.estimate == pytest.approx(spearman(x, y))


def test_a_difference_between_groups_is_no_correlation_within_them() -> None:
    rng = np.random.default_rng(1)
    groups = ["easy"] * 20 + ["hard"] * 20
    level = np.array([0.0] * 20 + [10.0] * 20)
    x, y = rng.random((2, 40)) + level
    found = within_groups(x[None], y[None], groups)
    assert spearman(x, y) > 0.7
    assert found.rho.low < 0.0 < found.rho.high and found.p_value > 0.05


def test_missing_values_and_constant_groups_are_left_out() -> None:
    x = np.array([[1.0, 2.0, 3.0, math.nan, 9.0, 8.0, 7.0]])
    y = np.array([[1.0, 2.0, 3.0, 0.0, 5.0, 5.0, 5.0]])
    found = within_groups(x, y, list("aaaabbb"), resamples=100)
    assert found.rho.estimate == 1.0 and found.points == 3
    with pytest.raises(ValueError, match="one shape"):
        within_groups(x, y[:, :3], list("aaaabbb"))


def test_a_null_is_rejected_no_more_often_than_the_level_allows() -> None:
    rng = np.random.default_rng(2)
    groups = ["a"] * 8 + ["b"] * 8
    rejected, covered, runs = 0, 0, 200
    for i in range(runs):
        x = rng.random((3, 16))
        y = (rng.random((3, 16)) < 0.25).astype(float)  # mostly ties
        found = within_groups(x, y, groups, resamples=199, seed=i)
        rejected += found.p_value <= 0.05
        covered += math.isnan(found.rho.low) or found.rho.low <= 0.0 <= found.rho.high
    assert rejected <= 20  # binomial(200, 0.05) exceeds 20 less than once in 300 times
    assert covered >= 0.9 * runs


def test_intervals_of_few_points_cover() -> None:
    """Normal pairs with a Pearson correlation of 0.8, whose rank correlation is 6 / pi asin(0.4)."""
    truth = 6 / math.pi * math.asin(0.4)
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        x = rng.standard_normal(7)
        y = 0.8 * x + 0.6 * rng.standard_normal(7)
        rho = between_points(x, y).rho
        covered += rho.low <= truth <= rho.high
    assert covered >= 180


def test_prediction_intervals_hold_what_they_guarantee() -> None:
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(200):
        x = rng.exponential(0.2, size=10)
        y = np.clip(x + 0.05 * rng.standard_normal(10), 0, 1)
        points = [Point(str(i), float(y[i]), {"KL": float(x[i])}) for i in range(9)]
        found = predict(points, "new", {"KL": float(x[9])})
        assert found.guaranteed == pytest.approx(0.8)
        held += found.low <= y[9] <= found.high
    assert held >= 160

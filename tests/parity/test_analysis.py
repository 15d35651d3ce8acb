"""The analyzers against values that the official implementations gave on the same inputs."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from acenv.analysis.energy import energy
from acenv.analysis.ranking import kendall_tau_b, rank_agreement, spearman_rho, top_k
from acenv.analysis.spectrum import effective_rank

ORACLE = Path(os.environ.get("ACENV_PARITY_DIR", "../shared")) / "oracle" / "analysis.json"

pytestmark = pytest.mark.skipif(
    not ORACLE.is_file(),
    reason=f"no official values: {ORACLE} is absent (set ACENV_PARITY_DIR to the folder that has it)",
)


@pytest.fixture(scope="module")
def oracle():
    return json.loads(ORACLE.read_text(encoding="utf-8"))


def erank_matrix(case):
    """The case's matrix, from its seed where the file does not carry it; the sum tells whether it is the same one."""
    rng, (rows, columns) = np.random.default_rng(case["seed"]), case["shape"]
    made = {
        "gauss": lambda: rng.standard_normal((rows, columns)),
        "lowrank": lambda: rng.standard_normal((rows, 3)) @ rng.standard_normal((3, columns)),
        "shifted": lambda: rng.standard_normal((rows, columns)) + 5,
    }[case["kind"]]().astype(np.float32)
    assert made.astype(np.float64).sum() == pytest.approx(case["sum"], rel=1e-12)
    if "matrix" in case:
        np.testing.assert_array_equal(made, np.array(case["matrix"], dtype=np.float32))
    return made


def test_effective_rank(oracle):
    assert len(oracle["erank_cases"]) == 5
    for case in oracle["erank_cases"]:
        found = effective_rank(erank_matrix(case))
        for name in ("diff_erank_single_f64", "acbench_prune_float64"):
            assert found == pytest.approx(case[name], rel=1e-9), (case["kind"], name)
        for name in ("diff_erank_single", "exp_entropy", "acbench_quant_float32", "acbench_official_gram"):
            assert found == pytest.approx(case[name], rel=1e-3), (case["kind"], name)
        assert math.log(found) == pytest.approx(case["diff_erank_dataset_entropy"], rel=1e-3)


def test_energy(oracle):
    assert len(oracle["energy_cases"]) == 3
    for case in oracle["energy_cases"]:
        logits = np.random.default_rng(case["seed"]).standard_normal(case["shape"]).astype(np.float32) * case["scale"]
        if case["logits"] is not None:
            np.testing.assert_array_equal(logits, np.array(case["logits"], dtype=np.float32))
        # The official values are float32, ours float64: equal up to the rounding of float32.
        np.testing.assert_allclose(energy(logits, case["temperature"]), case["energy"], rtol=2**-23)


def topk_logits():
    before = np.random.default_rng(1).standard_normal((4, 5, 60))
    after = before + 0.3 * np.random.default_rng(2).standard_normal((4, 5, 60))
    return before.astype(np.float32), after.astype(np.float32)


def test_top_k_correlations_by_position(oracle):
    before, after = topk_logits()
    assert len(oracle["topk"]["token_metrics"]) == 5
    for expected in oracle["topk"]["token_metrics"]:
        position = int(expected["token_index"])
        for k, agreement in rank_agreement(before[:, position], after[:, position]).items():
            assert agreement.kendall.mean() == pytest.approx(expected[f"kendall_top{k}"], abs=1e-9)
            assert agreement.spearman.mean() == pytest.approx(expected[f"spearman_top{k}"], abs=1e-9)


def test_correlations_over_whole_sequences(oracle):
    # Here the official code flattens positions and vocabulary, and takes the top k of the compressed model.
    before, after = (logits.reshape(4, -1) for logits in topk_logits())
    expected = oracle["topk"]["calculate_correlations"]
    np.testing.assert_allclose(kendall_tau_b(before, after), expected["kendall"], atol=1e-9)
    np.testing.assert_allclose(spearman_rho(before, after), expected["spearman"], atol=1e-9)
    for k in (3, 10, 20):
        top = top_k(after, k)
        pair = [np.take_along_axis(logits, top, axis=1) for logits in (before, after)]
        np.testing.assert_allclose(kendall_tau_b(*pair), expected["topk_kendall"][str(k)], atol=1e-9)
        np.testing.assert_allclose(spearman_rho(*pair), expected["topk_spearman"][str(k)], atol=1e-9)


def test_ties(oracle):
    ties = oracle["topk"]["ties"]
    (expected,) = ties["metrics"]
    found = rank_agreement(np.array(ties["before"][0]), np.array(ties["after"][0]), (1, 3, 5))
    for k, agreement in found.items():
        for name, values in (("kendall", agreement.kendall), ("spearman", agreement.spearman)):
            official = expected[f"{name}_top{k}"]
            np.testing.assert_allclose(values, [math.nan if official is None else official], atol=1e-9)

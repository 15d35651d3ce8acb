"""Failures of two runs: a planted difference is found, chance is not, and damaged runs are read all the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import acenv
from acenv.analysis.failures import FAILURES, FailureComparison, compare_failures, list_failures
from acenv.analysis.statistics import holm, mcnemar_exact
from acenv.runs import Results
from acenv.types import Decision, Episode, Request, Step, Transcript
from tests.analysis.failures.made_up import episode, transcript

SANDBOX, PDDL = "acenv/ToolSandbox-v0", "acenv/PDDL-v0"


def run(outcomes: Sequence[str], env_id: str = SANDBOX) -> Results:
    """One episode for each outcome: a fault, or nothing for an episode that was solved; ``+`` for a fault made good."""
    episodes: list[Episode] = []
    said: dict[tuple[str, int], Transcript] = {}
    for seed, outcome in enumerate(outcomes):
        fault, good = outcome.rstrip("+"), outcome in ("", outcome.rstrip("+") + "+")
        steps = [Step("x y", 0.0, fault=fault)] * bool(fault) + [Step("done", 1.0)] * good
        told = replace(transcript(env_id, steps), seed=seed)
        error = "down" if fault == "infrastructure" else None
        said[env_id, seed] = told
        episodes.append(replace(episode(told, success=good, error=error), seed=seed))
    return Results({}, episodes, said)


def joined(*runs: Results) -> Results:
    said = {e.key: one.transcript(e.key) for one in runs for e in one.episodes}
    return Results({}, [e for one in runs for e in one.episodes], said)


def test_counts_are_of_the_pairs() -> None:
    ours = run(["", "unparsable", "wrong answer", "unparsable+", "", "wrong tool"])
    theirs = run(["unparsable", "unparsable", "", "unparsable", "infrastructure"])
    environment, overall = compare_failures(ours, theirs)
    assert (environment.env_id, overall.env_id) == (SANDBOX, "overall")
    assert (environment.episodes, environment.reference_lost, environment.candidate_lost) == (5, 2, 4)
    found = {count.kind: count for count in environment.kinds}
    assert list(found) == ["infrastructure", "unparsable", "wrong answer"]
    unparsable = found["unparsable"]
    assert (unparsable.reference, unparsable.candidate) == (1, 3)
    assert (unparsable.reference_primary, unparsable.candidate_primary) == (1, 3)
    assert (unparsable.reference_recovered, unparsable.candidate_recovered) == (1, 0)
    # Lost with it on one side alone: seeds 0 and 3, both of the candidate.
    assert unparsable.p_value == pytest.approx(mcnemar_exact(2, 0))
    assert found["infrastructure"].candidate == 1 and found["wrong answer"].reference == 1


def test_holm_is_over_the_kinds_of_all_environments() -> None:
    ours = joined(run([""] * 12), run([""] * 12, PDDL))
    theirs = joined(run(["unparsable"] * 8 + [""] * 4), run(["dead end"] * 6 + ["", "out of steps"] * 3, PDDL))
    *environments, overall = compare_failures(ours, theirs)
    assert [one.env_id for one in environments] == [PDDL, SANDBOX]
    counts = [count for one in environments for count in one.kinds]
    assert [count.p_adjusted for count in counts] == pytest.approx(holm([count.p_value for count in counts]))
    assert [c.p_adjusted for c in overall.kinds] == pytest.approx(holm([c.p_value for c in overall.kinds]))


def test_runs_that_share_nothing_have_nothing_to_compare() -> None:
    assert compare_failures(run(["", ""]), Results({}, [])) == ()
    assert compare_failures(run([""]), run([""], PDDL)) == ()
    (one, overall) = compare_failures(run(["", ""]), run([""]))
    assert one.kinds == overall.kinds == () and one.episodes == 1


def test_the_same_run_twice_differs_in_nothing() -> None:
    ours = run(["", "unparsable", "wrong tool"] * 5)
    assert {count.p_value for one in compare_failures(ours, ours) for count in one.kinds} == {1.0}


@pytest.mark.parametrize("planted", ["hallucinated tool", "wrong argument", "gave up early"])
def test_a_planted_difference_is_found_and_nothing_else(planted: str) -> None:
    draws = np.random.default_rng(0)
    background = [draws.choice(["", "", "", "wrong answer", "invalid in this world"], 200) for _ in range(2)]
    struck = [planted if hit else str(was) for was, hit in zip(background[1], draws.random(200) < 0.12, strict=True)]
    overall = compare_failures(run([str(one) for one in background[0]]), run(struck))[-1]
    found = [count.kind for count in overall.kinds if count.p_adjusted < 0.05 and count.candidate > count.reference]
    assert found == [planted]


def test_chance_is_taken_for_a_difference_in_5_of_100_comparisons_at_most() -> None:
    """Both sides draw from one distribution; a family of tests counts as wrong if any of it is below 0.05."""
    draws = np.random.default_rng(1)
    kinds = ["", "unparsable", "wrong tool", "wrong answer", "out of steps+"]
    wrong = 0
    for _ in range(200):
        sides = (run([str(k) for k in draws.choice(kinds, 60, p=[0.4, 0.2, 0.2, 0.15, 0.05])]) for _ in range(2))
        wrong += any(count.p_adjusted < 0.05 for count in compare_failures(*sides)[-1].kinds)
    assert wrong <= 10 + 2 * (200 * 0.05 * 0.95) ** 0.5


def test_it_goes_through_json() -> None:
    compared = compare_failures(run(["", "unparsable"] * 4), run(["wrong tool", ""] * 4))
    through = [FailureComparison.from_dict(json.loads(json.dumps(one.to_dict()))) for one in compared]
    assert tuple(through) == compared
    for damaged in ({}, {**compared[0].to_dict(), "kinds": [{"kind": "x"}]}, {**compared[0].to_dict(), "kinds": 3}):
        with pytest.raises(ValueError, match="comparison of failures"):
            FailureComparison.from_dict(damaged)


class Clumsy:
    """Misspells the tools in every other episode."""

    name, capacity = "clumsy", 4

    def act(self, batch: Sequence[Request]) -> list[Decision]:
        answers = []
        for request in batch:
            assert request.expert is not None
            text = request.expert()
            answers.append(Decision(text.replace('"name": "', '"name": "my_') if request.seed % 2 else text))
        return answers


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("runs")
    for name, policy in (("dense", "oracle"), ("clumsy", Clumsy())):
        acenv.evaluate([SANDBOX, PDDL], policy, range(16), out=root / name, env_kwargs={"difficulty": "easy"})
    return root / "dense", root / "clumsy"


def test_real_runs_from_their_folders(folders: tuple[Path, Path]) -> None:
    ours, theirs = map(Results.load, folders)
    pddl, sandbox, overall = compare_failures(ours, theirs)
    assert (pddl.kinds, sandbox.reference_lost, sandbox.candidate_lost) == ((), 0, 8)
    assert [(c.kind, c.candidate, c.candidate_primary) for c in sandbox.kinds][0] == ("hallucinated tool", 8, 8)
    assert overall.kinds[0].p_adjusted == pytest.approx(min(1.0, 2 * mcnemar_exact(8, 0)), abs=0.02)


def test_a_run_whose_transcripts_were_lost_is_counted_all_the_same(folders: tuple[Path, Path], tmp_path: Path) -> None:
    _, clumsy = folders
    for name in ("manifest.json", "episodes.jsonl"):
        (tmp_path / name).write_bytes((clumsy / name).read_bytes())
    found = list(list_failures(Results.load(tmp_path)))
    assert sum(one.lost for one in found) == 8
    assert {one.primary.kind for one in found if one.primary} == {"unexplained"}
    (tmp_path / "transcripts.jsonl").write_bytes(b"{}\n" * 5000)
    assert {one.primary.kind for one in list_failures(Results.load(tmp_path)) if one.primary} == {"unexplained"}
    compared = compare_failures(Results.load(clumsy), Results.load(tmp_path))
    assert all(count.kind in FAILURES for one in compared for count in one.kinds)

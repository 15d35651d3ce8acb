"""Sweeps: how much compression, of which kind, is too much? A grid of versions of one model, in several places.

A sweep folder holds ``sweep.json`` (what was asked for, and the points), ``sweep.csv``, ``report.html``, the
checkpoints and calibration texts of all versions, and for each difficulty a folder with the runs (``runs/dense``,
``runs/<version>``) and a ``report.html`` with all environments and episodes. Everything that is finished is used again
when the same sweep, or a larger one, is started once more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from acenv.analysis.comparison import Comparison, compare_all
from acenv.analysis.dose import Point, Sweep, write_csv
from acenv.analysis.report import ReportData, write_report
from acenv.analysis.sweep_page import write_sweep_page
from acenv.analysis.verdict import judge, noise_reach
from acenv.calibration import DEFAULT
from acenv.compressors import MANIFEST
from acenv.envs.base import Difficulty
from acenv.evaluation import versions
from acenv.registry import resolve_env_ids
from acenv.runs import Results, RunError
from acenv.studies.bench import candidate
from acenv.studies.grid import GridPoint, expand
from acenv.studies.plan import (
    DENSE,
    Arena,
    Plan,
    Version,
    check_plan,
    claim,
    make_versions,
    read_json,
    write_json,
)
from acenv.studies.steps import carry_out
from acenv.workers import Silent, Watcher


def sweep(
    model: str,
    methods: Sequence[str],
    out: str | Path,
    *,
    bits: Sequence[int] = (),
    sparsity: Sequence[float] = (),
    calibrations: Sequence[str] = (DEFAULT,),
    suites: Sequence[str] | Mapping[str, Sequence[str]] = ("quick",),
    difficulties: Sequence[str] = ("medium",),
    episodes: int = 50,
    env_kwargs: Mapping[str, Any] | None = None,
    policy: Mapping[str, Any] | None = None,
    baselines: Sequence[str | Path] = (),
    watcher: Watcher | None = None,
    jobs: int = 1,
) -> Sweep:
    """Compress a model in all ways of a grid, let all versions act, and see what each keeps of the original's return.

    A version is made once and acts in all suites at all difficulties; the calibration ``"transcripts"`` is drawn from
    all of them. The original acts once. A version that fails stops no other.

    Args:
        model: ``"nano"``, a checkpoint folder, a GGUF file or a hub id.
        methods: Method strings; options that they give are fixed.
        out: Sweep folder; an unfinished sweep in it is taken up where it was, and a larger one adds to it.
        bits: Numbers of bits, for the methods that take ``bits``.
        sparsity: Shares of zeros, for the methods that take ``sparsity``.
        calibrations: Specs (see :mod:`acenv.calibration`) for the methods that look at activations.
        suites: Names of suites or environments, each of which is summed up by itself; or environments by such names.
        difficulties: ``"easy"``, ``"medium"``, ``"hard"``.
        episodes: Test episodes an environment; the seeds are 0 to ``episodes - 1``.
        env_kwargs: Further keywords for the environments.
        policy: Options of the policy, such as ``max_new_tokens``.
        baselines: Run, bench or sweep folders whose episodes of the same original are used again.
        watcher: Is told about the progress.
        jobs: Processes that work side by side.

    Returns:
        All points; what failed has its reason in :attr:`Sweep.failed`.

    Raises:
        ValueError: The settings make no sense, or a method does not fit the model; nothing has been computed then.
        RunError: The folder or a baseline is of another model or of other settings.
        ImportError: An engine, a simulator or an extra is missing; the message names the command.
    """
    watcher = watcher or Silent()
    folder = Path(out)
    grid, left_out = expand(_several(methods), bits, sparsity)
    keywords = dict(env_kwargs or {})
    if "difficulty" in keywords:
        raise ValueError("give the difficulty as difficulties=[...], not among the keywords of the environments")
    if unknown := [d for d in _several(difficulties) if d not in get_args(Difficulty)]:
        raise ValueError(f"difficulty must be one of {', '.join(get_args(Difficulty))}, not {unknown[0]!r}")
    named = suites if isinstance(suites, Mapping) else {name: [name] for name in _several(suites)}
    members = {name: tuple(resolve_env_ids(list(ids))) for name, ids in named.items()}
    env_ids = tuple(dict.fromkeys(env_id for ids in members.values() for env_id in ids))
    plan = Plan(
        folder=folder,
        model=model,
        versions=make_versions([point.method for point in grid], _several(calibrations)),
        arenas=tuple(
            Arena(folder / difficulty, env_ids, {"difficulty": difficulty, **keywords}, episodes)
            for difficulty in dict.fromkeys(difficulties)
        ),
        policy=dict(policy or {}),
        baselines=tuple(Path(baseline).expanduser() for baseline in baselines),
        jobs=jobs,
    )
    check_plan(plan)
    settings = {
        "model": model,
        "methods": list(methods),
        "bits": list(bits),
        "sparsity": list(sparsity),
        "calibrations": list(calibrations),
        "suites": {name: list(ids) for name, ids in members.items()},
        "difficulties": list(difficulties),
        "episodes": episodes,
        "env_kwargs": keywords,
        "policy": dict(plan.policy),
    }
    # More of anything else adds points.
    claim(folder / "sweep.json", {"settings": settings}, fixed=("model", "env_kwargs", "policy"))
    failed, without = carry_out(plan, watcher)
    done = watcher.stage("writing the results")
    left_out += tuple(f"{env_id} has no transcripts to calibrate on: {reason}" for env_id, reason in without.items())
    found = _collect(plan, settings, grid, members, failed, left_out)
    write_json(folder / "sweep.json", found.to_dict())
    write_csv(found, folder / "sweep.csv")
    reports = {arena.difficulty: f"{arena.folder.name}/report.html" for arena in plan.arenas}
    write_sweep_page(found, folder / "report.html", reports)
    done()
    return found


def load_sweep(folder: str | Path) -> Sweep:
    """Read a finished sweep folder.

    Raises:
        RunError: It is no sweep folder, or the sweep has not finished.
        ValueError: What it holds are no points.
    """
    data = read_json(Path(folder) / "sweep.json", "is no sweep folder")
    if "points" not in data:
        raise RunError(f"{folder} holds a sweep that has not finished; start it again")
    return Sweep.from_dict(data)


def _collect(
    plan: Plan,
    settings: Mapping[str, Any],
    grid: Sequence[GridPoint],
    members: Mapping[str, Sequence[str]],
    failed: Mapping[str, str],
    left_out: tuple[str, ...],
) -> Sweep:
    """Compare what has acted, and write the report of each difficulty."""
    acted = [version for version in plan.versions if version.slug not in failed]
    points: list[Point] = []
    noise: dict[str, dict[str, float]] = {}
    returns: dict[str, dict[str, float]] = {}
    for arena in plan.arenas:
        dense = Results.load(arena.run(DENSE))
        runs = {version.slug: Results.load(arena.run(version.slug)) for version in acted}
        again = {changed: Results.load(run) for changed, run in _noise_runs(plan, arena).items()}
        noise[arena.difficulty], returns[arena.difficulty] = {}, {}
        for suite, ids in members.items():
            reference = _part(dense, ids)
            floors = _compare(reference, {changed: _part(run, ids) for changed, run in again.items()})
            comparisons = _compare(reference, {slug: _part(run, ids) for slug, run in runs.items()})
            reaches = [noise_reach(floor.overall) for floor in floors.values()]
            noise[arena.difficulty][suite] = max(reaches, default=math.nan)
            means = reference.mean_returns().values()
            returns[arena.difficulty][suite] = math.fsum(means) / len(means) if means else math.nan
            points += [
                _point(plan, grid, version, suite, arena, comparisons.get(version.slug), floors, failed)
                for version in plan.versions
            ]
        _write_arena_report(plan, arena, dense, runs, again)
    first = Results.load(plan.arenas[0].run(DENSE)).manifest
    sizes = [_measured(plan, version).get("source_disk_bytes", math.nan) / 1e6 for version in acted]
    return Sweep(
        model=plan.model,
        settings=settings,
        points=tuple(points),
        noise=noise,
        returns=returns,
        megabytes=sizes[0] if sizes else math.nan,
        left_out=left_out,
        created=first.get("created", ""),
        versions=versions() | first.get("versions", {}),
    )


def _point(
    plan: Plan,
    grid: Sequence[GridPoint],
    version: Version,
    suite: str,
    arena: Arena,
    comparison: Comparison | None,
    floors: Mapping[str, Comparison],
    failed: Mapping[str, str],
) -> Point:
    asked = next(point for point in grid if str(point.method) == version.method)
    point = Point(
        version=version.slug,
        series=asked.series,
        method=version.method,
        calibration=version.calibration or "",
        bits=asked.bits,
        sparsity=asked.sparsity,
        suite=suite,
        difficulty=arena.difficulty,
        failed=failed.get(version.slug, "" if comparison is not None else f"no episode of {suite} could be finished"),
    )
    if comparison is None:
        return point
    measured = _measured(plan, version)
    return replace(
        point,
        measured_bits=measured.get("bits_per_weight", math.nan),
        measured_sparsity=measured.get("sparsity", math.nan),
        megabytes=measured.get("disk_bytes", math.nan) / 1e6,
        divergence=measured.get("kl_from_dense", math.nan),
        overall=comparison.overall,
        in_noise=judge(version.slug, comparison, floors).in_noise,
        errors=comparison.overall.candidate_errors + comparison.overall.reference_errors,
    )


def _measured(plan: Plan, version: Version) -> dict[str, Any]:
    manifest = read_json(plan.checkpoint(version.slug) / MANIFEST, "has lost its manifest")
    return {name: value for name, value in manifest["measured"].items() if value is not None}


def _compare(reference: Results, runs: Mapping[str, Results]) -> dict[str, Comparison]:
    """The comparisons of the runs that have an episode in common with the reference."""
    scored = reference.returns().keys()
    return compare_all(reference, {name: run for name, run in runs.items() if scored & run.returns().keys()})


def _part(results: Results, env_ids: Sequence[str]) -> Results:
    """The episodes of some environments."""
    return Results(results.manifest, [episode for episode in results.episodes if episode.env_id in env_ids])


def _noise_runs(plan: Plan, arena: Arena) -> dict[str, Path]:
    """The runs that show what is noise, as far as they could be made."""
    runs = {changed: arena.run(name) for changed, name in plan.noises.items()}
    return {changed: run for changed, run in runs.items() if (run / "manifest.json").exists()}


def _write_arena_report(
    plan: Plan, arena: Arena, dense: Results, runs: Mapping[str, Results], again: Mapping[str, Results]
) -> None:
    comparisons = _compare(dense, runs)
    data = ReportData(
        title=f"What compression cost {plan.model}",
        model=plan.model,
        settings=f"difficulty {arena.difficulty}, {arena.episodes} test episodes an environment",
        reference=dense,
        candidates=tuple(
            candidate(plan.folder, slug, runs[slug], comparison, arena.run(slug))
            for slug, comparison in comparisons.items()
        ),
        noise=_compare(dense, again),
        created=dense.manifest.get("created", ""),
        versions=versions() | dense.manifest.get("versions", {}),
    )
    write_report(data, arena.folder / "report.html")


def _several(values: Sequence[str]) -> Sequence[str]:
    if isinstance(values, str) or not values:
        raise ValueError(f"expected a list of names, such as ['{values or 'gptq'}'], not {values!r}")
    return values

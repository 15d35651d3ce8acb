"""The main job: what does compression cost? One model, several versions, one folder, one page.

A bench folder holds ``bench.json`` (what was asked for), ``calibration/<spec>.json``, a run folder ``runs/<name>`` for
the dense model, its noise floors and each version (with ``cost.json``), ``checkpoints/<version>``,
``internals/<version>.json``, ``failures/<version>.json``, ``comparison.json`` and ``report.html``. Everything that is
finished is used again when the same bench is started once more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from acenv.analysis.attribution import Attribution
from acenv.analysis.comparison import Comparison, compare, compare_all
from acenv.analysis.cost import Cost, cost_of
from acenv.analysis.failures import compare_failures, list_failures
from acenv.analysis.replay import Replay
from acenv.analysis.report import Candidate, ReportData, write_report
from acenv.analysis.report_data import costs
from acenv.analysis.sequential import Stopping
from acenv.analysis.verdict import standings
from acenv.calibration import DEFAULT
from acenv.compressors import MANIFEST, CompressionError, parse
from acenv.evaluation import versions
from acenv.registry import resolve_env_ids
from acenv.runs import Results, RunError
from acenv.studies.acting import stopped
from acenv.studies.plan import (
    DENSE,
    NOISE_EPISODES,
    Arena,
    Plan,
    check_plan,
    claim,
    make_versions,
    read_json,
    write_json,
)
from acenv.studies.steps import carry_out
from acenv.workers import Silent, Watcher

T = TypeVar("T")

DEFAULT_METHODS = (
    "gptq:bits=4,group_size=32",
    "gptq:bits=3,group_size=32",
    "gptq:bits=2,group_size=32",
    "rtn:bits=3,group_size=32",
    "wanda:sparsity=0.5",
    "wanda:pattern=2:4",
)


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """What a bench is asked for; all of it must be equal for a bench to be taken up again.

    Attributes:
        model: ``"nano"``, a checkpoint folder, a GGUF file or a hub id.
        methods: Compression methods, such as ``"gptq:bits=4,group_size=32"``.
        envs: Ids of environments or names of suites.
        episodes: Test episodes an environment; the seeds are 0 to ``episodes - 1``.
        env_kwargs: Keywords for the environments.
        policy: Options of the policy, such as ``max_new_tokens``.
        replayed: Episodes an environment whose transcripts both models read for the analyses of the internals.
        calibrations: Specs of what the methods look at that need it (see :mod:`acenv.calibration`); each method is run
            with each of them. ``"transcripts"`` are the experts' of ``envs``, at their difficulty.
        baselines: Folders (runs, benches, sweeps) with episodes of the same dense model, which are used again.
        noise_episodes: Episodes an environment of each noise floor: the dense model once more at another batch size, in
            another dtype and, where tokens are drawn, with another seed; 0 for none.
        until_ci: Stop an environment of a version when the 95% interval of the mean difference is this much above and
            below its middle at most, at ``episodes`` at the latest. The intervals of such a bench hold whenever one
            stops (see :mod:`acenv.analysis.sequential`).
    """

    model: str
    methods: tuple[str, ...] = DEFAULT_METHODS
    envs: tuple[str, ...] = ("quick",)
    episodes: int = 100
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    replayed: int = 8
    calibrations: tuple[str, ...] = (DEFAULT,)
    baselines: tuple[str, ...] = ()
    noise_episodes: int = NOISE_EPISODES
    until_ci: float | None = None


def bench(settings: BenchSettings, out: str | Path, watcher: Watcher | None = None, *, jobs: int = 1) -> ReportData:
    """Compress a model in several ways, let all versions act on the same tasks, and compare them.

    Args:
        settings: Model, methods, environments.
        out: Bench folder; an unfinished bench in it is taken up where it was.
        watcher: Is told about the progress.
        jobs: Processes that work side by side, each with its share of the processor's cores. More than one pays for
            models so small that one of them cannot keep all cores busy.

    Returns:
        All that the report shows; the page is ``out/report.html``.

    Raises:
        ValueError: The settings make no sense; nothing heavy has been loaded then.
        RunError: The folder holds a bench of other settings.
        ImportError: An engine or an extra is missing; the message names the command.
        CompressionError: Versions failed; all others have acted, and the report has them.
    """
    watcher = watcher or Silent()
    folder = Path(out)
    plan = _plan(settings, folder, jobs)
    check_plan(plan)
    _claim(folder, settings, plan)
    failed, left_out = carry_out(plan, watcher)
    for env_id, reason in left_out.items():
        watcher.stage(f"no transcripts to calibrate on of {env_id}: {reason}")()
    done = watcher.stage("writing the report")
    reference = Results.load(folder / "runs" / DENSE)
    acted = [version.slug for version in plan.versions if version.slug not in failed]
    runs = {slug: Results.load(folder / "runs" / slug) for slug in acted}
    stopping = None
    if plan.until_ci is not None:
        ends = {slug: stopped(plan, plan.arenas[0], slug) for slug in acted}
        runs = {slug: _first(run, ends[slug]) for slug, run in runs.items()}
        stopping = Stopping(plan.until_ci, settings.episodes, ends)
    comparisons = compare_all(reference, runs, anytime=stopping is not None)
    noise = {
        changed: compare(_same(reference, run), run)
        for changed, name in plan.noises.items()
        if (run := _finished(folder / "runs" / name)) is not None
    }
    compared = {
        "noise": {changed: floor.to_dict() for changed, floor in noise.items()},
        "methods": {name: comparison.to_dict() for name, comparison in comparisons.items()},
        "standing": {name: standings(comparison, noise) for name, comparison in comparisons.items()},
        "stopping": stopping and stopping.to_dict(),
    }
    write_json(folder / "comparison.json", compared)
    data = load_bench(folder)
    prices = {name: cost.to_dict() for name, cost in costs(data).items()}
    write_json(folder / "comparison.json", compared | {"costs": prices})
    for version in data.candidates:
        _write_failures(folder / "failures" / f"{version.name}.json", data.reference, version.results)
    write_report(data, folder / "report.html")
    done()
    if failed:
        problems = "\n".join(f"  {slug}: {problem}" for slug, problem in failed.items())
        raise CompressionError(
            f"{len(failed)} of {len(plan.versions)} versions failed:\n{problems}\nThe report has the others."
        )
    return data


def _write_failures(path: Path, reference: Results, results: Results) -> None:
    """Write down what either model lost its episodes by."""
    path.parent.mkdir(exist_ok=True)
    sides = {"reference": list_failures(reference, results), "candidate": list_failures(results, reference)}
    write_json(
        path,
        {
            "comparison": [one.to_dict() for one in compare_failures(reference, results)],
            **{side: [one.to_dict() for one in found if one.lost] for side, found in sides.items()},
        },
    )


def _finished(run: Path) -> Results | None:
    """A run that shows what is noise, unless it could not be made."""
    results = Results.load(run) if (run / "manifest.json").exists() else None
    return results if results is not None and results.returns() else None


def _same(reference: Results, run: Results) -> Results:
    """The original's episodes that a shorter run of it has too."""
    keys = {episode.key for episode in run.episodes}
    return Results(reference.manifest, [e for e in reference.episodes if e.key in keys])


def _first(results: Results, ends: Mapping[str, int]) -> Results:
    """The episodes below the seed at which each environment was stopped."""
    return Results(results.manifest, [e for e in results.episodes if e.seed < ends.get(e.env_id, 0)])


def _plan(settings: BenchSettings, folder: Path, jobs: int) -> Plan:
    arena = Arena(folder, tuple(resolve_env_ids(list(settings.envs))), settings.env_kwargs, settings.episodes)
    return Plan(
        folder=folder,
        model=settings.model,
        versions=make_versions([parse(method) for method in settings.methods], settings.calibrations),
        arenas=(arena,),
        policy=settings.policy,
        baselines=tuple(Path(baseline).expanduser() for baseline in settings.baselines),
        replayed=settings.replayed,
        noise=("batch size", "dtype"),
        noise_episodes=settings.noise_episodes,
        until_ci=settings.until_ci,
        jobs=jobs,
    )


def load_settings(folder: str | Path) -> BenchSettings:
    """What a bench folder was asked for.

    Raises:
        RunError: It is no bench folder.
    """
    path = Path(folder) / "bench.json"
    asked = read_json(path, "is no bench folder")
    known = {f.name for f in fields(BenchSettings)}
    values: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in asked.items() if name in known
    }
    try:
        return BenchSettings(**values)
    except TypeError as error:
        raise RunError(f"{path} is no bench folder's: {error}") from error


def load_bench(folder: str | Path) -> ReportData:
    """Read a finished bench folder.

    Raises:
        RunError: It is no bench folder, or the bench has not finished.
    """
    path = Path(folder)
    asked = read_json(path / "bench.json", "is no bench folder")
    compared = read_json(path / "comparison.json", "holds a bench that has not finished; start it again")
    reference = Results.load(path / "runs" / DENSE)
    candidates = [
        candidate(
            path, slug, Results.load(path / "runs" / slug), Comparison.from_dict(comparison), path / "runs" / slug
        )
        for slug, comparison in compared["methods"].items()
    ]
    difficulty = asked["env_kwargs"].get("difficulty", "medium")
    return ReportData(
        title=f"What compression cost {asked['model']}",
        model=asked["model"],
        settings=f"difficulty {difficulty}, {asked['episodes']} test episodes an environment, greedy decoding"
        if not asked["policy"].get("temperature")
        else f"difficulty {difficulty}, {asked['episodes']} test episodes an environment, {asked['policy']}",
        reference=reference,
        candidates=tuple(candidates),
        noise=_noise(compared["noise"]),
        cost=_original_cost(path, candidates, reference),
        stopping=Stopping.from_dict(compared["stopping"]) if compared.get("stopping") else None,
        created=reference.manifest.get("created", ""),
        versions=versions() | reference.manifest.get("versions", {}),
        folder=str(folder),
    )


def _noise(data: Mapping[str, Any]) -> dict[str, Comparison]:
    """The noise floors; in older folders there is the one of another batch size alone."""
    if "overall" in data:
        return {"batch size": Comparison.from_dict(data)}
    return {changed: Comparison.from_dict(comparison) for changed, comparison in data.items()}


def _original_cost(folder: Path, candidates: Sequence[Candidate], reference: Results) -> Cost:
    """What the dense model costs; its sizes stand beside what was made of it."""
    measured = next((c.manifest["measured"] for c in candidates if c.manifest), None)
    means = reference.mean_returns().values()
    mean = math.fsum(means) / len(means) if means else math.nan
    return cost_of(mean, folder / "runs" / DENSE, measured, source=True)


def candidate(folder: Path, slug: str, results: Results, comparison: Comparison, run: Path) -> Candidate:
    """A version for the report.

    Args:
        folder: Holds its checkpoint, and its internals and what its decisions cost, if those are known.
        slug: Its name.
        results: Its episodes.
        comparison: Those against the original's.
        run: Their folder.

    Raises:
        RunError: The checkpoint has gone, or a file of the version is damaged.
    """
    manifest = read_json(folder / "checkpoints" / slug / MANIFEST, f"has lost the checkpoint {slug}")
    internals = folder / "internals" / f"{slug}.json"
    return Candidate(
        name=slug,
        method=" · ".join(part for part in (manifest["method"], manifest["calibration"].get("spec")) if part),
        results=results,
        comparison=comparison,
        replay=_read(internals, Replay.from_dict),
        manifest=manifest,
        cost=cost_of(comparison.overall.candidate.estimate, run, manifest.get("measured")),
        attribution=_read(folder / "attribution" / f"{slug}.json", Attribution.from_dict),
        tokens=tokens if (tokens := internals.with_suffix(".tokens.jsonl")).exists() else None,
    )


def _read(path: Path, make: Callable[[Mapping[str, Any]], T]) -> T | None:
    """What a file of a version says; ``None`` if there is no such file."""
    if not path.exists():
        return None
    try:
        return make(read_json(path, "is damaged"))
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}. Delete it, and what it held can be measured again") from error


def _claim(folder: Path, settings: BenchSettings, plan: Plan) -> None:
    """Write down what the folder is for, or check that it is for the same."""
    asked = {
        "model": settings.model,
        "methods": [str(parse(method)) for method in settings.methods],
        "calibrations": list(settings.calibrations),
        "envs": list(plan.arenas[0].env_ids),
        "episodes": settings.episodes,
        "env_kwargs": dict(settings.env_kwargs),
        "policy": dict(settings.policy),
        "replayed": settings.replayed,
        "noise_episodes": settings.noise_episodes,
        "until_ci": settings.until_ci,
    }
    # More methods, calibrations or episodes only add to a bench; everything else would mix two.
    claim(folder / "bench.json", asked, fixed=("model", "env_kwargs", "policy"))

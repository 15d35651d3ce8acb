"""The main job: what does compression cost? One model, several methods, one folder, one page.

A bench folder holds ``bench.json`` (what was asked for), a run folder ``runs/<name>`` for the dense model, its noise
floor and each method, ``checkpoints/<method>``, ``internals/<method>.json``, ``comparison.json`` and ``report.html``.
Everything that is finished is used again when the same bench is started once more.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acenv.analysis.comparison import Comparison, compare, compare_all
from acenv.analysis.replay import NotFiniteError, Replay, replay
from acenv.analysis.report import Candidate, ReportData, write_report
from acenv.compression import default_calibration, dense_folder
from acenv.compressors import MANIFEST, compress, parse
from acenv.evaluation import evaluate, versions
from acenv.policies import load_policy
from acenv.registry import check_installed, resolve_env_ids
from acenv.runs import Results, RunError
from acenv.types import Episode, Policy
from acenv.workers import Silent, Watcher, Workers

DEFAULT_METHODS = (
    "gptq:bits=4,group_size=32",
    "gptq:bits=3,group_size=32",
    "gptq:bits=2,group_size=32",
    "rtn:bits=3,group_size=32",
    "wanda:sparsity=0.5",
    "wanda:pattern=2:4",
)
DENSE, NOISE = "dense", "dense-again"


NOISE_EPISODES = 25
"""Episodes an environment of the second run of the dense model, at most: enough to see whether it differs at all."""


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
    """

    model: str
    methods: tuple[str, ...] = DEFAULT_METHODS
    envs: tuple[str, ...] = ("quick",)
    episodes: int = 100
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    replayed: int = 8


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
    """
    watcher = watcher or Silent()
    folder = Path(out)
    plans = {parse(method).slug: parse(method) for method in settings.methods}
    if len(plans) < len(settings.methods):
        raise ValueError(f"two of the methods are the same: {', '.join(settings.methods)}")
    for plan in plans.values():
        plan.engine.check_installed()
    if settings.episodes < 1 or jobs < 1:
        raise ValueError(f"episodes and jobs must be at least 1, not {settings.episodes} and {jobs}")
    check_installed(resolve_env_ids(list(settings.envs)))
    _claim(folder, settings)
    with Workers(jobs, watcher) as workers:
        # Unpacks a GGUF file, so that it must come before the steps that share its result.
        source = workers.submit(find_source, settings, folder).result()
        dense = workers.submit(act_dense, settings, folder, source)
        compressed = {slug: workers.submit(compress_version, settings, folder, source, slug) for slug in plans}
        noise_run = workers.submit(act_again, settings, folder, source)
        dense.result()
        replayed = {}
        for slug, checkpoint in compressed.items():
            checkpoint.result()
            replayed[slug] = workers.submit(replay_version, settings, folder, source, slug)
        flips = {slug: future.result() for slug, future in replayed.items()}
        # A version that is far off talks to every limit. The longest runs first, so that none is left over at the end.
        acted = [
            workers.submit(act_version, settings, folder, slug) for slug in sorted(plans, key=flips.__getitem__)[::-1]
        ]
        for future in (noise_run, *acted):
            future.result()
    done = watcher.stage("writing the report")
    reference = Results.load(folder / "runs" / DENSE)
    comparisons = compare_all(reference, {slug: Results.load(folder / "runs" / slug) for slug in plans})
    noise = compare(reference, Results.load(folder / "runs" / NOISE))
    methods = {name: comparison.to_dict() for name, comparison in comparisons.items()}
    _write_json(folder / "comparison.json", {"noise": noise.to_dict(), "methods": methods})
    data = load_bench(folder)
    write_report(data, folder / "report.html")
    done()
    return data


def find_source(watcher: Watcher, settings: BenchSettings, folder: Path) -> Path:
    """A step: find the dense checkpoint, or unpack it."""
    done = watcher.stage(f"finding {settings.model}")
    source = dense_folder(settings.model, folder / "checkpoints" / DENSE)
    done()
    return source


def act_dense(watcher: Watcher, settings: BenchSettings, folder: Path, source: Path) -> None:
    """A step: the episodes of the original."""
    _act(watcher, settings, folder, _policy(source, DENSE, settings), settings.episodes)


def act_again(watcher: Watcher, settings: BenchSettings, folder: Path, source: Path) -> None:
    """A step: the episodes of the original at another batch size.

    That changes the order of the additions and nothing else: what differs then is noise.
    """
    size = _policy(source, DENSE, settings).capacity
    policy = load_policy(f"hf:{source}", **{**settings.policy, "name": NOISE, "capacity": max(1, size // 2 - 1)})
    _act(watcher, settings, folder, policy, min(settings.episodes, NOISE_EPISODES))


def compress_version(watcher: Watcher, settings: BenchSettings, folder: Path, source: Path, slug: str) -> None:
    """A step: the checkpoint of a method, unless an earlier start of this bench made it."""
    from acenv.compressors.checkpoint import fingerprint, read_source

    plan = next(parse(method) for method in settings.methods if parse(method).slug == slug)
    out = folder / "checkpoints" / slug
    if (out / MANIFEST).exists():
        manifest = _read_json(out / MANIFEST, "is no checkpoint")
        if manifest["method"] != str(plan) or manifest["source"]["sha256"] != fingerprint(read_source(source)):
            raise RunError(f"{out} holds a checkpoint of another model or method; delete it or choose another --out")
        return
    done = watcher.stage(f"{slug}: compressing")
    difficulty = str(settings.env_kwargs.get("difficulty", "medium"))
    compress(source, str(plan), out, default_calibration(difficulty) if plan.engine.needs_calibration else ())
    done()


def replay_version(watcher: Watcher, settings: BenchSettings, folder: Path, source: Path, slug: str) -> float:
    """A step: the original and a compressed version on the original's transcripts.

    Returns:
        The share of tokens that the version would have chosen differently; 1 if it computes no finite numbers.
    """
    path = folder / "internals" / f"{slug}.json"
    if not path.exists():
        done = watcher.stage(f"{slug}: both models on the same transcripts")
        reference = Results.load(folder / "runs" / DENSE)
        limit = settings.replayed * len(resolve_env_ids(list(settings.envs)))
        policy: Any = _policy(folder / "checkpoints" / slug, slug, settings)
        dense: Any = _policy(source, DENSE, settings)
        try:
            path.parent.mkdir(exist_ok=True)
            _write_json(path, replay(reference, dense, policy, limit=limit).to_dict())
        except NotFiniteError:
            return 1.0  # A model that has collapsed to infinities still has returns; it has no internals to show.
        finally:
            done()
    agreement = Replay.from_dict(_read_json(path, "is damaged")).summary().overall.top1_agreement
    return 1.0 if math.isnan(agreement) else 1.0 - agreement


def act_version(watcher: Watcher, settings: BenchSettings, folder: Path, slug: str) -> None:
    """A step: the episodes of a compressed version."""
    _act(watcher, settings, folder, _policy(folder / "checkpoints" / slug, slug, settings), settings.episodes)


def _act(watcher: Watcher, settings: BenchSettings, folder: Path, policy: Policy, episodes: int) -> None:
    env_ids = resolve_env_ids(list(settings.envs))
    total = episodes * len(env_ids)
    done = watcher.stage(f"{policy.name}: {len(env_ids)} environments x {episodes} episodes", total)
    fresh: list[Episode] = []

    def count(episode: Episode) -> None:
        fresh.append(episode)
        done()

    out = folder / "runs" / policy.name
    evaluate(env_ids, policy, range(episodes), out=out, env_kwargs=settings.env_kwargs, progress=count)
    for _ in range(total - len(fresh)):  # finished by an earlier start
        done()


_loaded: dict[str, Policy] = {}


def _policy(checkpoint: Path, name: str, settings: BenchSettings) -> Policy:
    """The policy of a checkpoint; the dense one and the last one stay loaded, and no other."""
    key = f"{checkpoint.resolve()} {name} {dict(settings.policy)}"
    if key not in _loaded:
        for other in [k for k, policy in _loaded.items() if policy.name != DENSE or name == DENSE]:
            del _loaded[other]
        _loaded[key] = load_policy(f"hf:{checkpoint}", **{**settings.policy, "name": name})
    return _loaded[key]


def load_bench(folder: str | Path) -> ReportData:
    """Read a finished bench folder.

    Raises:
        RunError: It is no bench folder, or the bench has not finished.
    """
    path = Path(folder)
    asked = _read_json(path / "bench.json", "is no bench folder")
    compared = _read_json(path / "comparison.json", "holds a bench that has not finished; start it again")
    reference = Results.load(path / "runs" / DENSE)
    candidates = []
    for slug, comparison in compared["methods"].items():
        manifest = _read_json(path / "checkpoints" / slug / MANIFEST, f"has lost the checkpoint {slug}")
        internals = path / "internals" / f"{slug}.json"
        candidates.append(
            Candidate(
                name=slug,
                method=manifest["method"],
                results=Results.load(path / "runs" / slug),
                comparison=Comparison.from_dict(comparison),
                replay=Replay.from_dict(_read_json(internals, "is damaged")) if internals.exists() else None,
                manifest=manifest,
            )
        )
    difficulty = asked["env_kwargs"].get("difficulty", "medium")
    return ReportData(
        title=f"What compression cost {asked['model']}",
        model=asked["model"],
        settings=f"difficulty {difficulty}, {asked['episodes']} test episodes an environment, greedy decoding"
        if not asked["policy"].get("temperature")
        else f"difficulty {difficulty}, {asked['episodes']} test episodes an environment, {asked['policy']}",
        reference=reference,
        candidates=tuple(candidates),
        noise=Comparison.from_dict(compared["noise"]),
        created=reference.manifest.get("created", ""),
        versions=versions() | reference.manifest.get("versions", {}),
    )


def _claim(folder: Path, settings: BenchSettings) -> None:
    """Write down what the folder is for, or check that it is for the same."""
    asked = {
        "model": settings.model,
        "methods": [str(parse(method)) for method in settings.methods],
        "envs": resolve_env_ids(list(settings.envs)),
        "episodes": settings.episodes,
        "env_kwargs": dict(settings.env_kwargs),
        "policy": dict(settings.policy),
        "replayed": settings.replayed,
    }
    path = folder / "bench.json"
    if not path.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_json(path, asked)
        except OSError as error:
            raise RunError(f"cannot write to the bench folder {folder}: {error.strerror or error}") from error
        return
    there = _read_json(path, "is no bench folder")
    # More methods or episodes only add to a bench; everything else would mix two.
    fixed = ("model", "env_kwargs", "policy")
    if changes := [
        f"  {n}: {there.get(n)!r} in the folder, {asked[n]!r} now" for n in fixed if there.get(n) != asked[n]
    ]:
        raise RunError(
            f"{folder} holds a bench with other settings:\n"
            + "\n".join(changes)
            + "\nChoose another folder with --out."
        )
    _write_json(path, asked)


def _read_json(path: Path, problem: str) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path.parent} {problem} ({path.name} is missing)") from None
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}") from error
    if not isinstance(data, dict):
        raise RunError(f"{path} should hold a JSON object")
    return data


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)

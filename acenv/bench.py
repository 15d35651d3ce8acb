"""The main job: what does compression cost? One model, several methods, one folder, one page.

A bench folder holds ``bench.json`` (what was asked for), a run folder ``runs/<name>`` for the dense model, its noise
floor and each method, the checkpoints, ``comparison.json``, ``internals.json`` and ``report.html``. Everything that is
finished is used again when the same bench is started once more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from acenv.analysis.comparison import Comparison, compare, compare_all
from acenv.analysis.replay import NotFiniteError, Replay, replay
from acenv.analysis.report import Candidate, ReportData, write_report
from acenv.compression import default_calibration, dense_folder
from acenv.compressors import MANIFEST, compress, parse
from acenv.evaluation import evaluate, versions
from acenv.policies import load_policy
from acenv.registry import resolve_env_ids
from acenv.runs import Results, RunError
from acenv.types import Conversation, Policy

DEFAULT_METHODS = (
    "gptq:bits=4,group_size=32",
    "gptq:bits=3,group_size=32",
    "gptq:bits=2,group_size=32",
    "rtn:bits=3,group_size=32",
    "wanda:sparsity=0.5",
    "wanda:pattern=2:4",
)
DENSE, NOISE = "dense", "dense-again"


class Watcher(Protocol):
    """Is told how the bench goes on."""

    def stage(self, title: str, total: int = 1) -> None:
        """A stage of ``total`` steps begins."""
        ...

    def advance(self) -> None:
        """One step of the stage is done."""
        ...


class _Silent:
    def stage(self, title: str, total: int = 1) -> None:
        pass

    def advance(self) -> None:
        pass


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


def bench(settings: BenchSettings, out: str | Path, watcher: Watcher | None = None) -> ReportData:
    """Compress a model in several ways, let all versions act on the same tasks, and compare them.

    Args:
        settings: Model, methods, environments.
        out: Bench folder; an unfinished bench in it is taken up where it was.
        watcher: Is told about the progress.

    Returns:
        All that the report shows; the page is ``out/report.html``.

    Raises:
        ValueError: The settings make no sense; nothing heavy has been loaded then.
        RunError: The folder holds a bench of other settings.
        ImportError: An engine or an extra is missing; the message names the command.
    """
    watcher = watcher or _Silent()
    folder = Path(out)
    plans = {parse(method).slug: parse(method) for method in settings.methods}
    if len(plans) < len(settings.methods):
        raise ValueError(f"two of the methods are the same: {', '.join(settings.methods)}")
    for plan in plans.values():
        plan.engine.check_installed()
    if settings.episodes < 1:
        raise ValueError(f"episodes must be at least 1, not {settings.episodes}")
    env_ids = resolve_env_ids(list(settings.envs))
    _claim(folder, settings)
    checkpoints = folder / "checkpoints"
    source = dense_folder(settings.model, checkpoints / DENSE)
    needs_texts = any(plan.engine.needs_calibration for plan in plans.values())
    texts = default_calibration(str(settings.env_kwargs.get("difficulty", "medium"))) if needs_texts else []

    def run(policy: Policy, name: str) -> Results:
        watcher.stage(
            f"{name}: {len(env_ids)} environments x {settings.episodes} episodes", settings.episodes * len(env_ids)
        )
        return evaluate(
            env_ids,
            policy,
            range(settings.episodes),
            out=folder / "runs" / name,
            env_kwargs=settings.env_kwargs,
            progress=lambda episode: watcher.advance(),
        )

    dense = load_policy(f"hf:{source}", **{**settings.policy, "name": DENSE})
    reference = run(dense, DENSE)
    # Another batch size changes the order of the additions and nothing else: what differs then is noise.
    other_size = max(1, dense.capacity // 2 - 1)
    again = run(load_policy(f"hf:{source}", **{**settings.policy, "name": NOISE, "capacity": other_size}), NOISE)
    results: dict[str, Results] = {}
    replays: dict[str, Replay] = {}
    for slug, plan in plans.items():
        watcher.stage(f"{slug}: compressing")
        checkpoint = _compressed(source, str(plan), checkpoints / slug, texts)
        watcher.advance()
        policy = load_policy(f"hf:{checkpoint}", **{**settings.policy, "name": slug})
        results[slug] = run(policy, slug)
        watcher.stage(f"{slug}: both models on the same transcripts")
        # A model that has collapsed to infinities still has returns; it has no internals to show.
        with suppress(NotFiniteError):
            replays[slug] = replay(reference, dense, policy, limit=settings.replayed * len(env_ids))  # type: ignore[arg-type]
        watcher.advance()
    _write_json(folder / "internals.json", {name: r.to_dict() for name, r in replays.items()})
    watcher.stage("writing the report")
    comparisons = compare_all(reference, results)
    noise = compare(reference, again)
    _write_json(
        folder / "comparison.json",
        {"noise": noise.to_dict(), "methods": {n: c.to_dict() for n, c in comparisons.items()}},
    )
    data = load_bench(folder)
    write_report(data, folder / "report.html")
    watcher.advance()
    return data


def load_bench(folder: str | Path) -> ReportData:
    """Read a finished bench folder.

    Raises:
        RunError: It is no bench folder, or the bench has not finished.
    """
    path = Path(folder)
    asked = _read_json(path / "bench.json", "is no bench folder")
    compared = _read_json(path / "comparison.json", "holds a bench that has not finished; start it again")
    internals = _read_json(path / "internals.json", "holds a bench that has not finished; start it again")
    reference = Results.load(path / "runs" / DENSE)
    candidates = []
    for slug, comparison in compared["methods"].items():
        manifest = _read_json(path / "checkpoints" / slug / MANIFEST, f"has lost the checkpoint {slug}")
        candidates.append(
            Candidate(
                name=slug,
                method=manifest["method"],
                results=Results.load(path / "runs" / slug),
                comparison=Comparison.from_dict(comparison),
                replay=Replay.from_dict(internals[slug]) if slug in internals else None,
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


def _compressed(source: Path, method: str, out: Path, texts: Sequence[Conversation]) -> Path:
    """The checkpoint of a method, made now or by an earlier start of this bench."""
    from acenv.compressors.checkpoint import fingerprint, read_source

    if (out / MANIFEST).exists():
        manifest = _read_json(out / MANIFEST, "is no checkpoint")
        if manifest["method"] == method and manifest["source"]["sha256"] == fingerprint(read_source(source)):
            return out
        raise RunError(f"{out} holds another model's checkpoint or another method's; delete it or choose another --out")
    return compress(source, method, out, texts)


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

"""What a recipe is worth: a bench's method is taken apart, and the model that keeps its best layers acts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from acenv.analysis.comparison import compare_all
from acenv.analysis.records import to_jsonable
from acenv.analysis.report import Candidate, ReportData
from acenv.analysis.statistics import Interval
from acenv.compression import dense_folder
from acenv.compressors import parse
from acenv.runs import Results
from acenv.studies.bench import bench, load_bench, load_settings
from acenv.studies.plan import DENSE, write_json
from acenv.studies.sensitivity import Recipe, Sensitivity, measure_sensitivity
from acenv.types import Episode, Transcript
from acenv.workers import Silent, Watcher

TRANSCRIPTS = 32
"""Transcripts on which layers are exchanged, of all environments together."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """The return that a recipe brings back.

    Attributes:
        plain: Name of the method in the bench.
        recipe: Name of the method with the recipe.
        method: Its method string.
        episodes: Episodes that all three have finished, less those whose transcripts the recipe was chosen on.
        dense_return: Mean return of the original.
        plain_return: That of the method.
        recipe_return: That of the recipe.
        lost: Mean paired difference of the method and the original.
        gain: Mean paired difference of the recipe and the method.
        extra_bytes: What the recipe adds to the files, measured.
    """

    plain: str
    recipe: str
    method: str
    episodes: int
    dense_return: Interval
    plain_return: Interval
    recipe_return: Interval
    lost: Interval
    gain: Interval
    extra_bytes: int

    @property
    def recovered(self) -> float | None:
        """Share of the lost return that is back; ``None`` where nothing was lost."""
        return -self.gain.estimate / self.lost.estimate if self.lost.estimate < 0 else None

    def sentence(self) -> str:
        """What it says, in words."""
        share = "" if self.recovered is None else f", {self.recovered:.0%} of what was lost"
        return (
            f"On {self.episodes} episodes: the original returns {self.dense_return.estimate:.3f}, {self.plain} "
            f"{self.plain_return.estimate:.3f}, the recipe {self.recipe_return.estimate:.3f}. It gains "
            f"{self.gain.estimate:+.3f} [{self.gain.low:+.3f}, {self.gain.high:+.3f}]{share}, for "
            f"{self.extra_bytes / 1e6:.2f} MB more."
        )

    def to_dict(self) -> dict[str, Any]:
        """As strict JSON."""
        data: dict[str, Any] = to_jsonable(self)
        return {**data, "recovered": self.recovered}


def bench_sensitivity(
    folder: str | Path,
    method: str,
    *,
    transcripts: int = TRANSCRIPTS,
    watcher: Watcher | None = None,
    **options: Any,
) -> Sensitivity:
    """The sensitivity of a bench's method, measured on the dense run's transcripts.

    It is written to ``sensitivity/<method>.json`` in the folder.

    Args:
        folder: A finished bench folder.
        method: Name of a method in it; or a method string, which is added to the bench if it is not there: it is
            compressed, and acts.
        transcripts: How many are read, the first seeds of every environment.
        watcher: Is told about the progress.
        options: As for :func:`acenv.studies.sensitivity.measure_sensitivity`.

    Raises:
        RunError: It is no bench folder, or the bench has not finished.
        ValueError: There is no such method, or see :func:`acenv.studies.sensitivity.measure_sensitivity`.
        CompressionError: The method failed.
    """
    watcher = watcher or Silent()
    path, settings, data = Path(folder), load_settings(folder), load_bench(folder)
    names = [c.name for c in data.candidates]
    if method not in names:
        try:
            slug = parse(method).slug
        except ValueError as error:
            raise ValueError(f"{path} has no method {method!r}; it has {', '.join(names)} ({error})") from error
        if slug not in names:
            data = bench(replace(settings, methods=(*settings.methods, str(parse(method)))), path, watcher)
        method = _name_of(data, str(parse(method)))
    dense = dense_folder(settings.model, path / "checkpoints" / DENSE)
    chosen = first_transcripts(data.reference, transcripts)
    policy = {k: v for k, v in settings.policy.items() if k in ("dtype", "device", "trust_remote_code")}
    found = measure_sensitivity(dense, path / "checkpoints" / method, chosen, policy=policy, watcher=watcher, **options)
    (path / "sensitivity").mkdir(exist_ok=True)
    write_json(path / "sensitivity" / f"{method}.json", found.to_dict())
    return found


def recover(
    folder: str | Path,
    method: str,
    recipe: Recipe,
    *,
    transcripts: int = TRANSCRIPTS,
    watcher: Watcher | None = None,
    jobs: int = 1,
) -> Recovery:
    """Add a recipe to a bench, let it act, and compare it with the method that it improves.

    Args:
        folder: The bench folder.
        method: Name of the method in it.
        recipe: What to keep.
        transcripts: How many the recipe was chosen on; their episodes are left out of the comparison.
        watcher: Is told about the progress.
        jobs: As for :func:`acenv.studies.bench.bench`.

    Raises:
        RunError: It is no bench folder.
        ValueError: No episode is left to compare on.
        CompressionError: A method failed.
    """
    settings = load_settings(folder)
    methods = tuple(dict.fromkeys((*settings.methods, recipe.method)))
    data = bench(replace(settings, methods=methods), folder, watcher, jobs=jobs)
    candidates = {c.name: c for c in data.candidates}
    plain = candidates[method]
    better = candidates[_name_of(data, recipe.method, plain)]
    seen = {(t.env_id, t.seed) for t in first_transcripts(data.reference, transcripts)}
    keys = data.reference.returns().keys() & plain.results.returns().keys() & better.results.returns().keys()
    keys -= seen
    if not keys:
        raise ValueError(
            f"all episodes of the bench are among the {len(seen)} on which the recipe was chosen: take more episodes"
        )
    dense, before, after = (_only(run, keys) for run in (data.reference, plain.results, better.results))
    against_dense = {n: c.overall for n, c in compare_all(dense, {"plain": before, "recipe": after}).items()}
    gain = compare_all(before, {"recipe": after})["recipe"].overall
    return Recovery(
        plain=method,
        recipe=better.name,
        method=recipe.method,
        episodes=len(keys),
        dense_return=against_dense["plain"].reference,
        plain_return=against_dense["plain"].candidate,
        recipe_return=against_dense["recipe"].candidate,
        lost=against_dense["plain"].difference,
        gain=gain.difference,
        extra_bytes=_disk_bytes(better) - _disk_bytes(plain),
    )


def first_transcripts(results: Results, count: int) -> list[Transcript]:
    """The transcripts of the first seeds, one of each environment in turn.

    Raises:
        ValueError: Fewer than two are asked for.
    """
    if count < 2:
        raise ValueError(f"at least 2 transcripts have to be read, not {count}")
    env_ids = sorted({env_id for env_id, _ in results.returns()})
    seeds = {e: sorted(s for env_id, s in results.returns() if env_id == e) for e in env_ids}
    longest = max(map(len, seeds.values()), default=0)
    turns = [(e, seeds[e][i]) for i in range(longest) for e in env_ids if i < len(seeds[e])]
    return list(results.transcripts(turns[:count]))


@dataclass(frozen=True, slots=True)
class _Part:
    manifest: Mapping[str, Any]
    episodes: Sequence[Episode]


def _only(results: Results, keys: set[tuple[str, int]]) -> _Part:
    return _Part(results.manifest, [e for e in results.episodes if e.key in keys])


def _name_of(data: ReportData, method: str, like: Candidate | None = None) -> str:
    """The candidate that was made by a method string, on the same calibration as another if there are several."""
    found = [c for c in data.candidates if (c.manifest or {}).get("method") == method]
    calibration = _calibration(like) if like else None
    return next((c.name for c in found if _calibration(c) == calibration), found[0].name)


def _calibration(candidate: Candidate) -> str:
    return str((candidate.manifest or {}).get("calibration", {}).get("spec", ""))


def _disk_bytes(candidate: Candidate) -> int:
    return int((candidate.manifest or {})["measured"]["disk_bytes"])

"""The steps of a plan: find the model, draw texts, compress, act, replay. Each can run in any process."""

from __future__ import annotations

import functools
import hashlib
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from acenv.analysis.replay import NotFiniteError, Replay, replay
from acenv.calibration import DEFAULT, Spec
from acenv.calibration import parse as parse_spec
from acenv.compression import dense_folder
from acenv.compressors import MANIFEST, compress, parse
from acenv.compressors.checkpoint import fingerprint, read_source
from acenv.compressors.job import check_method
from acenv.evaluation import evaluate
from acenv.runs import Results, RunError
from acenv.studies.acting import act_again, act_dense, act_version, looks_of, policy_of, stopped
from acenv.studies.baseline import adopt, dense_runs
from acenv.studies.plan import DENSE, Arena, Plan, Version, read_json, write_json
from acenv.texts import Calibration, Text, draw, from_record, to_record
from acenv.workers import Watcher, Workers

_HELDOUT = "heldout"


def carry_out(plan: Plan, watcher: Watcher) -> tuple[dict[str, str], dict[str, str]]:
    """Do all that is left to do of a plan.

    Returns:
        Versions that failed, with the reason; all others have acted. And the environments of which there are no
        calibration transcripts, with the reason.

    Raises:
        ValueError: The model cannot be used, or a method does not fit it; nothing has been computed then.
        RunError: The folder or a baseline holds something else, or cannot be written.
    """
    failed: dict[str, str] = {}
    with Workers(plan.jobs, watcher) as workers:
        # Unpacks a GGUF file, so that it must come before the steps that share its result.
        source = workers.submit(find_source, plan).result()
        check_versions(plan, source)
        if plan.baselines:
            workers.submit(check_baselines, plan, source).result()
        left_out = workers.submit(draw_texts, plan).result()
        dense = [workers.submit(act_dense, plan, source, arena, looks_of(plan, arena)[0]) for arena in plan.arenas]
        compressed = {v: workers.submit(attempt, compress_version, plan, source, v) for v in plan.versions}
        again = [
            (changed, workers.submit(attempt, act_again, plan, source, arena, changed))
            for arena in plan.arenas
            for changed in plan.noises
        ]
        for future in dense:
            future.result()
        distance: dict[Version, float] = {}
        replayed = {}
        for version, future in compressed.items():
            distance[version], problem = future.result()
            if problem:
                failed[version.slug] = problem
            elif plan.replayed:
                replayed[version] = workers.submit(attempt, replay_version, plan, source, version)
        for version, future in replayed.items():
            distance[version], problem = future.result()
            if problem:
                failed[version.slug] = problem
        left = [v for v in plan.versions if v.slug not in failed]
        # A version that is far off talks to every limit. The longest runs first, so that none is left over at the end.
        left.sort(key=distance.__getitem__, reverse=True)
        acted = [
            (v, workers.submit(attempt, act_version, plan, arena, v, looks_of(plan, arena)[0]))
            for v in left
            for arena in plan.arenas
        ]
        for version, future in acted:
            if problem := future.result()[1]:
                failed[version.slug] = problem
        for arena in plan.arenas:
            for count in looks_of(plan, arena)[1:]:
                _act_on(workers, plan, source, arena, [v for v in left if v.slug not in failed], count, failed)
        for changed, future in again:
            if problem := future.result()[1]:
                watcher.stage(f"no noise floor of another {changed}: {problem}")()
    return failed, left_out


def _act_on(
    workers: Workers,
    plan: Plan,
    source: Path,
    arena: Arena,
    versions: Sequence[Version],
    count: int,
    failed: dict[str, str],
) -> None:
    """The next batch of episodes of the versions whose intervals are still too wide, and of the original for them."""
    wanted = {v: [e for e, n in stopped(plan, arena, v.slug, count).items() if n >= count] for v in versions}
    envs = [e for e in arena.env_ids if any(e in env_ids for env_ids in wanted.values())]
    if not envs:
        return
    workers.submit(act_dense, plan, source, arena, count, envs).result()
    futures = [(v, workers.submit(attempt, act_version, plan, arena, v, count, e)) for v, e in wanted.items() if e]
    for version, future in futures:
        if problem := future.result()[1]:
            failed[version.slug] = problem


def attempt(watcher: Watcher, step: Callable[..., Any], *arguments: Any) -> tuple[Any, str]:
    """A step whose failure does not stop the others: its result, and what was wrong.

    Raises:
        RunError: The folder holds something else or cannot be written, which the other steps would run into as well.
    """
    try:
        return step(watcher, *arguments), ""
    except RunError:
        raise
    except Exception as error:  # an engine, or a model that an engine made, may raise anything
        return None, f"{type(error).__name__}: {error}"


def find_source(watcher: Watcher, plan: Plan) -> Path:
    """A step: find the dense checkpoint, or unpack it."""
    done = watcher.stage(f"finding {plan.model}")
    source = dense_folder(plan.model, plan.checkpoint(DENSE))
    done()
    return source


def check_versions(plan: Plan, source: Path) -> None:
    """Make sure that every method fits the model.

    Raises:
        ValueError: The model cannot be compressed, or a method does not fit; all of those are named.
    """
    dense = read_source(source)
    problems = {}
    for version in plan.versions:
        try:
            check_method(dense, parse(version.method))
        except ValueError as error:
            problems[version.method] = str(error)
    if problems:
        raise ValueError("\n".join(f"{method}: {problem}" for method, problem in problems.items()))


def check_baselines(watcher: Watcher, plan: Plan, source: Path) -> None:
    """A step: take over the dense episodes of earlier runs.

    Raises:
        RunError: A folder has no run of this model with these settings.
    """
    done = watcher.stage("looking at earlier runs of the original")
    policy = policy_of(source, DENSE, plan)
    for folder in plan.baselines:
        differences: list[str] = []
        taken = False
        for arena in plan.arenas:
            evaluate(arena.env_ids, policy, (), out=arena.run(DENSE), env_kwargs=arena.env_kwargs)
            for run in dense_runs(folder, DENSE):
                found = adopt(run, arena.run(DENSE), arena.env_ids, range(arena.episodes))
                taken = taken or not found
                differences += found
        if not taken:
            raise RunError(
                f"the baseline {folder} is of another model or of other settings:\n"
                + "\n".join(f"  {line}" for line in dict.fromkeys(differences))
                + "\nLeave it out, and the original acts anew."
            )
    done()


def draw_texts(watcher: Watcher, plan: Plan) -> dict[str, str]:
    """A step: the texts of each calibration, and those on which all versions are compared with the original.

    They lie in the folder, for people to read, and so that a plan that is taken up again goes on with the same.

    Returns:
        Environments of which there are no transcripts, with the reason.

    Raises:
        ValueError: A calibration has no texts.
        RunError: The file or run of a calibration is no longer what the folder was started with.
    """
    done = watcher.stage("reading calibration texts")
    env_ids = tuple(dict.fromkeys(env_id for arena in plan.arenas for env_id in arena.env_ids))
    difficulties = tuple(dict.fromkeys(arena.difficulty for arena in plan.arenas))
    specs = [parse_spec(text) for text in dict.fromkeys(v.calibration for v in plan.versions) if text]
    default = parse_spec(DEFAULT)
    if default not in specs:
        default = replace(default, samples=1)

    @functools.cache
    def domain() -> Calibration:
        """What is said where the versions are to act."""
        return draw(default, env_ids, difficulties)

    def heldout() -> Calibration:
        try:
            return Calibration(domain().heldout)
        except ValueError:  # no expert, so nothing of this domain: the calibrations have to do
            return Calibration(())

    common, left_out = _stored(plan, _HELDOUT, _HELDOUT, "", heldout)
    for spec in specs:
        texts = functools.partial(draw, spec, env_ids, difficulties, common)
        left_out |= _stored(plan, spec.slug, str(spec), _origin(spec), domain if spec == default else texts)[1]
    done()
    return left_out


def _stored(
    plan: Plan, name: str, spec: str, origin: str, make: Callable[[], Calibration]
) -> tuple[tuple[Text, ...], dict[str, str]]:
    """The samples in ``calibration/<name>.json``, which is made if it is not there, and what was left out of them."""
    path = plan.folder / "calibration" / f"{name}.json"
    if not path.exists():
        made = make()
        record = {"spec": spec, "origin": origin, "left_out": dict(made.left_out)}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {**record, "samples": [to_record(text) for text in made.samples]})
    data = read_json(path, "is damaged")
    if (data["spec"], data["origin"]) != (spec, origin):
        raise RunError(
            f"{path} was drawn from {data['spec']}, which has changed since, or is another: versions on different "
            "texts must not have the same name. Choose another folder with --out"
        )
    return tuple(from_record(record) for record in data["samples"]), data["left_out"]


def _origin(spec: Spec) -> str:
    """A hash of what the texts are drawn from; empty for what experts say."""
    if spec.kind == "transcripts":
        return ""
    path = Path(spec.target).expanduser()
    with (path / "episodes.jsonl" if spec.kind == "run" else path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compress_version(watcher: Watcher, plan: Plan, source: Path, version: Version) -> float:
    """A step: the checkpoint of a version, unless an earlier start made it.

    Returns:
        Its divergence from the original on the held-out texts.
    """
    out = plan.checkpoint(version.slug)
    if not (out / MANIFEST).exists():
        done = watcher.stage(f"{version.slug}: compressing")
        samples = _texts_of(plan, parse_spec(version.calibration).slug) if version.calibration else ()
        compress(source, version.method, out, samples, _texts_of(plan, _HELDOUT), version.calibration or "")
        done()
    # What is left of a compression that was killed after it had put its result in place.
    shutil.rmtree(out.with_name(f".{out.name}.partial"), ignore_errors=True)
    manifest = read_json(out / MANIFEST, "is no checkpoint")
    made = manifest["method"], manifest["calibration"].get("spec", ""), manifest["source"]["sha256"]
    if made != (version.method, version.calibration or "", _fingerprint(source)):
        raise RunError(
            f"{out} holds a checkpoint of another model, method or calibration; delete it or choose another --out"
        )
    return float(manifest["measured"].get("kl_from_dense", 0.0))


def _texts_of(plan: Plan, name: str) -> tuple[Text, ...]:
    data = read_json(plan.folder / "calibration" / f"{name}.json", "has lost its calibration")
    return tuple(from_record(record) for record in data["samples"])


@functools.cache
def _fingerprint(source: Path) -> str:
    return fingerprint(read_source(source))


def replay_version(watcher: Watcher, plan: Plan, source: Path, version: Version) -> float:
    """A step: the original and a version on the original's transcripts, in the first arena.

    Returns:
        The share of tokens that the version would have chosen differently; 1 if it computes no finite numbers.
    """
    path = plan.folder / "internals" / f"{version.slug}.json"
    if not path.exists():
        done = watcher.stage(f"{version.slug}: both models on the same transcripts")
        reference = Results.load(plan.arenas[0].run(DENSE))
        limit = plan.replayed * len(plan.arenas[0].env_ids)
        policy: Any = policy_of(plan.checkpoint(version.slug), version.slug, plan)
        dense: Any = policy_of(source, DENSE, plan)
        try:
            replay_into(path, reference, dense, policy, limit)
        except NotFiniteError:
            return 1.0  # A model that has collapsed to infinities still has returns; it has no internals to show.
        finally:
            done()
    agreement = Replay.from_dict(read_json(path, "is damaged")).summary().overall.top1_agreement
    return 1.0 if math.isnan(agreement) else 1.0 - agreement


def replay_into(path: Path, reference: Results, base: Any, compressed: Any, limit: int | None = None) -> Replay:
    """Replay transcripts, and write what is found: a JSON file, and beside it ``.tokens.jsonl`` with every token.

    Raises:
        ValueError: See :func:`acenv.analysis.replay.replay`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tokens = path.with_suffix(".tokens.jsonl")
    partial = tokens.with_name(tokens.name + ".tmp")
    found = replay(reference, base, compressed, limit=limit, tokens=partial)
    partial.replace(tokens)
    write_json(path, found.to_dict())
    return found

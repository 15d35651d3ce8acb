"""``acenv attribute``: where a compressed model leaves the original's path, and what each of its decisions cost."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from acenv.analysis.attribution import Attribution
from acenv.analysis.deviations import Effort, EpisodeAttribution, Excluded, episode_from_dict
from acenv.analysis.records import to_jsonable
from acenv.compression import dense_folder
from acenv.loop import run
from acenv.policies import load_policy
from acenv.registry import check_installed, resolve_env_ids
from acenv.runs import Key, Results, RunError
from acenv.starts import Finished, Start
from acenv.studies.actors import Actors
from acenv.studies.bench import load_bench, load_settings
from acenv.studies.branches import SIDES, BranchError, Case, Measure, Side
from acenv.studies.branches import Path as Played
from acenv.studies.plan import DENSE, write_json
from acenv.types import Conversation, Policy
from acenv.workers import Silent, Watcher

MAX_BRANCHES = 16
"""Differing decisions of a path that get branches of their own, by default."""

_DRAW = 1_000_003
"""Far enough that no two draws of a run's episodes have the same sampling seed."""


def attribute(
    base: Policy | Callable[..., str] | str,
    compressed: Policy | Callable[..., str] | str,
    env_ids: str | Sequence[str] = "quick",
    seeds: Iterable[int] = range(100),
    *,
    runs: tuple[Results, Results] | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    max_branches: int | None = MAX_BRANCHES,
    replicates: int = 1,
    workers: int = 4,
    out: str | Path | None = None,
    watcher: Watcher | None = None,
) -> Attribution:
    """Find the first divergence of two models in every episode, and what each differing decision costs.

    See :mod:`acenv.analysis.attribution` for the estimator and what it assumes.

    Args:
        base: The original model: a policy, or a spec for :func:`acenv.load_policy`.
        compressed: The compressed one.
        env_ids: Ids or names of suites.
        seeds: Seeds of the episodes.
        runs: Results of both, whose episodes are not run again. They must be those of these very policies.
        env_kwargs: Keywords for the environments, as :func:`acenv.evaluate` takes them; those of ``runs`` by default.
        max_branches: Differing decisions of a path that get branches of their own; the decisions between two of them
            share a loss evenly. ``None`` for no bound.
        replicates: Draws of every episode, for policies that sample; greedy ones need one.
        workers: Threads that step environments.
        out: A JSON file to write. What is finished is kept beside it, so that the same call goes on after an
            interruption; the file itself appears when all is done.
        watcher: Is told about the progress.

    Raises:
        ValueError: A setting makes no sense, or the runs are of other environments or settings.
        RunError: The file cannot be written.
        PolicyError: A policy broke its contract.
    """
    if replicates < 1 or (max_branches is not None and max_branches < 1) or workers < 1:
        raise ValueError(
            f"replicates, max_branches and workers must be at least 1, not {replicates}, {max_branches}, {workers}"
        )
    ids = resolve_env_ids([env_ids] if isinstance(env_ids, str) else list(env_ids))
    wanted = list(dict.fromkeys(int(seed) for seed in seeds))
    if not wanted or min(wanted) < 0:
        raise ValueError("there must be seeds, and all of them 0 or more")
    check_installed(ids)
    keywords = _keywords(runs, env_kwargs)
    models: dict[str, Policy] = {
        side: model if isinstance(model, Policy) else load_policy(model)
        for side, model in zip(SIDES, (base, compressed), strict=True)
    }
    unit, measure = _measure(models["compressed"])
    settings = {
        "policies": [_describe(policy) for policy in models.values()],
        "env_kwargs": keywords,
        "max_branches": max_branches,
        "unit": unit,
    }
    watcher = watcher or Silent()
    keys = [(env_id, seed, r) for env_id in ids for seed in wanted for r in range(replicates)]
    title = f"{models['base'].name} and {models['compressed'].name}: {len(keys)} episodes, and branches of them"
    step = watcher.stage(title, len(keys))
    with ExitStack() as stack:
        notes = stack.enter_context(_Notes(Path(out) if out else None, settings))
        for _ in notes.keys & set(keys):
            step()
        excluded: list[Excluded] = []
        cases = _cases([key for key in keys if key not in notes.keys], runs, max_branches, excluded, step)
        for case, problem in _run_all(Actors(models), cases, workers, keywords):
            if problem:
                excluded.append(Excluded(case.env_id, case.seed, problem))
            else:
                notes.append(case.result(measure), case.effort)
            step()
        order = {key: i for i, key in enumerate(keys)}
        episodes = sorted((e for e in notes.episodes if _key(e) in order), key=lambda e: order[_key(e)])
        found = Attribution(
            base=models["base"].name,
            compressed=models["compressed"].name,
            episodes=tuple(episodes),
            excluded=tuple(excluded),
            unit=unit,
            max_branches=max_branches,
            replicates=replicates,
            sampled=any(_samples(policy) for policy in models.values()),
            effort=notes.effort,
        )
        notes.finish(found)
    return found


def attribute_bench(
    folder: str | Path,
    method: str,
    *,
    envs: Sequence[str] = (),
    episodes: int | None = None,
    max_branches: int | None = MAX_BRANCHES,
    replicates: int = 1,
    watcher: Watcher | None = None,
) -> Attribution:
    """Attribute the loss of one method of a finished bench; writes ``attribution/<method>.json`` in its folder.

    Args:
        folder: The bench folder.
        method: Name of a method in it.
        envs: Ids or suites, of the bench's; none for all.
        episodes: Episodes an environment, at most; ``None`` for all.
        max_branches: See :func:`attribute`.
        replicates: See :func:`attribute`.
        watcher: Is told about the progress.

    Raises:
        RunError: It is no finished bench folder, or holds no method of that name.
        ValueError: See :func:`attribute`.
    """
    path, settings = Path(folder), load_settings(folder)
    known = [candidate.name for candidate in load_bench(folder).candidates]
    if method not in known:
        raise RunError(f"{path} has no method {method}; it has {', '.join(known)}")
    there = resolve_env_ids(list(settings.envs))
    ids = resolve_env_ids(list(envs)) if envs else there
    if other := [env_id for env_id in ids if env_id not in there]:
        raise ValueError(f"{path} did not run {', '.join(other)}; it has {', '.join(there)}")
    dense = dense_folder(settings.model, path / "checkpoints" / DENSE)
    (path / "attribution").mkdir(exist_ok=True)
    return attribute(
        load_policy(f"hf:{dense}", **{**settings.policy, "name": DENSE}),
        load_policy(f"hf:{path / 'checkpoints' / method}", **{**settings.policy, "name": method}),
        ids,
        range(min(settings.episodes, episodes or settings.episodes)),
        runs=(Results.load(path / "runs" / DENSE), Results.load(path / "runs" / method)),
        max_branches=max_branches,
        replicates=replicates,
        out=path / "attribution" / f"{method}.json",
        watcher=watcher,
    )


def _run_all(
    actors: Actors, cases: Iterator[Case], workers: int, env_kwargs: Mapping[str, Any]
) -> Iterator[tuple[Case, str]]:
    """Run all that the cases need in one loop; gives each case with what was wrong with it, as soon as it is done."""
    pending: deque[Start] = deque()
    owners: dict[int, Case] = {}
    ended: deque[tuple[Case, str]] = deque()

    def take(case: Case, starts: Callable[[], list[Start]]) -> None:
        try:
            new = starts()
        except BranchError as error:
            ended.append((case, str(error)))
            dead = {id(start) for start in pending if owners[id(start)] is case}
            for start in [start for start in pending if id(start) in dead]:
                pending.remove(start)
            for number in [number for number, owner in owners.items() if owner is case]:
                del owners[number]
            return
        owners.update((id(start), case) for start in new)
        # Branches before new episodes: so few episodes are under way, however many there are.
        pending.extendleft(reversed(new))
        if case.done:
            ended.append((case, ""))

    def fill() -> None:
        while len(pending) < actors.capacity and (case := next(cases, None)) is not None:
            take(case, case.begin)

    fill()
    while pending or ended:
        while ended:
            yield ended.popleft()
        for finished in run(actors, pending, actors.capacity, workers, env_kwargs):
            owner = owners.pop(id(finished.start), None)
            if owner is not None:
                take(owner, _taking(owner, finished))
            fill()
            while ended:
                yield ended.popleft()
        fill()


def _taking(case: Case, finished: Finished) -> Callable[[], list[Start]]:
    return lambda: case.take(finished)


def _cases(
    keys: Iterable[tuple[str, int, int]],
    runs: tuple[Results, Results] | None,
    max_branches: int | None,
    excluded: list[Excluded],
    step: Callable[[], None],
) -> Iterator[Case]:
    """One case an episode; those that a run did not finish are excluded."""
    known = [(results, results.returns(), {e.key: e.error for e in results.errors}) for results in runs or ()]
    for env_id, seed, replicate in keys:
        paths: dict[Side, Played] = {}
        problem = ""
        if replicate == 0:
            for side, (results, returns, errors) in zip(SIDES, known, strict=False):
                key: Key = (env_id, seed)
                if key in returns:
                    paths[side] = Played(results.transcript(key), returns[key])
                elif key in errors:
                    problem = problem or f"{side}: {errors[key]}"
        if problem:
            excluded.append(Excluded(env_id, seed, problem))
            step()
            continue
        drawn = seed + _DRAW * replicate if replicate else None
        yield Case(env_id, seed, paths, sampling_seed=drawn, replicate=replicate, max_branches=max_branches)


class _Notes:
    """Episodes that are done, in a file of lines beside the one that is to be written."""

    def __init__(self, out: Path | None, settings: Mapping[str, Any]) -> None:
        self.episodes: list[EpisodeAttribution] = []
        self.effort = Effort()
        self._out = out
        self._path = out.with_name(f".{out.name}.partial") if out else None
        self._settings = json.loads(json.dumps(settings, default=repr))
        self._file: TextIO | None = None

    @property
    def keys(self) -> set[tuple[str, int, int]]:
        """The episodes that are done."""
        return {_key(episode) for episode in self.episodes}

    def __enter__(self) -> _Notes:
        if self._path is None:
            return self
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lines = list(self._read())
            self._file = self._path.open("w", encoding="utf-8")
            self._write(self._settings)
            for episode, effort in lines:
                self.append(episode, effort)
        except OSError as error:
            raise RunError(f"cannot write {self._path}: {error.strerror or error}") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, episode: EpisodeAttribution, effort: Effort) -> None:
        self.episodes.append(episode)
        self.effort += effort
        self._write({"episode": to_jsonable(episode), "effort": to_jsonable(effort)})

    def finish(self, found: Attribution) -> None:
        if self._out is None or self._path is None:
            return
        try:
            write_json(self._out, found.to_dict())
            self._path.unlink()
        except OSError as error:
            raise RunError(f"cannot write {self._out}: {error.strerror or error}") from error

    def _read(self) -> Iterator[tuple[EpisodeAttribution, Effort]]:
        """What an earlier start with the same settings left; a line that it could not finish is none."""
        if self._path is None or not self._path.exists():
            return
        try:
            first, *lines = self._path.read_text(encoding="utf-8").splitlines()
            if json.loads(first) != self._settings:
                return
            for line in lines:
                record = json.loads(line)
                yield episode_from_dict(record["episode"]), Effort(**record["effort"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return

    def _write(self, record: Any) -> None:
        if self._file is not None:
            self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
            self._file.flush()


def _keywords(runs: tuple[Results, Results] | None, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Keywords of the environments; those of runs must be the same."""
    found = [dict(results.manifest.get("env_kwargs") or {}) for results in runs or ()]
    if given is not None:
        found.append(json.loads(json.dumps(dict(given), default=repr)) if found else dict(given))
    if any(one != found[0] for one in found):
        raise ValueError(f"the episodes are not the same tasks: {' and '.join(map(str, found))}")
    return found[-1] if found else {}


def _measure(policy: Policy) -> tuple[str, Measure]:
    """The unit of context lengths, and what measures them: in tokens where the policy can count them."""
    count = getattr(policy, "prompt_tokens", None)
    return ("tokens", count) if callable(count) else ("characters", _characters)


def _characters(conversation: Conversation) -> int:
    tools = json.dumps(list(conversation.tools), ensure_ascii=False) if conversation.tools else ""
    return len(tools) + sum(len(message["content"]) for message in conversation.messages)


def _describe(policy: Policy) -> dict[str, Any]:
    describe = getattr(policy, "describe", None)
    return {"name": policy.name, **(describe() if describe is not None else {})}


def _samples(policy: Policy) -> bool:
    temperature = _describe(policy).get("temperature", 0.0)
    return isinstance(temperature, (int, float)) and not math.isclose(temperature, 0.0)


def _key(episode: EpisodeAttribution) -> tuple[str, int, int]:
    return episode.env_id, episode.seed, episode.replicate

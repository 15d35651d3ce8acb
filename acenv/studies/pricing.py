"""Runs what the branches of many episodes need, in one loop of this process or in several processes."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from typing import Any

from acenv.analysis.deviations import Effort, EpisodeAttribution, Excluded
from acenv.loop import run
from acenv.runs import Key, Results
from acenv.starts import Finished, Start
from acenv.studies.actors import Actors
from acenv.studies.branches import SIDES, BranchError, Case, Measure, Side
from acenv.studies.branches import Path as Played
from acenv.studies.notes import CaseKey
from acenv.types import Conversation, Policy
from acenv.workers import Silent, Watcher, Workers

Loader = Callable[[], Policy]
Priced = tuple[EpisodeAttribution, Effort] | Excluded

_PORTIONS = 4
"""How many times a process is given episodes; with more of them each batch is smaller."""

_DRAW = 1_000_003
"""Far enough that no two draws of a run's episodes have the same sampling seed."""


@dataclass(frozen=True, slots=True)
class Job:
    """What has to be known to price the decisions of episodes.

    Attributes:
        loaders: Make the original model and the compressed one.
        runs: Episodes of both that are known.
        env_kwargs: Keywords for the environments.
        max_branches: See :func:`acenv.attribute`.
        workers: Threads that step environments.
    """

    loaders: tuple[Loader, Loader]
    runs: tuple[Results, Results] | None
    env_kwargs: Mapping[str, Any]
    max_branches: int | None
    workers: int

    def load(self) -> dict[str, Policy]:
        """Both models."""
        return {side: loader() for side, loader in zip(SIDES, self.loaders, strict=True)}


def price(job: Job, models: Mapping[str, Policy], keys: Sequence[CaseKey]) -> Iterator[Priced]:
    """Price episodes, and give each as soon as it is done."""
    _, measure = measure_of(models["compressed"])
    excluded: deque[Excluded] = deque()
    for case, problem in _run_all(Actors(models), _cases(job, keys, excluded), job):
        yield from _emptied(excluded)
        yield Excluded(case.env_id, case.seed, problem) if problem else (case.result(measure), case.effort)
    yield from _emptied(excluded)


def price_apart(job: Job, keys: Sequence[CaseKey], jobs: int) -> Iterator[Priced]:
    """The same in ``jobs`` processes, which load the models themselves and are given episodes a few at a time."""
    count = min(len(keys), jobs * _PORTIONS)
    with Workers(jobs, Silent()) as pool:
        futures = [pool.submit(_price_portion, job, keys[i::count]) for i in range(count)]
        for future in as_completed(futures):
            yield from future.result()


def measure_of(policy: Policy) -> tuple[str, Measure]:
    """The unit of context lengths, and what measures them: in tokens where the policy can count them."""
    count = getattr(policy, "prompt_tokens", None)
    return ("tokens", count) if callable(count) else ("characters", _characters)


def _characters(conversation: Conversation) -> int:
    tools = json.dumps(list(conversation.tools), ensure_ascii=False) if conversation.tools else ""
    return len(tools) + sum(len(message["content"]) for message in conversation.messages)


_at_hand: dict[str, Policy] = {}
"""The models of a process that works for another; it is given episodes more than once."""


def _price_portion(watcher: Watcher, job: Job, keys: Sequence[CaseKey]) -> list[Priced]:
    if not _at_hand:
        _at_hand.update(job.load())
    return list(price(job, _at_hand, keys))


def _emptied(excluded: deque[Excluded]) -> Iterator[Excluded]:
    while excluded:
        yield excluded.popleft()


def _cases(job: Job, keys: Sequence[CaseKey], excluded: deque[Excluded]) -> Iterator[Case]:
    """One case an episode; those that a run did not finish are excluded."""
    known = [(results, results.returns(), {e.key: e.error for e in results.errors}) for results in job.runs or ()]
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
            continue
        drawn = seed + _DRAW * replicate if replicate else None
        yield Case(env_id, seed, paths, sampling_seed=drawn, replicate=replicate, max_branches=job.max_branches)


def _run_all(actors: Actors, cases: Iterator[Case], job: Job) -> Iterator[tuple[Case, str]]:
    """Run all that the cases need in one loop; gives each case with what was wrong with it, as soon as it is done."""
    pending: deque[Start] = deque()
    owners: dict[int, Case] = {}
    ended: deque[tuple[Case, str]] = deque()

    def take(case: Case, starts: Callable[[], list[Start]]) -> None:
        try:
            new = starts()
        except BranchError as error:
            ended.append((case, str(error)))
            kept = [start for start in pending if owners[id(start)] is not case]
            pending.clear()
            pending.extend(kept)
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
        for finished in run(actors, pending, actors.capacity, job.workers, job.env_kwargs):
            owner = owners.pop(id(finished.start), None)
            if owner is not None:
                take(owner, _taking(owner, finished))
            fill()
            while ended:
                yield ended.popleft()
        fill()


def _taking(case: Case, finished: Finished) -> Callable[[], list[Start]]:
    return lambda: case.take(finished)

"""The branches of one episode: which counterfactual returns are needed, which of them are known, which must be run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from acenv.analysis.deviations import Deviation, Effort, EpisodeAttribution
from acenv.analysis.divergence import (
    Move,
    divergence_kind,
    excerpt,
    first_divergence,
    move,
    prompt_messages,
)
from acenv.starts import Finished, Saved, Start
from acenv.types import Conversation, Decision, Step, Transcript

Side = Literal["base", "compressed"]
SIDES: tuple[Side, Side] = ("base", "compressed")

Moves = tuple[Move, ...]
Measure = Callable[[Conversation], int]


class BranchError(Exception):
    """An episode that cannot be attributed; the message says why."""


@dataclass(frozen=True, slots=True)
class Path:
    """An episode as one of the models played it."""

    transcript: Transcript
    return_: float

    @property
    def steps(self) -> Sequence[Step]:
        """What it did."""
        return self.transcript.steps

    @property
    def moves(self) -> Moves:
        """What the environment saw of it."""
        return tuple(move(step) for step in self.steps)


class Case:
    """The attribution of one episode, as far as it has come.

    First both paths are run, unless they are given. Then each model is asked what it would have done along the other's
    path, from the step behind the first divergence on. With these decisions every counterfactual return is a pair of
    *given actions* and *who goes on*; following what is known of the one who goes on leads to the end of a path, whose
    return is known, or to actions that nobody has taken yet, and those are run.
    """

    def __init__(
        self,
        env_id: str,
        seed: int,
        paths: Mapping[Side, Path] | None = None,
        *,
        sampling_seed: int | None = None,
        replicate: int = 0,
        max_branches: int | None = None,
    ) -> None:
        """Take up an episode.

        Args:
            env_id: Its environment.
            seed: Its seed.
            paths: What both models did, where that is known.
            sampling_seed: Seeds what the policies draw; the episode's seed by default.
            replicate: The number of the draw.
            max_branches: Differing decisions of a path that get branches of their own; ``None`` for all.
        """
        self.env_id, self.seed, self.replicate = env_id, seed, replicate
        self.effort = Effort()
        self.first: int | None = None
        self._sampling_seed = sampling_seed
        self._max_branches = max_branches
        self._paths: dict[Side, Path] = dict(paths or {})
        self._known: dict[Side, dict[Moves, Step]] = {side: {} for side in SIDES}
        self._ends: dict[Moves, float] = {}
        self._saved: dict[Moves, Saved] = {}
        self._branches: dict[tuple[Side, Moves], float | None] = {}
        self._under_way = 0
        self._walked = False

    def begin(self) -> list[Start]:
        """What to run first."""
        if len(self._paths) == len(SIDES):
            return self._walks()
        return self._sent([self._start(actor=side) for side in SIDES if side not in self._paths])

    def take(self, finished: Finished) -> list[Start]:
        """Take in what has been run.

        Returns:
            What to run next.

        Raises:
            BranchError: It could not be finished, or the environment did not repeat itself.
        """
        self._under_way -= 1
        episode, start = finished.episode, finished.start
        if episode.error is not None:
            raise BranchError(episode.error)
        self.effort += Effort(rollouts=int(not start.save), walks=int(start.save), decisions=_asked(finished))
        side: Side = "base" if start.actor == "base" else "compressed"
        if not start.steps:
            self._paths[side] = Path(finished.transcript, episode.return_)
            return [] if self._under_way else self._walks()
        if start.save:
            self._learn(finished, side)
            return [] if self._under_way else self._rollouts()
        self._branches[side, tuple(move(step) for step in start.steps)] = episode.return_
        return []

    @property
    def done(self) -> bool:
        """Whether nothing is left to run."""
        return self._walked and not self._under_way

    def result(self, measure: Measure) -> EpisodeAttribution:
        """The attribution, once all is done.

        Args:
            measure: Gives the length of a conversation, as the models read it.
        """
        base, compressed = self._paths["base"], self._paths["compressed"]
        return EpisodeAttribution(
            env_id=self.env_id,
            seed=self.seed,
            base_return=base.return_,
            compressed_return=compressed.return_,
            base_length=len(base.steps),
            first=self.first,
            contexts=tuple(self._context(compressed, t, measure) for t in range(len(compressed.steps))),
            path=self._deviations("compressed", measure),
            base_path=self._deviations("base", measure),
            replicate=self.replicate,
        )

    # Finding out what both would do

    def _walks(self) -> list[Start]:
        base, compressed = self._paths["base"], self._paths["compressed"]
        self.first = first_divergence(base.steps, compressed.steps)
        for side, path in self._paths.items():
            moves = path.moves
            self._known[side] |= {moves[:t]: step for t, step in enumerate(path.steps)}
            self._ends[moves] = path.return_
        if self.first is None:
            if abs(base.return_ - compressed.return_) > 1e-9:
                raise BranchError(
                    f"the environment did not repeat itself: the same actions returned {base.return_} and "
                    f"{compressed.return_}"
                )
            self._walked = True
            return []
        if self.first >= min(len(base.steps), len(compressed.steps)):
            raise BranchError("the environment did not repeat itself: the same actions ended one episode only")
        behind = self.first + 1
        walks = [
            self._start(path.steps, ask_from=behind, actor=_other(side), save=True)
            for side, path in self._paths.items()
            if len(path.steps) > behind
        ]
        return self._sent(walks) if walks else self._rollouts()

    def _learn(self, walk: Finished, asked: Side) -> None:
        """What ``asked`` would have done along the other's path."""
        path = self._paths[_other(asked)]
        if list(walk.transcript.messages) != list(path.transcript.messages):
            raise BranchError("the environment did not repeat itself: it said something else to the same actions")
        moves = path.moves
        first = len(moves) - len(walk.asked)
        for t, decision in enumerate(walk.asked, first):
            self._known[asked][moves[:t]] = _as_step(decision)
        self._saved |= {moves[:t]: saved for t, saved in walk.saved.items()}

    def _differing(self, side: Side) -> list[int]:
        """Steps of a path at which the other would have decided otherwise."""
        if self.first is None:
            return []
        known, moves = self._known[_other(side)], self._paths[side].moves
        return [t for t in range(self.first, len(moves)) if move(known[moves[:t]]) != moves[t]]

    def _chosen(self, side: Side) -> list[int]:
        """Those of them that get branches: the first, and others evenly spread if there are too many."""
        steps = self._differing(side)
        limit = self._max_branches
        if limit is None or len(steps) <= limit:
            return steps
        return [steps[i * len(steps) // limit] for i in range(limit)]

    # Counterfactual returns

    def _rollouts(self) -> list[Start]:
        self._walked = True
        wanted = [branch(s, t) for s in SIDES for t in self._chosen(s) for branch in (self._takeover, self._swap)]
        followed = [self._followed(*branch) for branch in wanted]
        self._branches = {branch: None for branch in followed if branch[1] not in self._ends}
        self.effort += Effort(known=len(wanted) - len(self._branches))
        starts = [self._branch(*branch) for branch in self._branches]
        self._saved.clear()
        return self._sent(starts)

    def _takeover(self, side: Side, t: int) -> tuple[Side, Moves]:
        """The other goes on from step ``t`` of a path."""
        return _other(side), self._paths[side].moves[:t]

    def _swap(self, side: Side, t: int) -> tuple[Side, Moves]:
        """The other decides at step ``t`` of a path, and its owner goes on."""
        moves = self._paths[side].moves[:t]
        return side, (*moves, move(self._known[_other(side)][moves]))

    def _followed(self, side: Side, moves: Moves) -> tuple[Side, Moves]:
        """The same branch, with all actions given that are known to follow."""
        known = self._known[side]
        while (step := known.get(moves)) is not None:
            moves = (*moves, move(step))
        return side, moves

    def _value(self, branch: tuple[Side, Moves]) -> float:
        side, moves = self._followed(*branch)
        if moves in self._ends:
            return self._ends[moves]
        value = self._branches[side, moves]
        assert value is not None, "a branch was not run"
        return value

    def _branch(self, side: Side, moves: Moves) -> Start:
        """A path up to a step, one decision of the other there, and ``side`` from then on."""
        *before, (action, full) = moves
        t = len(before)
        path = next(path for path in self._paths.values() if path.moves[:t] == tuple(before))
        swapped = Step(action, math.nan, "context" if full else "stop")
        return self._start((*path.steps[:t], swapped), actor=side, saved=self._saved.get(tuple(before)))

    # What was found

    def _deviations(self, side: Side, measure: Measure) -> tuple[Deviation, ...]:
        path, chosen, differing = self._paths[side], self._chosen(side), self._differing(side)
        sign = 1.0 if side == "compressed" else -1.0
        # With the other taking over at the first divergence nothing of the path is left, and at its end all of it is.
        values = [self._value(self._takeover(side, t)) for t in chosen] + [path.return_]
        found = []
        for i, t in enumerate(chosen):
            until = chosen[i + 1] if i + 1 < len(chosen) else len(path.steps)
            together = [u for u in differing if t <= u < until]
            share = sign * (values[i] - values[i + 1]) / len(together)
            alone = sign * (self._value(self._swap(side, t)) - path.return_)
            for u in together:
                found.append(
                    self._deviation(path, side, u, share, alone if u == t else math.nan, len(together), measure)
                )
        return tuple(found)

    def _deviation(
        self, path: Path, side: Side, t: int, share: float, alone: float, pooled: int, measure: Measure
    ) -> Deviation:
        moves = path.moves[:t]
        base, compressed = self._known["base"][moves], self._known["compressed"][moves]
        shown = excerpt(base.action, compressed.action)
        kind = divergence_kind(base, compressed, path.transcript.tools, self.env_id)
        return Deviation(t, kind, self._context(path, t, measure), *shown, share, alone, pooled)

    def _context(self, path: Path, t: int, measure: Measure) -> int:
        said = prompt_messages(path.transcript.messages, path.steps, t)
        return measure(Conversation(said, path.transcript.tools))

    # Inside

    def _start(self, steps: Iterable[Step] = (), **options: object) -> Start:
        start = Start(self.env_id, self.seed, tuple(steps), sampling_seed=self._sampling_seed)
        return replace(start, **options)  # type: ignore[arg-type]

    def _sent(self, starts: list[Start]) -> list[Start]:
        self._under_way += len(starts)
        return starts


def _other(side: Side) -> Side:
    return "compressed" if side == "base" else "base"


def _as_step(decision: Decision) -> Step:
    """What a decision would have been recorded as."""
    full = decision.finish == "context"
    return Step("" if full else decision.action, math.nan, decision.finish)


def _asked(finished: Finished) -> int:
    given = len(finished.start.steps)
    return len(finished.asked) + max(0, finished.episode.length - given)

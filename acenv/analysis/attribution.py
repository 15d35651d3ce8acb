"""What each decision of a compressed model cost: its share of the return that was lost.

The estimator is exact for policies that always decide alike in the same conversation (greedy decoding, or draws that
hang on seed and step alone). Let ``z_0 … z_T`` be the states on the compressed model's path, ``c_t`` its decisions, and
``V(z)`` the return of the episode if the *base* takes over in state ``z`` and plays to the end. The share of step t is

    share_t = V(z_t) - V(z_{t+1})

the return that even the base could not win back after this one decision. The shares telescope: their sum is
``V(z_0) - V(z_T)``, the base's return minus the compressed model's, exactly. This is the performance difference lemma
(Kakade and Langford, *Approximately Optimal Approximate Reinforcement Learning*, ICML 2002, lemma 6.1): the difference
of two policies' returns is the sum of one's advantages along the other's path. A decision that both models take alike
has the share 0, and needs no rollout.

What is assumed:

* A policy decides alike whenever it is asked the same: then decisions that are known are not asked for again, and the
  figures of one episode have no error of their own. Sampled policies of acenv draw from a generator seeded by episode
  and step, so this holds for them too: base and compressed model share their draws (common random numbers), and a
  figure is that of one draw; ``replicates`` average over more. Where a server answers otherwise the second time, or
  half precision turns a close decision in another batch, a share has that noise in it; their sum still is the loss.
* An environment repeats itself: branches begin in a snapshot or repeat the actions, and an episode in which the same
  actions bring another reward or another text is excluded, with the reason.
* A price belongs to a decision *given what stands before it and that the base goes on behind it*. It is no price of the
  same mistake elsewhere, and a mistake that only makes a later one possible is priced where the base can no longer
  make up for it.

Intervals are over episodes (see :mod:`acenv.analysis.shares`): what other tasks of the same environments would show.

Beside it stand what depends on the order less, or in another way:

* the *other order*: along the base's path, with the compressed model taking over at step t. It sums to the loss too;
  an average of both orders is a Shapley value over these two orders, not over all;
* *alone*: on the compressed model's path, what mending this one decision would bring back; on the base's path, what
  this one decision of the compressed model would cost. These do not sum to anything.

Source of the single-step counterfactual: difference rewards, Wolpert and Tumer (Advances in Complex Systems 4, 2001).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from acenv.analysis.deviations import Deviation, Effort, EpisodeAttribution, Excluded, episode_from_dict
from acenv.analysis.divergence import DIVERGENCES
from acenv.analysis.records import to_jsonable
from acenv.analysis.shares import NEGLIGIBLE, Group, group_deviations, mean_loss, range_name, step_name
from acenv.analysis.statistics import Interval

__all__ = ["Attribution", "Deviation", "Effort", "EpisodeAttribution", "Excluded", "Group"]

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Attribution:
    """What the decisions of a compressed model cost.

    Attributes:
        base: Name of the original model.
        compressed: Name of the compressed one.
        episodes: Those that both finished.
        excluded: Those that one did not finish, or that did not repeat.
        unit: Of context lengths: ``"tokens"`` or ``"characters"``.
        max_branches: Branches a path, at most; ``None`` for no bound.
        replicates: Draws of each episode.
        sampled: Whether a policy draws its tokens. Else nothing is random but the choice of tasks, and the figures of
            one episode have no sampling error at all.
        confidence: Coverage of the intervals.
        effort: What it took.
    """

    base: str
    compressed: str
    episodes: tuple[EpisodeAttribution, ...]
    excluded: tuple[Excluded, ...] = ()
    unit: str = "tokens"
    max_branches: int | None = None
    replicates: int = 1
    sampled: bool = False
    confidence: float = 0.95
    effort: Effort = field(default_factory=Effort)

    def loss(self) -> Interval:
        """Mean return lost an episode; each environment has the same weight.

        Raises:
            ValueError: No episode was finished by both.
        """
        return mean_loss(self.episodes, self.confidence)

    def by_kind(self) -> tuple[Group, ...]:
        """What each kind of differing decision cost, the most expensive first."""
        groups = group_deviations(self.episodes, lambda e, d: d.kind, DIVERGENCES, confidence=self.confidence)
        return tuple(sorted((g for g in groups if g.differing), key=lambda g: -g.cost.estimate))

    def by_environment(self) -> tuple[Group, ...]:
        """What the decisions in each environment cost, the most expensive first.

        Here the cost is a mean over the environment's own episodes; the share is that of the loss over all.
        """
        groups = group_deviations(
            self.episodes,
            lambda e, d: e.env_id,
            dict.fromkeys(e.env_id for e in self.episodes),
            (e.env_id for e in self.episodes for _ in e.contexts),
            confidence=self.confidence,
        )
        own = {g.name: self.only(g.name).loss() for g in groups}
        groups = tuple(replace(g, cost=own[g.name], other_order=own[g.name]) for g in groups)
        return tuple(sorted(groups, key=lambda g: -g.cost.estimate))

    def only(self, env_id: str) -> Attribution:
        """The part about one environment, whose kinds, contexts and steps are to be seen by themselves."""
        return replace(
            self,
            episodes=tuple(e for e in self.episodes if e.env_id == env_id),
            excluded=tuple(e for e in self.excluded if e.env_id == env_id),
        )

    def by_context(self) -> tuple[Group, ...]:
        """What decisions cost by the length of the conversation before them, the shortest first."""
        lengths = sorted(c for e in self.episodes for c in (*e.contexts, *(d.context for d in e.base_path)))
        return group_deviations(
            self.episodes,
            lambda e, d: range_name(d.context),
            dict.fromkeys(map(range_name, lengths)),
            (range_name(c) for e in self.episodes for c in e.contexts),
            confidence=self.confidence,
        )

    def by_step(self) -> tuple[Group, ...]:
        """What decisions cost by their number in the episode, the first first."""
        longest = max((max(len(e.contexts), e.base_length) for e in self.episodes), default=0)
        return group_deviations(
            self.episodes,
            lambda e, d: step_name(d.step),
            dict.fromkeys(map(step_name, range(longest))),
            (step_name(t) for e in self.episodes for t in range(len(e.contexts))),
            confidence=self.confidence,
        )

    def sentences(self) -> tuple[str, ...]:
        """What was found, in plain words."""
        if not self.episodes:
            return (f"No episode was finished by both {self.base} and {self.compressed}: there is nothing to explain.",)
        parted = [e for e in self.episodes if e.first is not None]
        loss = self.loss()
        many = len(self.episodes)
        found = [
            f"{self.compressed} leaves the path of {self.base} in {len(parted)} of {many} episodes, and loses "
            f"{_with_bounds(loss)} of the return an episode."
        ]
        if loss.estimate > NEGLIGIBLE:
            kinds = [g for g in self.by_kind() if g.cost.estimate > NEGLIGIBLE]
            found += [f"The largest part goes through {_through(kinds[0])}."] if kinds else []
            if len(kinds) > 1:
                found.append(
                    f"Then come {', '.join(f'{_plural(g.name)} ({g.share.estimate:.0%})' for g in kinds[1:4])}."
                )
            worlds = self.by_environment()
            if len(worlds) > 1:
                found.append(
                    f"{worlds[0].name} loses most: {_with_bounds(worlds[0].cost)} an episode, "
                    f"{worlds[0].share.estimate:.0%} of the whole loss."
                )
            places = [g for g in self.by_context() if g.decisions]
            if len(places) > 1:
                worst = max(places, key=lambda g: g.cost.estimate)
                found.append(
                    f"{worst.share.estimate:.0%} is lost where the conversation is {worst.name} {self.unit} long: "
                    f"{worst.differing} of {worst.decisions} decisions differ there."
                )
        if self.sampled and self.replicates == 1:
            found.append(
                "The policies draw their tokens, and this is one draw of each episode; replicates average over more."
            )
        if pooled := sum(e.truncated for e in self.episodes):
            found.append(
                f"In {pooled} episodes more decisions differ than branches were allowed (max_branches = "
                f"{self.max_branches}); there neighbours share a loss evenly."
            )
        if self.excluded:
            found.append(
                f"{len(self.excluded)} episodes are in no figure, the first because: {self.excluded[0].reason}."
            )
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """As strict JSON takes it; the aggregates are in it for readers, and computed anew by :meth:`from_dict`."""
        record: dict[str, Any] = to_jsonable(self)
        return {
            "format": FORMAT,
            **record,
            "summary": {
                "loss": to_jsonable(self.loss()) if self.episodes else None,
                "kinds": to_jsonable(self.by_kind()),
                "environments": to_jsonable(self.by_environment()),
                "contexts": to_jsonable(self.by_context()),
                "steps": to_jsonable(self.by_step()),
                "sentences": list(self.sentences()),
            },
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Attribution:
        """The attribution that :meth:`to_dict` wrote.

        Raises:
            ValueError: It is something else; the message says what is wrong.
        """
        try:
            if record["format"] != FORMAT:
                raise ValueError(f"format {record['format']!r} is not one that this version reads ({FORMAT})")
            return cls(
                base=str(record["base"]),
                compressed=str(record["compressed"]),
                episodes=tuple(episode_from_dict(e) for e in record["episodes"]),
                excluded=tuple(Excluded(**e) for e in record["excluded"]),
                unit=str(record["unit"]),
                max_branches=record["max_branches"],
                replicates=int(record["replicates"]),
                sampled=bool(record["sampled"]),
                confidence=float(record["confidence"]),
                effort=Effort(**record["effort"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no attribution: {type(error).__name__}: {error}") from error


def _with_bounds(value: Interval) -> str:
    bounds = "" if math.isnan(value.low) else f" [{value.low:.3f}, {value.high:.3f}]"
    return f"{value.estimate:.3f}{bounds}"


def _through(group: Group) -> str:
    share = group.share
    bounds = "" if math.isnan(share.low) else f" [{share.low:.0%}, {share.high:.0%}]"
    return f"{_plural(group.name)}: {share.estimate:.0%}{bounds} in {group.differing} decisions"


def _plural(kind: str) -> str:
    return {
        "stopped early": "actions that stop early",
        "went on": "actions that go on where the base ends",
        "cut off": "actions that are cut off",
        "syntax": "syntax",
        "text": "other text",
    }.get(kind, f"{kind}s")

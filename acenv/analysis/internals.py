"""What a replay finds: the internals of two models by episode, by decision and by kind of token, and their means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from acenv.analysis.comparison import OVERALL
from acenv.analysis.kinds import KINDS
from acenv.analysis.records import from_number, to_jsonable
from acenv.analysis.statistics import Floats

Pair = tuple[float, float]


class NotFiniteError(ValueError):
    """A model computed infinities or NaN, so that it has no internals to compare."""

    def __init__(self, what: str) -> None:
        """Say what is not finite, such as ``"logits of 'gptq'"``."""
        super().__init__(
            f"{what} are not all finite: the model is broken, or its precision overflows (try float32 or bfloat16)"
        )


@dataclass(frozen=True, slots=True)
class KindInternals:
    """How far two models are apart on the tokens of one kind (see :mod:`acenv.analysis.kinds`).

    Attributes:
        tokens: How many there are.
        kl: Mean of KL(base || compressed), in nats.
        flips: Share of tokens for which the compressed model has another favourite than the base.
        energy_shift: Mean of ``|E_base - E_compressed|``.
        energy: Mean energies, (base, compressed).
        rbo: Mean rank-biased overlap.
        jaccard: Mean overlap of the two top-k sets, by k.
        kendall: Mean tau-b on the base's top k, by k.
        spearman: Mean rho on the base's top k, by k.
    """

    tokens: int
    kl: float
    flips: float
    energy_shift: float
    energy: Pair = (math.nan, math.nan)
    rbo: float = math.nan
    jaccard: Mapping[int, float] = field(default_factory=dict)
    kendall: Mapping[int, float] = field(default_factory=dict)
    spearman: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> KindInternals:
        """The inverse of what ``to_jsonable`` writes."""
        return cls(**_numbers(data, ("kl", "flips", "energy_shift", "rbo")))


@dataclass(frozen=True, slots=True)
class DecisionInternals:
    """How far two models are apart on one action.

    Attributes:
        turn: Which of the assistant's messages, counted from 0.
        tokens: Its tokens.
        kl: Mean of KL(base || compressed), in nats.
        flips: Tokens for which the compressed model has another favourite: it would have left the text at the first.
        first_flip: Number of that token in the action; ``None`` where both models agree to the end.
        first_kind: What that token is; empty likewise.
        energy_shift: Mean of ``|E_base - E_compressed|``.
        energy: Mean energies, (base, compressed).
        rbo: Mean rank-biased overlap.
        jaccard: Mean overlap of the two top-k sets, by k.
        kendall: Mean tau-b on the base's top k, by k.
        spearman: Mean rho on the base's top k, by k.
    """

    turn: int
    tokens: int
    kl: float
    flips: int
    first_flip: int | None
    first_kind: str
    energy_shift: float = math.nan
    energy: Pair = (math.nan, math.nan)
    rbo: float = math.nan
    jaccard: Mapping[int, float] = field(default_factory=dict)
    kendall: Mapping[int, float] = field(default_factory=dict)
    spearman: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DecisionInternals:
        """The inverse of what ``to_jsonable`` writes."""
        return cls(**_numbers(data, ("kl", "energy_shift", "rbo")))


def _numbers(data: Mapping[str, Any], plain: Sequence[str]) -> dict[str, Any]:
    """The numbers of a record as they were before they became JSON; what is not there stays away."""
    values = dict(data)
    values |= {name: from_number(data[name]) for name in plain if name in data}
    for name in ("erank_logits", "erank_hidden", "energy"):
        if name in data:
            values[name] = _pair(data[name])
    for name in ("jaccard", "kendall", "spearman"):
        if name in data:
            values[name] = {int(k): from_number(v) for k, v in data[name].items()}
    return values


def _pair(data: Sequence[float | None]) -> Pair:
    base, compressed = data
    return from_number(base), from_number(compressed)


@dataclass(frozen=True, slots=True)
class EpisodeInternals:
    """The internals of both models on one transcript; pairs are (base, compressed).

    Attributes:
        tokens: Tokens of the assistant's messages; each has the outputs of the position that predicts it.
        erank_logits: Effective rank (of Diff-eRank) of the matrix tokens x vocabulary; Diff-eRank is the difference.
            ``nan`` where the matrix is too large to hold, and the model does more than multiply to make it.
        erank_hidden: The same of the last hidden states, tokens x width.
        jaccard: Mean overlap of the two models' top-k sets, by k.
        kendall: Mean tau-b on the base's top k, by k; tokens where it is undefined are left out.
        spearman: Mean rho on the base's top k, by k; likewise.
        energy: Mean energies.
        energy_shift: Mean of ``|E_base - E_compressed|`` over the tokens.
        kl: Mean of KL(base || compressed) over the tokens, in nats.
        top1_agreement: Share of tokens for which both models have the same favourite.
        rbo: Mean rank-biased overlap of the two models' 20 likeliest tokens.
        kinds: The tokens by what they are.
        decisions: The actions, in order.
        erank_layers: Effective rank of the hidden states behind each layer, in order; empty where the policy does not
            tell.
    """

    env_id: str
    seed: int
    tokens: int
    erank_logits: Pair
    erank_hidden: Pair
    jaccard: Mapping[int, float]
    kendall: Mapping[int, float]
    spearman: Mapping[int, float]
    energy: Pair
    energy_shift: float
    kl: float
    top1_agreement: float
    rbo: float = math.nan
    kinds: Mapping[str, KindInternals] = field(default_factory=dict)
    decisions: tuple[DecisionInternals, ...] = ()
    erank_layers: tuple[Pair, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EpisodeInternals:
        """The inverse of what :meth:`Replay.to_dict` writes for an episode."""
        values = _numbers(data, ("energy_shift", "kl", "top1_agreement"))
        # Earlier versions did not write these.
        values["rbo"] = from_number(data.get("rbo"))
        values["kinds"] = {name: KindInternals.from_dict(part) for name, part in data.get("kinds", {}).items()}
        values["decisions"] = tuple(DecisionInternals.from_dict(part) for part in data.get("decisions", ()))
        values["erank_layers"] = tuple(_pair(pair) for pair in data.get("erank_layers", ()))
        return cls(**values)


@dataclass(frozen=True, slots=True)
class InternalsSummary:
    """Means over the episodes of an environment, or over the environments (``env_id`` is ``"overall"``).

    Every episode of an environment counts the same, and so does every environment overall. Effective ranks are averaged
    as entropies, exp(mean log erank), as Diff-eRank is defined for a data set. The other attributes are those of
    :class:`EpisodeInternals`.
    """

    env_id: str
    episodes: int
    tokens: int
    erank_logits: Pair
    erank_hidden: Pair
    jaccard: Mapping[int, float]
    kendall: Mapping[int, float]
    spearman: Mapping[int, float]
    energy: Pair
    energy_shift: float
    kl: float
    top1_agreement: float
    rbo: float = math.nan
    kinds: Mapping[str, KindInternals] = field(default_factory=dict)
    erank_layers: tuple[Pair, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplaySummary:
    """The summary of a replay: overall, and by environment in the order of their ids."""

    overall: InternalsSummary
    environments: tuple[InternalsSummary, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of the two models' values in shared bins.

    Attributes:
        edges: Edges of the bins, one more than there are bins.
        base: Number of tokens in each bin, of the base.
        compressed: The same of the compressed model.
    """

    edges: tuple[float, ...]
    base: tuple[int, ...]
    compressed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """What came out of running two models on the same transcripts.

    Attributes:
        base: Name of the original model.
        compressed: Name of the compressed model.
        episodes: The internals on each transcript.
        energy_histogram: Energies of all tokens.
        skipped: Transcripts of which a model's context holds no token of an answer.
    """

    base: str
    compressed: str
    episodes: tuple[EpisodeInternals, ...]
    energy_histogram: Histogram
    skipped: int = 0

    def summary(self) -> ReplaySummary:
        """Means by environment and overall."""
        environments = tuple(
            _summarise(env_id, [e for e in self.episodes if e.env_id == env_id])
            for env_id in sorted({e.env_id for e in self.episodes})
        )
        return ReplaySummary(_summarise(OVERALL, environments), environments)

    def to_dict(self) -> dict[str, Any]:
        """As strict JSON: numbers that are ``nan`` become ``None``, and every ``k`` becomes text."""
        data: dict[str, Any] = to_jsonable(self)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Replay:
        """The inverse of :meth:`to_dict`.

        Raises:
            ValueError: The data do not describe a replay.
        """
        try:
            return cls(
                base=data["base"],
                compressed=data["compressed"],
                episodes=tuple(EpisodeInternals.from_dict(e) for e in data["episodes"]),
                energy_histogram=Histogram(**{k: tuple(v) for k, v in data["energy_histogram"].items()}),
                skipped=data["skipped"],
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"this is not a replay as to_dict() writes it: {error!r}") from error


def _summarise(env_id: str, parts: Sequence[EpisodeInternals] | Sequence[InternalsSummary]) -> InternalsSummary:
    return InternalsSummary(
        env_id=env_id,
        episodes=sum(part.episodes if isinstance(part, InternalsSummary) else 1 for part in parts),
        tokens=sum(part.tokens for part in parts),
        erank_logits=_mean_erank([part.erank_logits for part in parts]),
        erank_hidden=_mean_erank([part.erank_hidden for part in parts]),
        jaccard=_mean_by_k([part.jaccard for part in parts]),
        kendall=_mean_by_k([part.kendall for part in parts]),
        spearman=_mean_by_k([part.spearman for part in parts]),
        energy=(mean_of([part.energy[0] for part in parts]), mean_of([part.energy[1] for part in parts])),
        energy_shift=mean_of([part.energy_shift for part in parts]),
        kl=mean_of([part.kl for part in parts]),
        top1_agreement=mean_of([part.top1_agreement for part in parts]),
        rbo=mean_of([part.rbo for part in parts]),
        kinds={
            kind: _mean_kind([part.kinds[kind] for part in parts if kind in part.kinds])
            for kind in KINDS
            if any(kind in part.kinds for part in parts)
        },
        erank_layers=_mean_layers([part.erank_layers for part in parts]),
    )


def _mean_kind(parts: Sequence[KindInternals]) -> KindInternals:
    return KindInternals(
        tokens=sum(part.tokens for part in parts),
        kl=mean_of([part.kl for part in parts]),
        flips=mean_of([part.flips for part in parts]),
        energy_shift=mean_of([part.energy_shift for part in parts]),
        energy=(mean_of([part.energy[0] for part in parts]), mean_of([part.energy[1] for part in parts])),
        rbo=mean_of([part.rbo for part in parts]),
        jaccard=_mean_by_k([part.jaccard for part in parts]),
        kendall=_mean_by_k([part.kendall for part in parts]),
        spearman=_mean_by_k([part.spearman for part in parts]),
    )


def mean_of(values: Sequence[float] | Floats) -> float:
    """The mean of the numbers that are defined; ``nan`` if none is."""
    numbers = np.asarray(values, dtype=np.float64)
    defined = numbers[~np.isnan(numbers)].tolist()
    return math.fsum(defined) / len(defined) if defined else math.nan


def _mean_erank(pairs: Sequence[Pair]) -> Pair:
    base, compressed = ([_log(pair[side]) for pair in pairs] for side in (0, 1))
    return math.exp(mean_of(base)), math.exp(mean_of(compressed))


def _log(rank: float) -> float:
    return math.log(rank) if rank > 0 else math.nan


def _mean_layers(parts: Sequence[Sequence[Pair]]) -> tuple[Pair, ...]:
    known = [part for part in parts if part]
    count = min(map(len, known), default=0)
    return tuple(_mean_erank([part[i] for part in known]) for i in range(count))


def _mean_by_k(parts: Sequence[Mapping[int, float]]) -> dict[int, float]:
    return {k: mean_of([part[k] for part in parts if k in part]) for k in sorted({k for part in parts for k in part})}

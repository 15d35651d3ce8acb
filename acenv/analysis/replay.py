"""Both models on the same transcripts: what compression changed inside, position by position.

An evaluation compares two models on texts that differ from the first action on. Here both read the same transcripts
(the original model's own, as a rule) by teacher forcing, so every token of an answer has a pair of next-token
distributions and a pair of hidden states, and a difference can only come from the weights. One conversation of both
models is held at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from acenv.analysis.comparison import OVERALL
from acenv.analysis.energy import energy, kl_divergence, top1_agreement
from acenv.analysis.ranking import TOP_K, rank_agreement
from acenv.analysis.records import from_number, to_jsonable
from acenv.analysis.spectrum import effective_rank
from acenv.analysis.statistics import Floats
from acenv.types import Transcript

if TYPE_CHECKING:
    import numpy.typing as npt

    from acenv.types import Scorer, TokenOutputs

BINS = 60
"""Bins of the energy histogram."""

Pair = tuple[float, float]


class NotFiniteError(ValueError):
    """A model computed infinities or NaN, so that it has no internals to compare."""


class TranscriptSource(Protocol):
    """What holds transcripts, such as ``acenv.runs.Results``."""

    def transcripts(self) -> Iterator[Transcript]:
        """The transcripts of the scored episodes, one at a time."""
        ...


@dataclass(frozen=True, slots=True)
class EpisodeInternals:
    """The internals of both models on one transcript; pairs are (base, compressed).

    Attributes:
        tokens: Tokens of the assistant's messages; each has the outputs of the position that predicts it.
        erank_logits: Effective rank (of Diff-eRank) of the matrix tokens x vocabulary; Diff-eRank is the difference.
        erank_hidden: The same of the last hidden states, tokens x width.
        jaccard: Mean overlap of the two models' top-k sets, by k.
        kendall: Mean tau-b on the base's top k, by k; tokens where it is undefined are left out.
        spearman: Mean rho on the base's top k, by k; likewise.
        energy: Mean energies.
        energy_shift: Mean of ``|E_base - E_compressed|`` over the tokens.
        kl: Mean of KL(base || compressed) over the tokens, in nats.
        top1_agreement: Share of tokens for which both models have the same favourite.
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

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EpisodeInternals:
        """The inverse of what :meth:`Replay.to_dict` writes for an episode."""
        values = dict(data)
        for name in ("erank_logits", "erank_hidden", "energy"):
            base, compressed = data[name]
            values[name] = (from_number(base), from_number(compressed))
        for name in ("jaccard", "kendall", "spearman"):
            values[name] = {int(k): from_number(v) for k, v in data[name].items()}
        for name in ("energy_shift", "kl", "top1_agreement"):
            values[name] = from_number(data[name])
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


def replay(
    transcripts: Iterable[Transcript] | TranscriptSource,
    base: Scorer,
    compressed: Scorer,
    *,
    limit: int | None = None,
) -> Replay:
    """Run two models on the same transcripts and compare their logits and hidden states.

    Args:
        transcripts: Results of the original model, or any transcripts.
        base: The original model's policy; it must be able to ``score``.
        compressed: The compressed model's policy, with the same tokenizer.
        limit: At most so many transcripts, taken from each environment in turn.

    Returns:
        The internals by episode. Memory: the logits of one conversation of each model at a time.

    Raises:
        ValueError: There are no transcripts, a policy cannot score, the tokenizers or vocabularies differ, or a model's
            outputs are not finite.
    """
    names = _name(base), _name(compressed)
    for policy, name in zip((base, compressed), names, strict=True):
        if not callable(getattr(policy, "score", None)):
            raise ValueError(
                f"policy {name!r} cannot be replayed: it has no score() that gives logits and hidden states. "
                "Use a policy that holds the weights, such as 'hf:PATH'"
            )
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, or None for all transcripts, not {limit}")
    source = transcripts if isinstance(transcripts, Iterable) else transcripts.transcripts()
    chosen = _in_turn(list(source), limit)
    if not chosen:
        raise ValueError("there is no transcript to replay: the run has no finished episode")
    conversations = [t.conversation for t in chosen]
    base_outputs = base.score(conversations, capture=("logits", "hidden"))
    compressed_outputs = compressed.score(conversations, capture=("logits", "hidden"))
    episodes: list[EpisodeInternals] = []
    energies: list[tuple[Floats, Floats]] = []
    for transcript in chosen:
        ours = _next(base_outputs, names[0], transcript)
        theirs = _next(compressed_outputs, names[1], transcript)
        _refuse_different_tokens(ours, theirs, names, transcript)
        if len(ours.token_ids):
            pair = energy(ours.logits), energy(theirs.logits)
            episodes.append(_internals(transcript, ours, theirs, pair))
            energies.append(pair)
        del ours, theirs  # or they would stay in memory while the next ones are made
    if not episodes:
        raise ValueError(f"no token of an answer in {len(chosen)} transcript(s): the models' context is too short")
    return Replay(*names, tuple(episodes), _histogram(energies), skipped=len(chosen) - len(episodes))


@dataclass(frozen=True, slots=True)
class _Outputs:
    """Outputs that were looked at: finite, one row for each token."""

    token_ids: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]
    hidden: npt.NDArray[np.float32]


def _name(policy: object) -> str:
    return str(getattr(policy, "name", type(policy).__name__))


def _refuse_different_tokens(ours: _Outputs, theirs: _Outputs, names: tuple[str, str], transcript: Transcript) -> None:
    where = f"{transcript.env_id} seed {transcript.seed}"
    if not np.array_equal(ours.token_ids, theirs.token_ids):
        raise ValueError(
            f"{names[0]!r} and {names[1]!r} split {where} into different tokens ({len(ours.token_ids)} and "
            f"{len(theirs.token_ids)}): a replay needs two models with the same tokenizer, chat template and context"
        )
    if ours.logits.shape != theirs.logits.shape:
        raise ValueError(
            f"{names[0]!r} and {names[1]!r} give logits of shapes {ours.logits.shape} and {theirs.logits.shape} on "
            f"{where}: a replay needs two models with the same vocabulary"
        )


def _internals(
    transcript: Transcript, base: _Outputs, compressed: _Outputs, energies: tuple[Floats, Floats]
) -> EpisodeInternals:
    agreement = rank_agreement(base.logits, compressed.logits, TOP_K)
    return EpisodeInternals(
        env_id=transcript.env_id,
        seed=transcript.seed,
        tokens=len(base.token_ids),
        erank_logits=(effective_rank(base.logits), effective_rank(compressed.logits)),
        erank_hidden=(effective_rank(base.hidden), effective_rank(compressed.hidden)),
        jaccard={k: _mean(a.jaccard) for k, a in agreement.items()},
        kendall={k: _mean(a.kendall) for k, a in agreement.items()},
        spearman={k: _mean(a.spearman) for k, a in agreement.items()},
        energy=(_mean(energies[0]), _mean(energies[1])),
        energy_shift=_mean(np.abs(energies[0] - energies[1])),
        kl=_mean(kl_divergence(base.logits, compressed.logits)),
        top1_agreement=float(top1_agreement(base.logits, compressed.logits).mean()),
    )


def _next(outputs: Iterator[TokenOutputs], name: str, transcript: Transcript) -> _Outputs:
    where = f"{transcript.env_id} seed {transcript.seed}"
    found = next(outputs, None)
    if found is None:
        raise ValueError(f"policy {name!r} scored too few conversations: nothing came for {where}")
    return _Outputs(
        found.token_ids,
        _usable(found.logits, len(found.token_ids), f"logits of {name!r} on {where}"),
        _usable(found.hidden, len(found.token_ids), f"hidden states of {name!r} on {where}"),
    )


def _usable(matrix: npt.NDArray[np.float32] | None, tokens: int, what: str) -> npt.NDArray[np.float32]:
    if matrix is None or matrix.ndim != 2 or len(matrix) != tokens or not matrix.shape[1]:
        shape = None if matrix is None else matrix.shape
        raise ValueError(f"{what} must have one row for each of {tokens} tokens, but their shape is {shape}")
    if not np.isfinite(matrix).all():
        raise NotFiniteError(
            f"{what} are not all finite: the model is broken, or its precision overflows (try float32 or bfloat16)"
        )
    return matrix


def _in_turn(transcripts: Sequence[Transcript], limit: int | None) -> list[Transcript]:
    """The first ``limit`` transcripts, one of each environment in turn, so that none is left out."""
    if limit is None or limit >= len(transcripts):
        return list(transcripts)
    seen: dict[str, int] = {}
    ranked = []
    for position, transcript in enumerate(transcripts):
        seen[transcript.env_id] = seen.get(transcript.env_id, 0) + 1
        ranked.append((seen[transcript.env_id], position))
    return [transcripts[position] for _, position in sorted(ranked)[:limit]]


def _histogram(energies: Sequence[tuple[Floats, Floats]]) -> Histogram:
    base, compressed = (np.concatenate([pair[side] for pair in energies]) for side in (0, 1))
    edges = np.histogram_bin_edges(np.concatenate([base, compressed]), bins=BINS)
    counts = [np.histogram(side, bins=edges)[0].tolist() for side in (base, compressed)]
    return Histogram(tuple(edges.tolist()), tuple(counts[0]), tuple(counts[1]))


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
        energy=(_mean([part.energy[0] for part in parts]), _mean([part.energy[1] for part in parts])),
        energy_shift=_mean([part.energy_shift for part in parts]),
        kl=_mean([part.kl for part in parts]),
        top1_agreement=_mean([part.top1_agreement for part in parts]),
    )


def _mean(values: Sequence[float] | Floats) -> float:
    """The mean of the numbers that are defined; ``nan`` if none is."""
    defined = [v for v in values if not math.isnan(v)]
    return math.fsum(defined) / len(defined) if defined else math.nan


def _mean_erank(pairs: Sequence[Pair]) -> Pair:
    base, compressed = ([math.log(pair[side]) for pair in pairs] for side in (0, 1))
    return math.exp(_mean(base)), math.exp(_mean(compressed))


def _mean_by_k(parts: Sequence[Mapping[int, float]]) -> dict[int, float]:
    return {k: _mean([part[k] for part in parts]) for k in parts[0]}

"""Both models on the same transcripts: what compression changed inside, position by position.

An evaluation compares two models on texts that differ from the first action on. Here both read the same transcripts
(the original model's own, as a rule) by teacher forcing, so every token of an answer has a pair of next-token
distributions and a pair of hidden states, and a difference can only come from the weights. One conversation of both
models is held at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from acenv.analysis.energy import energy, kl_divergence
from acenv.analysis.internals import (
    DecisionInternals,
    EpisodeInternals,
    Histogram,
    InternalsSummary,
    KindInternals,
    Replay,
    ReplaySummary,
    mean_of,
)
from acenv.analysis.kinds import COMMANDS, KINDS, Kind, mark
from acenv.analysis.ranking import TOP_K, rank_agreement, rank_biased_overlap, top_k
from acenv.analysis.spectrum import effective_rank
from acenv.analysis.statistics import Floats
from acenv.types import Transcript

if TYPE_CHECKING:
    import numpy.typing as npt

    from acenv.types import Scorer, TokenOutputs

__all__ = [
    "BINS",
    "EpisodeInternals",
    "Histogram",
    "InternalsSummary",
    "NotFiniteError",
    "Replay",
    "ReplaySummary",
    "TranscriptSource",
    "replay",
    "token_kinds",
]

BINS = 60
"""Bins of the energy histogram."""


class NotFiniteError(ValueError):
    """A model computed infinities or NaN, so that it has no internals to compare."""


class TranscriptSource(Protocol):
    """What holds transcripts, such as ``acenv.runs.Results``."""

    def transcripts(self) -> Iterator[Transcript]:
        """The transcripts of the scored episodes, one at a time."""
        ...


def replay(
    transcripts: Iterable[Transcript] | TranscriptSource,
    base: Scorer,
    compressed: Scorer,
    *,
    limit: int | None = None,
    tokens: Path | None = None,
) -> Replay:
    """Run two models on the same transcripts and compare their logits and hidden states.

    Args:
        transcripts: Results of the original model, or any transcripts.
        base: The original model's policy; it must be able to ``score``.
        compressed: The compressed model's policy, with the same tokenizer.
        limit: At most so many transcripts, taken from each environment in turn.
        tokens: A file to write what is known of every token, a line a transcript: ``env_id``, ``seed`` and ``turns``,
            each with its number, and ``tokens`` (texts), ``kl``, ``flip`` and ``kind`` side by side.

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
    with ExitStack() as stack:
        file = stack.enter_context(tokens.open("w", encoding="utf-8")) if tokens is not None else None
        for transcript in chosen:
            ours = _next(base_outputs, names[0], transcript)
            theirs = _next(compressed_outputs, names[1], transcript)
            _refuse_different_tokens(ours, theirs, names, transcript)
            if len(ours.token_ids):
                found = _compare(transcript, ours, theirs)
                episodes.append(_internals(transcript, ours, theirs, found))
                energies.append(found.energies)
                if file is not None:
                    file.write(json.dumps(_token_record(transcript, ours, found), ensure_ascii=False) + "\n")
            del ours, theirs  # or they would stay in memory while the next ones are made
    if not episodes:
        raise ValueError(f"no token of an answer in {len(chosen)} transcript(s): the models' context is too short")
    return Replay(*names, tuple(episodes), _histogram(energies), skipped=len(chosen) - len(episodes))


@dataclass(frozen=True, slots=True)
class _Outputs:
    """Outputs that were looked at: finite, one row for each token."""

    token_ids: npt.NDArray[np.int64]
    turns: npt.NDArray[np.int64]
    texts: Sequence[str]
    logits: npt.NDArray[np.float32]
    hidden: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Tokens:
    """What is known of every token, all of length ``[T]``."""

    kinds: list[Kind]
    kl: Floats
    flips: npt.NDArray[np.bool_]
    energies: tuple[Floats, Floats]


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


def token_kinds(transcript: Transcript, turns: Sequence[int], texts: Sequence[str]) -> list[Kind]:
    """What each of the assistant's tokens is.

    Args:
        transcript: What was said.
        turns: The assistant's message that each token belongs to, counted from 0, shape [T].
        texts: The text of each token, shape [T]; where there is none, every token is plain text.

    Returns:
        Kinds, [T]. A token over two pieces is of the kind of its first letter; the mark that ends a turn is ``"end"``.
    """
    if not texts:
        return ["text"] * len(turns)
    said = [message["content"].strip() for message in transcript.messages if message["role"] == "assistant"]
    found: list[Kind] = []
    commands = transcript.env_id in COMMANDS
    place, turn, kinds = 0, -1, list[Kind]()
    for number, text in zip(turns, texts, strict=True):
        if number != turn:
            turn, place = number, 0
            spans = mark(said[turn], transcript.tools, commands=commands) if turn < len(said) else []
            kinds = [span.kind for span in spans for _ in range(span.end - span.start)]
        letter = place + len(text) - len(text.lstrip())
        found.append(kinds[min(letter, len(kinds) - 1)] if place < len(kinds) else "end")
        place += len(text)
    return found


def _compare(transcript: Transcript, base: _Outputs, compressed: _Outputs) -> _Tokens:
    return _Tokens(
        kinds=token_kinds(transcript, base.turns.tolist(), base.texts),
        kl=kl_divergence(base.logits, compressed.logits),
        flips=base.logits.argmax(axis=1) != compressed.logits.argmax(axis=1),
        energies=(energy(base.logits), energy(compressed.logits)),
    )


def _internals(transcript: Transcript, base: _Outputs, compressed: _Outputs, found: _Tokens) -> EpisodeInternals:
    agreement = rank_agreement(base.logits, compressed.logits, TOP_K)
    shift = np.abs(found.energies[0] - found.energies[1])
    return EpisodeInternals(
        env_id=transcript.env_id,
        seed=transcript.seed,
        tokens=len(base.token_ids),
        erank_logits=(effective_rank(base.logits), effective_rank(compressed.logits)),
        erank_hidden=(effective_rank(base.hidden), effective_rank(compressed.hidden)),
        jaccard={k: mean_of(a.jaccard) for k, a in agreement.items()},
        kendall={k: mean_of(a.kendall) for k, a in agreement.items()},
        spearman={k: mean_of(a.spearman) for k, a in agreement.items()},
        energy=(mean_of(found.energies[0]), mean_of(found.energies[1])),
        energy_shift=mean_of(shift),
        kl=mean_of(found.kl),
        top1_agreement=1.0 - float(found.flips.mean()),
        rbo=mean_of(rank_biased_overlap(top_k(base.logits, max(TOP_K)), top_k(compressed.logits, max(TOP_K)))),
        kinds=_by_kind(found, shift),
        decisions=tuple(_decisions(base.turns, found)),
    )


def _by_kind(found: _Tokens, shift: Floats) -> dict[str, KindInternals]:
    names = np.array(found.kinds)
    chosen = {kind: names == kind for kind in KINDS}
    return {
        kind: KindInternals(
            int(rows.sum()), mean_of(found.kl[rows]), float(found.flips[rows].mean()), mean_of(shift[rows])
        )
        for kind, rows in chosen.items()
        if rows.any()
    }


def _decisions(turns: npt.NDArray[np.int64], found: _Tokens) -> Iterator[DecisionInternals]:
    for turn in np.unique(turns):
        rows = np.flatnonzero(turns == turn)
        flipped = np.flatnonzero(found.flips[rows])
        first = int(flipped[0]) if len(flipped) else None
        yield DecisionInternals(
            turn=int(turn),
            tokens=len(rows),
            kl=mean_of(found.kl[rows]),
            flips=len(flipped),
            first_flip=first,
            first_kind="" if first is None else found.kinds[rows[first]],
        )


def _token_record(transcript: Transcript, base: _Outputs, found: _Tokens) -> dict[str, Any]:
    turns = []
    for turn in np.unique(base.turns):
        rows = np.flatnonzero(base.turns == turn).tolist()
        turns.append(
            {
                "turn": int(turn),
                "tokens": [base.texts[i] for i in rows] if base.texts else [],
                "kl": [round(float(found.kl[i]), 4) for i in rows],
                "flip": [int(found.flips[i]) for i in rows],
                "kind": [found.kinds[i] for i in rows],
            }
        )
    return {"env_id": transcript.env_id, "seed": transcript.seed, "turns": turns}


def _next(outputs: Iterator[TokenOutputs], name: str, transcript: Transcript) -> _Outputs:
    where = f"{transcript.env_id} seed {transcript.seed}"
    found = next(outputs, None)
    if found is None:
        raise ValueError(f"policy {name!r} scored too few conversations: nothing came for {where}")
    return _Outputs(
        found.token_ids,
        found.turns,
        found.texts,
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

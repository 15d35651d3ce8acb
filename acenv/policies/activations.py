"""Rounding of activations as W8A8 and FP8 checkpoints ask for it, at little cost.

Such a checkpoint is not only rounded weights: what goes into each layer is rounded too, with one scale a token. A model
that is loaded with dense weights still has to do that, or it would look better than it is. compressed-tensors does it
in a wrapper around every layer that serves all schemes, and takes several times as long as the layer of a small model.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

_INT8, _E4M3 = (-128.0, 127.0), (-448.0, 448.0)


class TokenRounding:
    """Rounds each token (the last dimension) to 8 bits and back, with a symmetric scale of its own.

    The same operations as compressed-tensors' in the same types, so that the numbers are the same to the bit. Layers
    that read the same tensor, such as queries, keys and values, have it rounded once.
    """

    def __init__(self, kind: str) -> None:
        """Choose the levels.

        Args:
            kind: ``"int"``, or ``"float"`` for e4m3.
        """
        self._low, self._high = _INT8 if kind == "int" else _E4M3
        self._float = kind == "float"
        self._last: tuple[Tensor | None, Tensor | None] = None, None

    def __call__(self, x: Tensor) -> Tensor:
        """Activations ``[..., features]``, rounded."""
        seen, rounded = self._last  # taken and set as a pair, so that threads can share it
        if seen is x and rounded is not None:
            return rounded
        scale = x.abs().amax(-1, keepdim=True).div_((self._high - self._low) / 2)
        scale.clamp_(min=torch.finfo(x.dtype).tiny)
        codes = (x / scale).clamp_(self._low, self._high)
        codes = codes.to(torch.float8_e4m3fn).to(x.dtype) if self._float else codes.round_()
        rounded = codes.mul_(scale)
        self._last = x, rounded
        return rounded


def simplify_forwards(model: Any) -> None:
    """Replace compressed-tensors' wrappers around decompressed layers where a shorter way computes the same.

    Layers whose activations stay as they are get their plain forward back; dynamic rounding of tokens to 8 bits is
    done by :class:`TokenRounding`; what is left (static scales, groups, zero points, outputs) keeps its wrapper.

    Args:
        model: A model whose weights compressed-tensors has decompressed; it is changed.
    """
    roundings = {kind: TokenRounding(kind) for kind in ("int", "float")}
    for module in model.modules():
        scheme = getattr(module, "quantization_scheme", None)
        if scheme is None or scheme.output_activations is not None:
            continue
        inputs = scheme.input_activations
        if inputs is None:
            module.__dict__.pop("forward", None)
        elif isinstance(module, torch.nn.Linear) and _is_dynamic_token(inputs):
            module.forward = MethodType(_rounded_linear(roundings[inputs.type]), module)  # type: ignore[method-assign]


def _is_dynamic_token(inputs: Any) -> bool:
    return bool(inputs.num_bits == 8 and inputs.dynamic is True and inputs.symmetric and inputs.strategy == "token")


def _rounded_linear(rounding: TokenRounding) -> Any:
    def forward(self: torch.nn.Linear, input: Tensor) -> Tensor:
        return linear(rounding(input), self.weight, self.bias)

    return forward

"""GPTQ of a pruned model: what is zero stays zero, and the weights behind it make up for that.

GPTQ moves the error of each column to the columns that are still to come, the pruned weights among them, and these are
no longer zero when their turn comes. As in SparseGPT's joint algorithm (Frantar & Alistarh, 2023, section 3.5), they
become zero nevertheless, and what that costs goes on to the next columns as any other error does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def keeping_zeros() -> Iterator[None]:
    """Let gptqmodel keep the zeros of each layer for the length of a ``with`` block.

    The columns have to be taken in their own order or in that of ``desc_act``; ``act_group_aware`` must be off.
    """
    from gptqmodel.looper import gptq_processor

    plain = gptq_processor.GPTQ
    gptq_processor.GPTQ = _masked_gptq(plain)
    try:
        yield
    finally:
        gptq_processor.GPTQ = plain


def _masked_gptq(plain: Any) -> Any:
    import torch
    from gptqmodel.quantization.quantizer import Quantizer

    class MaskedQuantizer(Quantizer):  # type: ignore[misc]  # the engine has no types
        """Quantises the columns of a matrix one after the other, and knows which of their weights are zero."""

        zeros: Any = None  # bool [rows, columns], columns in the order in which they come
        position = 0

        def find_params(self, x: Any, weight: bool = False) -> None:
            """The scales of a group; weights that will be zero do not count."""
            if self.zeros is not None and self.position:  # the matrix is still as it was at its first column
                x = x.masked_fill(self.zeros[:, self.position : self.position + x.shape[1]], 0)
            super().find_params(x, weight=weight)

        def quantize(self, x: Any) -> Any:
            """The nearest levels; zero where the weight was."""
            quantized = super().quantize(x)
            if self.zeros is None:  # a whole matrix at once, without the moving of errors: zeros are levels
                return quantized
            column = self.zeros[:, self.position : self.position + 1]
            self.position += 1
            return quantized.masked_fill(column, 0)

    class MaskedGPTQ(plain):  # type: ignore[misc]
        """GPTQ of one layer."""

        def create_quantizer(self, name: str) -> Any:
            return MaskedQuantizer(qcfg=self.qcfg, name=name)

        def finalize_hessian(self, target_device: Any = None) -> Any:
            """The last step before the columns: their order is known now."""
            hessian = super().finalize_hessian(target_device=target_device)
            weight = self.clone_module(device=hessian.device)
            order = torch.arange(weight.shape[1], device=hessian.device)
            if self.qcfg.desc_act:
                importance = hessian.diagonal().clone()
                importance[importance == 0] = 1  # as the engine does with inputs that never occur
                order = importance.argsort(descending=True)
            self.quantizer.zeros = (weight == 0)[:, order]
            self.quantizer.position = 0
            return hessian

    return MaskedGPTQ

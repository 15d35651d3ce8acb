"""Options of the methods that store 8 bit weights and round activations to 8 bits too."""

from __future__ import annotations

from dataclasses import dataclass

from acenv.compressors.options import Target, number_text, option

_ALPHA = 0.5


@dataclass(frozen=True, slots=True)
class SmoothQuantOptions:
    """Options of SmoothQuant.

    Attributes:
        alpha: How much of the activations' outliers moves into the weights: none near 0, all near 1.
        weights: How weights become 8 bit: rounded to the nearest as in the paper, or by GPTQ.
    """

    alpha: float = option(_ALPHA, above=0.0, below=1.0)
    weights: str = option("rtn", allowed=("rtn", "gptq"))

    def problem(self) -> str | None:
        """All combinations are possible."""
        return None

    def slug(self) -> str:
        """For example ``w8a8`` or ``w8a8-a0.8-gptq``."""
        alpha = "" if self.alpha == _ALPHA else f"-a{number_text(self.alpha)}"
        return f"w8a8{alpha}{'' if self.weights == 'rtn' else '-gptq'}"

    def target(self) -> Target:
        """256 levels in each row."""
        return Target(bits=8)


@dataclass(frozen=True, slots=True)
class FP8Options:
    """Options of FP8.

    Attributes:
        activations: ``"dynamic"`` rounds activations too, with one scale a token; ``"none"`` leaves them as they are.
    """

    activations: str = option("dynamic", allowed=("dynamic", "none"))

    def problem(self) -> str | None:
        """All values are possible."""
        return None

    def slug(self) -> str:
        """``w8a8`` or ``w8a16``."""
        return "w8a8" if self.activations == "dynamic" else "w8a16"

    def target(self) -> Target:
        """At most 256 levels in each row."""
        return Target(bits=8)

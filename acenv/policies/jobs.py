"""What is asked of a model: a prompt to be continued, and what ends its continuation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from acenv.policies.kv import Span
from acenv.types import FinishReason

BROKEN = "the model computes nan: its weights are broken, or overflow in this dtype"


@dataclass(slots=True, eq=False)
class Job:
    """One prompt on its way through the model.

    Attributes:
        slot: Whose conversation it is; its cache is kept under this number.
        ids: The prompt's tokens, at least one.
        limit: How many tokens may be written, at least one.
        draws: A uniform number per token to write, or ``None`` to be greedy.
        tokens: What the model wrote, without the stop token.
        logprobs: Of each written token, if they are asked for.
        finish: Why it ended.
        error: What went wrong, if anything did.
        done: Whether it has ended.
        span: Where its keys and values lie, while it is under way.
        read: How many tokens lie there.
        begun: Whether reading of the prompt has begun.
    """

    slot: int
    ids: list[int]
    limit: int
    draws: Sequence[float] | None = None
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish: FinishReason = "stop"
    error: str | None = None
    done: bool = False
    span: Span | None = None
    read: int = 0
    begun: bool = False

    @property
    def worst(self) -> int:
        """Tokens that it can come to."""
        return len(self.ids) + self.limit


@dataclass(frozen=True, slots=True)
class Ending:
    """What ends an answer.

    Attributes:
        stop_ids: Tokens.
        text: Says of the tokens written so far whether their text does, if texts matter.
    """

    stop_ids: frozenset[int]
    text: Callable[[Sequence[int]], bool] | None = None

    def take(self, job: Job, token: int, logprob: float | None) -> bool:
        """Add a token to an answer; whether the answer ends with it."""
        if token < 0:
            job.error = BROKEN
            return True
        if token in self.stop_ids:
            return True
        job.tokens.append(token)
        if logprob is not None:
            job.logprobs.append(logprob)
        if self.text is not None and self.text(job.tokens):
            return True
        if len(job.tokens) >= job.limit:
            job.finish = "length"
            return True
        return False


def reason_of(error: Exception) -> str:
    """What to tell of a call of the model that failed."""
    first = str(error).splitlines()[0] if str(error) else ""
    hint = "; a lower capacity needs less memory" if "memory" in str(error).lower() else ""
    return f"{type(error).__name__}: {first}{hint}"

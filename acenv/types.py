"""The data that flows between environments, policies, the evaluation loop and the analyzers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Message(TypedDict):
    """One message of a conversation, as chat APIs and chat templates take it."""

    role: str
    content: str


Tool = dict[str, Any]
"""A tool as chat APIs take it: ``{"type": "function", "function": {"name", "description", "parameters"}}``."""

FinishReason = Literal["stop", "length", "context"]
"""Why generation ended: by itself, at the token limit, or because the prompt exceeds the model's context."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A sequence of messages with the tools that were on offer."""

    messages: Sequence[Message]
    tools: Sequence[Tool] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written; sums with ``+``."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


@dataclass(frozen=True, slots=True)
class Request:
    """One conversation that waits for an action.

    Attributes:
        slot: Sticky for a whole episode, so that a policy may keep a cache per slot.
        seed: Seed of the episode; with ``step`` it seeds sampling.
        step: Actions taken so far in the episode.
        messages: The conversation so far (the observation).
        tools: JSON Schemas of the tools on offer.
        expert: Gives the right next action, where the environment has an expert.
        actor: Which policy is to decide, for a policy that is made of several.
    """

    slot: int
    seed: int
    step: int
    messages: Sequence[Message]
    tools: Sequence[Tool] = ()
    expert: Callable[[], str] | None = None
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy answers to one request.

    Attributes:
        action: The assistant's text.
        usage: Tokens spent on it.
        finish: ``"context"`` ends the episode as truncated.
        error: An infrastructure fault. The episode is recorded as an error and is never scored.
        logprobs: Natural logarithm of the probability of each written token, where the policy gives them.
    """

    action: str
    usage: Usage = Usage()
    finish: FinishReason = "stop"
    error: str | None = None
    logprobs: Sequence[float] | None = None


@runtime_checkable
class Policy(Protocol):
    """What acts. Takes a batch of conversations, gives one decision each, in the same order.

    A policy may also have ``describe() -> dict`` (everything that changes its answers: checkpoint fingerprint, sampling
    settings); it goes into the manifest of a run, and a run is only resumed with an equal description. One whose
    attribute ``portable`` is true, because it is small and keeps nothing from one episode to another, is copied into
    worker processes; without it, a policy stays in the process that made it.
    """

    name: str
    capacity: int

    def act(self, batch: Sequence[Request]) -> Sequence[Decision]:
        """Decide for every request of the batch."""
        ...


@runtime_checkable
class StreamingPolicy(Policy, Protocol):
    """A policy that answers each request as soon as it can, so that a long answer holds up no short one.

    The evaluation loop uses these methods in place of :meth:`Policy.act` where a policy has them, from one thread. A
    slot has one request under way at most, and there are never more than ``capacity`` of them.
    """

    def submit(self, batch: Sequence[Request]) -> None:
        """Take requests beside those that are under way; returns at once."""
        ...

    def collect(self, timeout: float | None = None) -> Sequence[tuple[int, Decision]]:
        """Work, or wait, until a request is decided.

        Args:
            timeout: Seconds after which to return all the same, with nothing; ``None`` for no limit.

        Returns:
            ``(slot, decision)`` of each request that is decided now, in any order.
        """
        ...

    def cancel(self) -> None:
        """Forget the requests that are under way; their decisions are never given."""
        ...


class EngineError(Exception):
    """What runs a model has died, so that no request can be answered any more; the run can be taken up again."""


Fault = Literal[
    "unparsable",
    "schema violation",
    "hallucinated tool",
    "wrong tool",
    "wrong argument",
    "cut off by length",
    "invalid in this world",
    "dead end",
    "gave up early",
    "wrong graph",
    "wrong answer",
]
"""What an environment can find wrong with an action; :mod:`acenv.analysis.failures` has a sentence on each."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an episode as it is recorded; ``logprobs`` as in :class:`Decision`.

    Attributes:
        fault: What the environment found wrong with the action, a :data:`Fault`; empty where nothing was, and in runs
            that were recorded before faults were.
    """

    action: str
    reward: float
    finish: FinishReason = "stop"
    logprobs: Sequence[float] | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Episode:
    """The record of one finished episode.

    Attributes:
        return_: Sum of the rewards, in [0, 1]; ``nan`` for an error episode.
        length: Number of actions.
        error: Why the machinery failed; such an episode is counted and never scored.
        metrics: ``success``, ``progress``, ``grounding`` and the official scores of the benchmark.
        labels: What the task is, for grouping, such as ``{"task": "hotpotqa"}``.
        seconds: Wall time from reset to the last step, waiting included.
    """

    env_id: str
    seed: int
    return_: float
    length: int
    terminated: bool
    truncated: bool
    error: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    usage: Usage = Usage()
    seconds: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, int]:
        """What pairs episodes of different policies: ``(env_id, seed)``."""
        return (self.env_id, self.seed)


@dataclass(frozen=True, slots=True)
class Transcript:
    """Everything said in one episode, with the reward of each action."""

    env_id: str
    seed: int
    messages: Sequence[Message]
    tools: Sequence[Tool]
    steps: Sequence[Step]

    @property
    def conversation(self) -> Conversation:
        """The messages and tools, as a policy saw them."""
        return Conversation(self.messages, self.tools)


Capture = Literal["logits", "hidden"]
"""What a :class:`Scorer` hands out per token."""


@dataclass(frozen=True, slots=True)
class TokenOutputs:
    """What a model computed for the assistant's tokens of one conversation, by teacher forcing.

    Row ``t`` of ``logits`` and ``hidden`` is of the position *before* token ``t``: the one that predicts it.

    Attributes:
        token_ids: The assistant's tokens, the end of each turn included, int64 ``[T]``.
        turns: Which assistant message each token belongs to, counted from 0, int64 ``[T]``.
        logits: float32 ``[T, vocabulary]``, or ``None`` if not asked for.
        hidden: Last hidden states, after the final norm, float32 ``[T, width]``, or ``None`` if not asked for.
        truncated: Whether the conversation was longer than the model's context, so that its end is missing.
        texts: The text of each token, as it stands in the conversation; empty where the policy does not say.
        head: Makes the logits of a few tokens at a time; only from :meth:`StreamingScorer.stream`.
        layers: What was kept of the hidden states behind each layer, in order; likewise.
    """

    token_ids: NDArray[np.int64]
    turns: NDArray[np.int64]
    logits: NDArray[np.float32] | None = None
    hidden: NDArray[np.float32] | None = None
    truncated: bool = False
    texts: Sequence[str] = ()
    head: OutputLayer | None = None
    layers: Sequence[Any] = ()


class OutputLayer(Protocol):
    """Makes logits of last hidden states, so that those of a conversation need not be held all at once.

    Attributes:
        vocabulary: Number of logits of a token.
        weight: torch tensor ``[vocabulary, width]`` where the logits are ``hidden @ weight.T`` plus a constant, else
            ``None``.
    """

    vocabulary: int
    weight: Any

    def __call__(self, hidden: NDArray[np.float32]) -> Any:
        """The logits, a torch tensor of float32 ``[T, vocabulary]``, of hidden states ``[T, width]``."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """A policy whose model can be run over fixed conversations."""

    def score(
        self, conversations: Iterable[Conversation], capture: Sequence[Capture] = ("logits", "hidden")
    ) -> Iterator[TokenOutputs]:
        """Give the outputs for every conversation, in order, one at a time."""
        ...


@runtime_checkable
class StreamingScorer(Scorer, Protocol):
    """A scorer that need not hold the logits of a whole conversation, nor the hidden states of all layers."""

    def stream(
        self, conversations: Iterable[Conversation], layer: Callable[[NDArray[np.float32]], Any] | None = None
    ) -> Iterator[TokenOutputs]:
        """Give ``hidden`` and ``head`` for every conversation, in order, one at a time.

        Args:
            conversations: What was said.
            layer: What to keep of the hidden states behind a layer, ``[T, width]``; called layer by layer.
        """
        ...

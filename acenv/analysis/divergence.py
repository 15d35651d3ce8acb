"""Where two models part, and what the difference between two actions is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from acenv.analysis.kinds import COMMANDS, Span, mark
from acenv.types import Message, Step, Tool

DivergenceKind = Literal[
    "tool name", "argument", "syntax", "node", "edge", "thought", "text", "stopped early", "went on", "cut off"
]

DIVERGENCES: tuple[DivergenceKind, ...] = (
    *("tool name", "argument", "syntax", "node", "edge", "thought", "text"),
    *("stopped early", "went on", "cut off"),
)
"""What a compressed model's action may differ in; the last three are about where it ends."""

Move = tuple[str, bool]
"""All of a decision that an environment sees: the text, and whether the context was full."""


def move(step: Step) -> Move:
    """What an environment sees of a step."""
    return step.action, step.finish == "context"


def first_divergence(base: Sequence[Step], compressed: Sequence[Step]) -> int | None:
    """The first step at which two episodes of the same task differ, or ``None`` if none does.

    >>> first_divergence([Step("go", 0.0), Step("take", 1.0)], [Step("go", 0.0), Step("tale", 0.0)])
    1
    """
    for i, (ours, theirs) in enumerate(zip(base, compressed, strict=False)):
        if move(ours) != move(theirs):
            return i
    return None if len(base) == len(compressed) else min(len(base), len(compressed))


def divergence_kind(base: Step, compressed: Step, tools: Sequence[Tool] = (), env_id: str = "") -> DivergenceKind:
    """What two different actions in the same state differ in first, or how the compressed model's ends.

    Greedy decoding follows the first difference, so a text that derails is of the kind of the piece at which it left
    the base's: a wrong tool name with an endless text behind it is a matter of the tool name. It is cut off only where
    all that it has written agrees with the base.

    The piece is looked up in the base's action at the first character that differs. Where only syntax stands there
    because the base's word ended and the compressed model's goes on, it is the piece that goes on.

    Args:
        base: What the base did.
        compressed: What the compressed model did in its place.
        tools: What was on offer.
        env_id: The environment, which tells commands from other text.

    >>> divergence_kind(Step('{"name": "open"}', 1.0), Step('{"name": "oxen"}', 0.0))
    'tool name'
    >>> divergence_kind(Step('{"name": "open"}', 1.0), Step('{"name": "open', 0.0))
    'stopped early'
    >>> divergence_kind(Step('{"name": "open"}', 1.0), Step("", 0.0, "context"))
    'cut off'
    """
    ours, theirs = base.action, compressed.action
    at = _first_difference(ours, theirs)
    if at >= len(theirs):
        return "cut off" if compressed.finish in ("length", "context") else "stopped early"
    if at >= len(ours):
        return "went on"
    commands = env_id in COMMANDS
    there = _span_at(mark(ours, tools, commands=commands), at)
    if there.kind == "syntax" or there.start == at:
        theirs_there = _span_at(mark(theirs, tools, commands=commands), at)
        if theirs_there.kind not in ("syntax", "text") and theirs_there.start < at:
            there = theirs_there
    return "text" if there.kind == "end" else there.kind


def _span_at(spans: Sequence[Span], at: int) -> Span:
    return next(span for span in spans if span.start <= at < span.end)


def excerpt(ours: str, theirs: str, limit: int = 240) -> tuple[str, str]:
    """Both actions, cut to ``limit`` characters around the first that differs.

    >>> excerpt("same" * 50 + "A", "same" * 50 + "B", limit=12)
    ('…mesamesameA', '…mesamesameB')
    """
    at = _first_difference(ours, theirs)
    start = max(0, min(at - 3 * limit // 4, max(len(ours), len(theirs)) - limit))

    def cut(text: str) -> str:
        piece = text[start : start + limit]
        piece = "…" + piece[1:] if start else piece
        return piece if start + limit >= len(text) else piece[:-1] + "…"

    return cut(ours), cut(theirs)


def _first_difference(ours: str, theirs: str) -> int:
    for at, (a, b) in enumerate(zip(ours, theirs, strict=False)):
        if a != b:
            return at
    return min(len(ours), len(theirs))


def prompt_messages(messages: Sequence[Message], steps: Sequence[Step], step: int) -> Sequence[Message]:
    """The conversation before a step of an episode.

    Args:
        messages: That of the whole episode.
        steps: Its steps; one that ended because the context was full said nothing.
        step: Which of them, from 0.
    """
    said = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    taken = sum(s.finish != "context" for s in steps)
    own = said[len(said) - taken :] if taken else []  # examples in the opening messages come before them
    return messages[: own[step]] if step < len(own) else messages

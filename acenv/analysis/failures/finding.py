"""What went wrong in one episode, by rules."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

from acenv.analysis.comparison import succeeded
from acenv.analysis.failures.families import Family, family_of
from acenv.analysis.failures.kinds import FAILURES, RECOVERABLE, Failure
from acenv.types import Episode, Step, Transcript

ROUNDS = 3
"""How often an action, or a cycle of actions, is taken in a row to count as repeated."""

LONGEST_CYCLE = 4
"""Actions of the longest cycle that is looked for."""

_DETAIL_CHARS = 120

_TAIL, _SHORTEST_TAIL, _DENSEST = 64, 40, 0.55
"""Of a message that was cut the last 64 bytes are packed with zlib. What goes into 55% of its size is of few words:
answers of experts, cut anywhere, need 70% and more; what a broken model repeats mostly takes less than 35%."""

_ENDINGS = frozenset({"wrong answer", "wrong graph", "out of steps"})
"""Failures that only say how an episode ended; another agent's success may say more."""


def find_failures(episode: Episode, transcript: Transcript, reference: Transcript | None = None) -> tuple[Failure, ...]:
    """Name what went wrong in an episode, won or lost.

    Each action has one failure at most: that it was cut, or what the environment found wrong with it
    (:attr:`acenv.types.Step.fault`). Transcripts without a single fault, such as those of older versions, are read
    again with the environments' own parsers. To these come repetitions, and, for a lost episode, how it ended.

    Args:
        episode: The record. Only its kind of end, its error and its success are looked at.
        transcript: What was said in it; one without steps is allowed, and explains nothing.
        reference: What another agent (the original model, an expert) said in an episode of the same task. Where it
            solved the task, and this episode was lost without a fault, the first action that differs from its is
            ``"wrong tool"`` or ``"wrong argument"``, in environments of calls and of commands.

    Returns:
        The failures in the order of the steps. A lost episode has one at least, which may be ``"unexplained"``.
    """
    steps = transcript.steps
    if episode.error is not None:
        return (Failure("infrastructure", len(steps), _line(episode.error)),)
    lost = not succeeded(episode)
    family = family_of(episode.env_id)
    found = [*_faults(transcript, family, lost), *_repetitions(transcript)]
    if lost:
        found += _end(episode, steps, found, family)
        if reference is not None and {f.kind for f in found if _is_open(f, steps)} <= _ENDINGS:
            named = {f.step for f in found if f.kind not in _ENDINGS}
            found += (f for f in _departure(transcript, reference, family) if f.step not in named)
        if not any(_is_open(f, steps) for f in found):
            found.append(Failure("unexplained", len(steps)))
    return tuple(sorted(found, key=lambda failure: failure.step))


def primary_failure(failures: Sequence[Failure], transcript: Transcript) -> Failure | None:
    """The failure that explains an episode best; ``None`` where there is none.

    Of those that were not made good it is the first in the order of :data:`~.kinds.FAILURES`, and of several of one
    kind the earliest. A failure of :data:`~.kinds.RECOVERABLE` that progress followed was made good, unless the action
    itself had a negative reward. Where an episode ran out of steps, slips explain it only if they were at least half of
    the actions since the last progress.
    """
    steps = transcript.steps
    open_ = [failure for failure in failures if _is_open(failure, steps)]
    if any(failure.kind == "out of steps" for failure in open_):
        slips = [failure for failure in open_ if failure.kind in RECOVERABLE and failure.kind != "repeated action"]
        since = len(steps) - max((i + 1 for i, step in enumerate(steps) if step.reward > 0), default=0)
        if 2 * len({failure.step for failure in slips}) < since:
            open_ = [failure for failure in open_ if failure not in slips]
    return min(open_ or failures, key=lambda failure: (_RANK[failure.kind], failure.step), default=None)


_RANK = {kind: rank for rank, kind in enumerate(FAILURES)}


def _is_open(failure: Failure, steps: Sequence[Step]) -> bool:
    """Whether no progress followed a failure that progress would have made good."""
    if failure.kind not in RECOVERABLE or any(step.reward < 0 for step in steps[failure.step : failure.step + 1]):
        return True
    return not any(step.reward > 0 for step in steps[failure.step + 1 :])


def _faults(transcript: Transcript, family: Family, lost: bool) -> Iterator[Failure]:
    """What was wrong with single actions."""
    steps = transcript.steps
    recorded = any(step.fault for step in steps)
    for i, step in enumerate(steps):
        fault = step.fault
        if not recorded and not step.reward > 0:  # what was worth something was understood
            fault = family.fault(step.action, transcript.tools)
        cut = step.finish == "length" and (fault or not step.reward > 0 or (lost and i == len(steps) - 1))
        if step.finish == "context":
            yield Failure("context overflow", i)
        elif cut or fault == "cut off by length":
            kind = "runaway text" if _runs_away(step.action) else "cut off by length"
            yield Failure(kind, i, _line(step.action))
        elif fault in _RANK:
            yield Failure(fault, i, _line(step.action))


def _runs_away(text: str) -> bool:
    """Whether a text ends in the same few words, again and again."""
    tail = text[-_TAIL:].encode(errors="replace")[-_TAIL:]
    return len(tail) >= _SHORTEST_TAIL and len(zlib.compress(tail)) < _DENSEST * len(tail)


def _repetitions(transcript: Transcript) -> Iterator[Failure]:
    """Actions, and cycles of them, that were repeated while nothing changed."""
    turns = _turns(transcript)
    looping = False
    for i in range(len(turns)):
        length = next((n for n in range(1, LONGEST_CYCLE + 1) if _loops(turns, transcript.steps, i, n)), 0)
        if length and not looping:
            what = "the same action" if length == 1 else f"the same {length} actions"
            yield Failure("repeated action", i, f"{what} {ROUNDS} times in a row: {_line(turns[i][0])}")
        looping = bool(length)


def _loops(turns: Sequence[tuple[str, str | None]], steps: Sequence[Step], last: int, length: int) -> bool:
    """Whether the cycle of some length that ends with a turn was gone through often enough, to no avail."""
    first = last + 1 - ROUNDS * length
    if first < 0 or any(steps[i].reward > 0 for i in range(first + length, last + 1)):
        return False
    return all(_same(turns[i], turns[i - length]) for i in range(first + length, last + 1))


def _same(turn: tuple[str, str | None], other: tuple[str, str | None]) -> bool:
    """Whether two actions are equal and were answered in the same words; the last one may have got no answer."""
    return turn[0] == other[0] and (turn[1] == other[1] or None in (turn[1], other[1]))


def _turns(transcript: Transcript) -> list[tuple[str, str | None]]:
    """Each action, its blanks evened out, with what the agent was told after it."""
    acted = [" ".join(step.action.split()) for step in transcript.steps if step.finish != "context"]
    messages = transcript.messages
    places = [i for i, message in enumerate(messages) if message.get("role") == "assistant"]
    if len(places) < len(acted):  # a foreign or a cut transcript
        return [(action, None) for action in acted]
    # A prompt may have messages of an assistant in it: the agent's own are the last ones.
    own = places[len(places) - len(acted) :]
    told = [messages[i + 1].get("content") if i + 1 < len(messages) else None for i in own]
    return list(zip(acted, told, strict=True))


def _end(episode: Episode, steps: Sequence[Step], found: Sequence[Failure], family: Family) -> Iterator[Failure]:
    """How a lost episode ended, where its last action was not at fault."""
    if not steps or any(f.step == len(steps) - 1 and f.kind != "repeated action" for f in found):
        return
    last = len(steps) - 1
    if episode.terminated:
        undone = episode.metrics.get("call_recall", 1.0) < 1
        kind = "gave up early" if undone else family.wrong_end
        yield Failure(kind, last, _line(steps[-1].action))
    elif episode.truncated:
        kind = "wrong graph" if family.name == "graphs" else "out of steps"
        yield Failure(kind, last, f"{len(steps)} actions")


def _departure(transcript: Transcript, reference: Transcript, family: Family) -> Iterator[Failure]:
    """The first action that is another than that of an agent who solved the task."""
    if sum(step.reward for step in reference.steps) < 1.0 - 1e-9:
        return
    for i, (ours, theirs) in enumerate(zip(transcript.steps, reference.steps, strict=False)):
        if ours.action == theirs.action:
            continue
        if kind := family.difference(ours.action, theirs.action):
            yield Failure(kind, i, f"{_line(ours.action)} instead of {_line(theirs.action)}")
            return


def _line(text: str) -> str:
    """The beginning of a text, in one line."""
    line = " ".join(text[: 2 * _DETAIL_CHARS].split())
    return line if len(line) <= _DETAIL_CHARS else f"{line[:_DETAIL_CHARS]}…"

"""Continuous batching: prompts come and go one by one, the model works on all of them at once."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from acenv.policies.attention import Piece, Plan
from acenv.policies.jobs import Ending, Job, reason_of
from acenv.policies.kv import Arena, Span, span_size
from acenv.policies.packing import packed_logits
from acenv.policies.sampling import Sampler
from acenv.policies.slots import Slots, common_prefix

PATIENCE = 0.25
"""How many steps all conversations together may stand idle, for the sake of one larger batch: see Engine.collect."""

MOST_STEPS = 8
"""Steps for which a finished answer is held back at most."""

WORTHWHILE = 32
"""Tokens that two conversations begin with in common, from which on they are copied and not read again."""

SLACK = 32
"""Tokens to write for which room is made at once."""


class Engine:
    """Runs a causal language model over a stream of jobs.

    Every step takes what is being answered one token further, and reads prompts that wait, all in one call of the
    model. A prompt longer than a step's budget is read in several.
    """

    def __init__(
        self,
        model: Any,
        arena: Arena,
        *,
        ending: Ending,
        sampler: Sampler,
        capacity: int,
        affordable: int,
        cache_bytes: int,
    ) -> None:
        """Prepare for ``model``.

        Args:
            model: A transformers causal language model in evaluation mode that :func:`can_pack`.
            arena: Where its keys and values go.
            ending: What ends an answer.
            sampler: Chooses tokens.
            capacity: Jobs under way at once, at most.
            affordable: Tokens of keys and values that jobs under way may come to, all together.
            cache_bytes: Memory for what is kept of slots between their turns; 0 keeps nothing.
        """
        self._model = model
        self._arena = arena
        self._ending = ending
        self._sampler = sampler
        self._capacity = capacity
        self._affordable = affordable
        self._keeps = cache_bytes > 0
        self.slots = Slots(arena, cache_bytes)
        on_cpu = model.device.type == "cpu"
        # On a CPU the activations of more tokens than this leave its caches; a GPU is filled by more.
        self._budget = 2048 if on_cpu else 16384
        self._waiting: deque[Job] = deque()
        self._running: list[Job] = []
        self._finished: list[Job] = []
        self._held_back = 0
        self._idle = 0

    def add(self, jobs: Sequence[Job]) -> None:
        """Queue jobs."""
        self._waiting += jobs

    def clear(self) -> None:
        """Forget all jobs."""
        for job in self._running:
            self._leave(job, keep=False)
        self._running, self._finished = [], []
        self._waiting.clear()
        self._held_back = self._idle = 0

    def collect(self, deadline: float | None = None) -> list[Job]:
        """Work until some jobs are done, or until ``deadline`` (of :func:`time.monotonic`) if that comes first.

        A finished job is handed out at once where nothing else is under way. Otherwise it is held back for a few steps,
        as others may finish meanwhile and then be replaced together: each step of each finished job is counted, until
        they come to :data:`PATIENCE` steps of all jobs under way, but for :data:`MOST_STEPS` steps at most. Only with a
        deadline does anything depend on time.
        """
        while (self._waiting or self._running) and not self._due():
            self.step()
            if deadline is not None and time.monotonic() >= deadline:
                break
        finished, self._finished = self._finished, []
        self._held_back = self._idle = 0
        return finished

    def step(self) -> None:
        """Call the model once."""
        with torch.inference_mode():
            self._join()
            self._advance(self._pieces())
        if self._finished:
            self._held_back += 1
            self._idle += len(self._finished)

    def _advance(self, pieces: dict[Job, Piece]) -> None:
        """Give every job its next token."""
        if not pieces:
            return  # They have all failed.
        try:
            tokens, logprobs = self._forward(pieces)
        except (torch.OutOfMemoryError, RuntimeError, IndexError) as error:
            # The machinery failed (memory, a token outside the vocabulary): these episodes are no zeros.
            for job in pieces:
                job.error = reason_of(error)
                self._finish(job)
            return
        for job, token, logprob in zip(pieces, tokens, logprobs, strict=True):
            job.read = pieces[job].length
            if job.read >= len(job.ids) and self._ending.take(job, token, logprob):
                self._finish(job)

    def _due(self) -> bool:
        if not self._finished:
            return False
        under_way = len(self._running) + len(self._waiting)
        return self._held_back >= MOST_STEPS or self._idle >= PATIENCE * under_way

    def _join(self) -> None:
        """Let waiting jobs in, in their order, as far as capacity and memory go; one of them always fits."""
        taken = sum(span_size(job.worst) for job in self._running)
        while self._waiting and len(self._running) < self._capacity:
            job = self._waiting[0]
            taken += span_size(job.worst)
            if self._running and taken > self._affordable:
                return
            self._running.append(self._waiting.popleft())

    def _pieces(self) -> dict[Job, Piece]:
        """What is read in this step: the last token of all that write, and of prompts as much as the budget allows."""
        pieces = {}
        budget = self._budget
        for job in list(self._running):
            try:
                span = self._span_of(job)
            except (torch.OutOfMemoryError, RuntimeError) as error:
                job.error = reason_of(error)
                self._finish(job)
                continue
            if job.tokens:
                pieces[job] = Piece(span, job.read, job.tokens[-1:])
            elif budget > 0:
                if not job.begun:
                    self._borrow(job, span)
                pieces[job] = Piece(span, job.read, job.ids[job.read : job.read + budget])
                budget -= len(pieces[job].tokens)
        return dict(sorted(pieces.items(), key=lambda item: item[1].order))

    def _span_of(self, job: Job) -> Span:
        """Where a job's keys and values lie, with room for one more."""
        if job.span is None:
            job.span, job.read = self.slots.claim(job.slot, job.ids, len(job.ids) + min(job.limit, SLACK))
        elif job.read >= job.span.size:
            job.span = self.slots.move(job.span, job.read + 1, job.read)
        return job.span

    def _borrow(self, job: Job, target: Span) -> None:
        """Copy the beginning of a prompt from another conversation that has read the same, if one has.

        Episodes of an environment share instructions, tools and examples. Just before a prompt is read is the time to
        look: of prompts that came together, the first ones have then been read.
        """
        job.begun = True
        if not self._keeps:
            return
        best, source = job.read + WORTHWHILE - 1, None
        others: list[tuple[Sequence[int] | NDArray[np.int64], int, Span]] = [
            (j.ids, j.read, j.span) for j in self._running if j.begun and j is not job and j.span
        ]
        for known, read, span in (*others, *self.slots.unpacked()):
            # Most differ early, which a look at one place tells.
            if min(len(known), read, len(job.ids) - 1) > best and known[best] == job.ids[best]:
                common = common_prefix(np.asarray(known[:read]), np.asarray(job.ids[:-1]))
                common = self.slots.usable(common, read)
                if common > best:
                    best, source = common, span
        if source is not None:
            self._arena.copy(source, target, best)
            job.read = best

    def _forward(self, pieces: dict[Job, Piece]) -> tuple[list[int], Sequence[float | None]]:
        """See :meth:`Sampler.pick`."""
        plan = Plan(self._arena, list(pieces.values()), self._model)
        logits = packed_logits(self._model, plan)
        draws = [job.draws[len(job.tokens)] for job in pieces if job.draws is not None]
        return self._sampler.pick(logits, draws or None)

    def _finish(self, job: Job) -> None:
        job.done = True
        self._leave(job, keep=self._keeps and job.error is None)
        self._running.remove(job)
        self._finished.append(job)

    def _leave(self, job: Job, *, keep: bool) -> None:
        if job.span is None:
            return
        if keep:
            self.slots.keep(job.slot, (job.ids + job.tokens)[: job.read], job.span)
        else:
            if job.error is not None:
                self._arena.clear(job.span)
            self._arena.free(job.span)
        job.span = None

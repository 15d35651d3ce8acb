"""Generation for models whose cache is their own: a whole batch at a time, padded on the left."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from acenv.policies.jobs import Ending, Job, reason_of
from acenv.policies.sampling import Sampler


class LockStep:
    """Answers jobs in groups, each from its first prompt to its last answer; finished rows leave their batch.

    For models with sliding windows, with states in place of keys and values, or with attention of their own. Nothing is
    kept from one turn to the next.
    """

    def __init__(self, model: Any, *, ending: Ending, sampler: Sampler, capacity: int, affordable: int) -> None:
        """Prepare for ``model``.

        Args:
            model: A transformers causal language model in evaluation mode.
            ending: What ends an answer.
            sampler: Chooses tokens.
            capacity: Jobs of a group, at most.
            affordable: Tokens that a group may come to, padding included.
        """
        self._model = model
        self._device: torch.device = model.device
        self._ending = ending
        self._sampler = sampler
        self._capacity = capacity
        self._affordable = min(affordable, 16384 if self._device.type == "cpu" else 131072)
        self._waiting: list[Job] = []
        parameters = inspect.signature(model.forward).parameters
        self._takes_positions = "position_ids" in parameters
        self._last_logits = {"logits_to_keep": 1} if "logits_to_keep" in parameters else {}

    def add(self, jobs: Sequence[Job]) -> None:
        """Queue jobs."""
        self._waiting += jobs

    def clear(self) -> None:
        """Forget all jobs."""
        self._waiting = []

    def collect(self, deadline: float | None = None) -> list[Job]:
        """Answer one group of jobs, those with the shortest prompts; a deadline changes nothing."""
        self._waiting.sort(key=lambda job: len(job.ids))
        group = _first_part(self._waiting, self._affordable, self._capacity)
        self._waiting = self._waiting[len(group) :]
        if group:
            try:
                with torch.inference_mode():
                    self._answer(group)
            except (torch.OutOfMemoryError, RuntimeError, IndexError) as error:
                for job in group:
                    job.error = reason_of(error)
        for job in group:
            job.done = True
        return group

    def _answer(self, jobs: Sequence[Job]) -> None:
        width = max(len(job.ids) for job in jobs)
        cache = DynamicCache(config=self._model.config)
        ids = torch.tensor([[0] * (width - len(job.ids)) + job.ids for job in jobs], device=self._device)
        lengths = torch.tensor([len(job.ids) for job in jobs], device=self._device)
        columns = torch.arange(width, device=self._device)
        mask = (columns >= width - lengths[:, None]).long()
        positions = (columns - (width - lengths[:, None])).clamp(min=0)
        rows: list[Job | None] = list(jobs)
        while True:
            logits = self._forward(cache, ids, mask, positions)
            tokens = self._take(rows, logits)
            living = [i for i, job in enumerate(rows) if job is not None]
            if not living:
                return
            if 4 * len(living) <= 3 * len(rows):
                index = torch.tensor(living, device=self._device)
                cache.reorder_cache(index)  # type: ignore[arg-type]
                mask, positions = mask[index], positions[index]
                rows, tokens = [rows[i] for i in living], [tokens[i] for i in living]
            ids = torch.tensor(tokens, device=self._device)[:, None]
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], 1)
            positions = positions[:, -1:] + 1

    def _take(self, rows: list[Job | None], logits: Tensor) -> list[int]:
        """Give each row's job its next token; rows whose job is done become ``None``."""
        draws = [0.0 if job is None or job.draws is None else job.draws[len(job.tokens)] for job in rows]
        greedy = all(job is None or job.draws is None for job in rows)
        tokens, logprobs = self._sampler.pick(logits, None if greedy else draws)
        for i, job in enumerate(rows):
            if job is not None and self._ending.take(job, tokens[i], logprobs[i]):
                rows[i] = None
        return [max(token, 0) for token in tokens]

    def _forward(self, cache: DynamicCache, ids: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        options = {"position_ids": positions} if self._takes_positions else {}
        output = self._model(
            input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **self._last_logits, **options
        )
        return output.logits[:, -1]  # type: ignore[no-any-return]


def _first_part(jobs: Sequence[Job], budget: int, most: int) -> list[Job]:
    """The first jobs, at most ``most``, as many as come to ``budget`` tokens with their padding, but one at least."""
    part: list[Job] = []
    width = 0
    for job in jobs[:most]:
        width = max(width, job.worst)
        if part and width * (len(part) + 1) > budget:
            break
        part.append(job)
    return part

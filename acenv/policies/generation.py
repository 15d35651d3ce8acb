"""Batched generation: many prompts of any length in, their tokens out."""

from __future__ import annotations

import inspect
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from acenv.policies.attention import bands_of, use_bands
from acenv.policies.kv import Batch, Row, is_plain
from acenv.policies.sampling import choose
from acenv.types import FinishReason


@dataclass(slots=True)
class Job:
    """One prompt on its way through the model.

    Attributes:
        slot: Whose conversation it is; its cache is kept under this number.
        ids: The prompt's tokens, at least one.
        limit: How many tokens may be written, at least one.
        draws: A uniform number per token to write, or ``None`` to be greedy.
        tokens: What the model wrote, without the stop token.
        finish: Why it ended.
        error: What went wrong, if anything did.
    """

    slot: int
    ids: list[int]
    limit: int
    draws: Tensor | None = None
    tokens: list[int] = field(default_factory=list)
    finish: FinishReason = "stop"
    error: str | None = None
    past: Row | None = None

    @property
    def unread(self) -> int:
        """Tokens of the prompt that are not cached."""
        return len(self.ids) - (self.past.length if self.past else 0)


class Engine:
    """Runs a causal language model over batches of :class:`Job`.

    Prompts are read in groups of like length under a token budget, so that little is padding and the activations stay
    in the processor's caches; then all of them are answered in one batch, which finished ones leave.
    """

    def __init__(
        self,
        model: Any,
        *,
        stop_ids: frozenset[int],
        ends: Callable[[Sequence[int]], bool] | None = None,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        capacity: int = 32,
        reuse_cache: bool = True,
    ) -> None:
        """Prepare for ``model``.

        Args:
            model: A transformers causal language model in evaluation mode.
            stop_ids: Tokens that end an answer.
            ends: Says of the tokens written so far whether they end an answer.
            temperature: See :func:`acenv.policies.sampling.choose`, as for ``top_p`` and ``top_k``.
            top_p: See there.
            top_k: See there.
            capacity: Prompts answered in one batch, at most.
            reuse_cache: Keep the cache of every slot for the next prompt with the same beginning.
        """
        self._model = model
        self._device: torch.device = model.device
        self._stop_ids = stop_ids
        self._ends = ends
        self._sampling: dict[str, Any] = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
        self._capacity = capacity
        config = model.config.get_text_config()
        self._layers = int(config.num_hidden_layers)
        self._plain = is_plain(model.config)
        if self._plain and self._device.type == "cpu":
            use_bands(model)
        self._slots: OrderedDict[int, tuple[np.ndarray[Any, Any], Row]] | None = (
            OrderedDict() if reuse_cache and self._plain else None
        )
        self._affordable = _affordable_tokens(config, model.dtype, self._device)
        self._prompt_budget = 2048 if self._device.type == "cpu" else 16384
        parameters = inspect.signature(model.forward).parameters
        self._takes_positions = "position_ids" in parameters
        self._last_logits = {"logits_to_keep": 1} if "logits_to_keep" in parameters else {}

    def run(self, jobs: Sequence[Job]) -> None:
        """Fill in ``tokens`` and ``finish``, or ``error``, of every job."""
        with torch.inference_mode():
            for group in _parts(
                sorted(jobs, key=lambda j: len(j.ids)), self._affordable, self._capacity, lambda j: len(j.ids) + j.limit
            ):
                try:
                    self._run_group(group)
                except (torch.OutOfMemoryError, RuntimeError, IndexError) as error:
                    # The machinery failed (memory, a token outside the vocabulary): these episodes are no zeros.
                    hint = "; a lower capacity needs less memory" if "memory" in str(error).lower() else ""
                    for job in group:
                        job.error = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}{hint}"

    def _run_group(self, group: list[Job]) -> None:
        for job in group:
            job.past = self._cached(job)
        logits: dict[int, Tensor] = {}
        if not self._plain:
            # The model's own cache cannot be taken apart: every part is answered by itself.
            for part in _parts(sorted(group, key=len_unread), 8 * self._prompt_budget, self._capacity, len_unread):
                width = max(j.unread for j in part)
                batch = Batch.of_model(self._model.config, len(part), width + max(j.limit for j in part), self._device)
                self._answer(batch, part, self._read(batch, part, width))
            return
        limit = max(j.limit for j in group)
        parts = list(_parts(sorted(group, key=len_unread), self._prompt_budget, self._capacity, len_unread))
        if len(parts) == 1:
            parts = [group]  # Rows of like length side by side, for the attention.

        for part in parts:
            width = max(j.unread for j in part)
            room = width + limit if len(parts) == 1 else width
            batch = Batch.of_rows([j.past for j in part], self._layers, room, self._device)
            last = self._read(batch, part, width)
            if len(parts) == 1:
                for job in part:
                    job.past = None
                self._answer(batch, part, last)
                return
            for i, job in enumerate(part):
                job.past = batch.row(i, copy=False)
                logits[id(job)] = last[i]
        batch = Batch.of_rows([j.past for j in group], self._layers, limit, self._device)
        for job in group:
            job.past = None
        self._answer(batch, group, torch.stack([logits[id(job)] for job in group]))

    def _read(self, batch: Batch, jobs: Sequence[Job], width: int) -> Tensor:
        """Read what is new in the prompts; gives the logits of the first token to write."""
        ids = torch.zeros(len(jobs), width, dtype=torch.long)
        mask = torch.zeros(len(jobs), width, dtype=torch.long)
        positions = torch.zeros(len(jobs), width, dtype=torch.long)
        for i, job in enumerate(jobs):
            new = job.unread
            ids[i, width - new :] = torch.tensor(job.ids[len(job.ids) - new :])
            mask[i, width - new :] = 1
            positions[i, width - new :] = torch.arange(len(job.ids) - new, len(job.ids))
        return self._forward(batch, ids.to(self._device), mask.to(self._device), positions.to(self._device))

    def _answer(self, batch: Batch, jobs: Sequence[Job], logits: Tensor) -> None:
        """Write tokens until all jobs are done."""
        rows: list[Job | None] = list(jobs)
        for i in logits.isnan().any(-1).nonzero()[:, 0].tolist():
            jobs[i].error = "the model computes nan: its weights are broken, or overflow in this dtype"
            rows[i] = None
        positions = torch.tensor([[len(job.ids)] for job in jobs], device=self._device)
        ones = torch.ones_like(positions)
        draws = None if jobs[0].draws is None else torch.stack([_padded(j.draws, batch) for j in jobs]).to(self._device)
        step = 0
        while True:
            tokens = choose(logits, None if draws is None else draws[:, step], **self._sampling)
            for i, token in enumerate(tokens.tolist()):
                job = rows[i]
                if job is not None and self._take(job, token):
                    rows[i] = None
                    self._keep(job, batch, i)
            living = [i for i, job in enumerate(rows) if job is not None]
            if not living:
                return
            if 4 * len(living) <= 3 * len(rows):
                batch.select(living)
                index = torch.tensor(living, device=self._device)
                tokens, positions, ones = tokens[index], positions[index], ones[index]
                draws = None if draws is None else draws[index]
                rows = [rows[i] for i in living]
            logits = self._forward(batch, tokens[:, None], ones, positions)
            positions = positions + 1
            step += 1

    def _take(self, job: Job, token: int) -> bool:
        """Add a token to a job's answer; whether that was the last one."""
        if token in self._stop_ids:
            return True
        job.tokens.append(token)
        if self._ends is not None and self._ends(job.tokens):
            return True
        if len(job.tokens) >= job.limit:
            job.finish = "length"
            return True
        return False

    def _forward(self, batch: Batch, ids: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        options = {"position_ids": positions} if self._takes_positions else {}
        with bands_of(batch.append(mask)) as whole_mask:
            output = self._model(
                input_ids=ids,
                attention_mask=whole_mask,
                past_key_values=batch.cache,
                use_cache=True,
                **self._last_logits,
                **options,
            )
        return output.logits[:, -1]  # type: ignore[no-any-return]

    def _cached(self, job: Job) -> Row | None:
        """What the slot's cache has of this prompt; the last token is always read anew, for its logits."""
        if self._slots is None or job.slot not in self._slots:
            return None
        ids, row = self._slots[job.slot]
        self._slots.move_to_end(job.slot)
        length = min(len(ids), len(job.ids) - 1)
        differs = np.flatnonzero(ids[:length] != np.asarray(job.ids[:length]))
        common = int(differs[0]) if len(differs) else length
        return row.cut(common) if common else None

    def _keep(self, job: Job, batch: Batch, index: int) -> None:
        """Keep a finished job's cache under its slot, and forget the oldest ones that memory has no room for."""
        if self._slots is None:
            return
        row = batch.row(index)
        if row is None:
            return
        self._slots[job.slot] = (np.asarray((job.ids + job.tokens)[: row.length]), row)
        self._slots.move_to_end(job.slot)
        total = sum(kept.length for _, kept in self._slots.values())
        while total > self._affordable and self._slots:
            _, (_, forgotten) = self._slots.popitem(last=False)
            total -= forgotten.length


def len_unread(job: Job) -> int:
    """Sort key: tokens of the prompt that have to be read."""
    return job.unread


def _padded(draws: Tensor | None, batch: Batch) -> Tensor:
    assert draws is not None
    room = batch.mask.shape[1] - batch.used
    return torch.nn.functional.pad(draws[:room], (0, max(0, room - len(draws))))


def _parts(jobs: Sequence[Job], budget: int, most: int, size: Callable[[Job], int]) -> Iterator[list[Job]]:
    """Cut jobs, in their order, into parts of at most ``most`` jobs whose padded size is within the budget."""
    part: list[Job] = []
    width = 0
    for job in jobs:
        wider = max(width, size(job))
        if part and (len(part) >= most or wider * (len(part) + 1) > budget):
            yield part
            part, wider = [], size(job)
        part.append(job)
        width = wider
    if part:
        yield part


def _affordable_tokens(config: Any, dtype: torch.dtype, device: torch.device) -> int:
    """How many tokens of cache fit into a quarter of the memory that is free, at least one context of 4096."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    per_token = 2 * config.num_hidden_layers * heads * width * dtype.itemsize
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    elif hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    else:
        free = 4 * 1024**3
    return max(4096, int(free // 4 // per_token))

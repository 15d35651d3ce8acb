"""The ``hf`` policy: checkpoints of the Hugging Face format, run by transformers in batches."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from acenv.policies.checkpoints import find_checkpoint, fingerprint, load_model, load_tokenizer
from acenv.policies.generation import Engine
from acenv.policies.jobs import Ending, Job
from acenv.policies.kv import Arena
from acenv.policies.kv_bits import BITS, Quantizer
from acenv.policies.lockstep import LockStep
from acenv.policies.packing import can_pack
from acenv.policies.prompting import Prompter, context_length
from acenv.policies.sampling import Sampler, check_sampling, uniforms
from acenv.policies.scoring import teacher_forced
from acenv.types import Capture, Conversation, Decision, Request, TokenOutputs, Usage

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class HFPolicy:
    """Lets a causal language model act.

    Conversations are rendered with the checkpoint's chat template and answered together, by continuous batching: they
    join what is under way at once, and leave as soon as they are answered. What a slot's last turn left in the
    key-value cache is kept, so that the next turn reads only what is new.

    Greedy answers in float32 do not depend on the batch, on who joined when, or on what was cached; sampled ones depend
    on the episode's seed and step alone. In bfloat16 and float16 sums are rounded so coarsely that another batch may
    turn a close decision: that is the noise floor of a comparison. With ``kv_bits`` the same holds, but rounding to
    few bits can turn the last bit of a sum into a visible difference now and then, in float32 too.

    A model with sliding windows or recurrent states, or with attention of its own, is answered a whole batch at a time,
    and nothing is kept between turns.
    """

    def __init__(
        self,
        source: str,
        *,
        name: str | None = None,
        capacity: int = 32,
        max_new_tokens: int = 512,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        sampling_seed: int = 0,
        stop: Sequence[str] = (),
        dtype: str = "auto",
        device: str = "auto",
        dequantize: bool | None = None,
        reuse_cache: bool = True,
        cache_bytes: int | None = None,
        kv_bits: int | None = None,
        logprobs: bool = False,
        trust_remote_code: bool = False,
        allow_pickle: bool = False,
    ) -> None:
        """Load a checkpoint: dense, GPTQ, AWQ, compressed-tensors, or GGUF.

        Args:
            source: A folder, a GGUF file, or an id on the Hugging Face hub.
            name: How reports call the policy; the last part of ``source`` by default.
            capacity: How many conversations are taken at once.
            max_new_tokens: Longer answers are cut, with ``finish="length"``.
            temperature: 0 takes the most probable token; above, tokens are drawn.
            top_p: Draw from the most probable tokens that together reach this probability.
            top_k: Draw from this many of the most probable tokens; 0 for all.
            sampling_seed: Another number draws other tokens from the same probabilities.
            stop: Texts that end an answer, beside the model's own stop tokens; they are cut off.
            dtype: ``"float32"``, ``"bfloat16"``, ``"float16"``, or ``"auto"``: bfloat16 where the hardware computes
                in it, else float32.
            device: A torch device; ``"auto"`` takes a GPU if there is one.
            dequantize: Turn packed weights into dense ones at load: quicker on a CPU, more memory. By default on a CPU.
            reuse_cache: Keep the key-value cache of a slot from one turn to the next.
            cache_bytes: Memory for what is kept between turns; by default a quarter of what is free. A slot that has no
                room is read anew when its next turn comes.
            kv_bits: Quantise keys and values to 8, 4 or 2 bits (see :mod:`acenv.policies.kv_bits`). What is kept
                between turns is packed; what is being answered is rounded likewise, and unpacked for speed.
            logprobs: Give the log-probabilities of the tokens that are written, the one that ends an answer excepted:
                those of the model at temperature 1, whatever the tokens were drawn by.
            trust_remote_code: Let the checkpoint bring Python code of its own.
            allow_pickle: Accept ``.bin`` weights, which can run code when they are read.

        Raises:
            ValueError: A setting makes no sense, or the checkpoint cannot be loaded.
            ImportError: An engine for the checkpoint's format has to be installed.
        """
        check_sampling(max_new_tokens, temperature, top_p, top_k)
        check_dtype(dtype)
        _check_cache(kv_bits, cache_bytes)
        self.name = name or Path(source).name
        self.capacity = capacity
        self.max_new_tokens = max_new_tokens
        self._sampling = {"temperature": float(temperature), "top_p": float(top_p), "top_k": int(top_k)}
        self._sampling_seed = int(sampling_seed)
        self._checkpoint = find_checkpoint(source, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle)
        target = _pick_device(device)
        self.dtype = pick_dtype(dtype, target)
        tokenizer = load_tokenizer(self._checkpoint, trust_remote_code=trust_remote_code)
        self.model = load_model(
            self._checkpoint,
            dtype=self.dtype,
            device=target,
            dequantize=target.type == "cpu" if dequantize is None else dequantize,
            trust_remote_code=trust_remote_code,
            allow_pickle=allow_pickle,
        )
        self._prompter = Prompter(
            tokenizer,
            generation_config=self.model.generation_config,
            context=context_length(self.model.config, tokenizer),
            stop=stop,
        )
        self.tokenizer, self.chat = tokenizer, self._prompter.chat
        self.context, self.stop_ids = self._prompter.context, self._prompter.stop_ids
        self._kv_bits = kv_bits
        self._logprobs = logprobs
        self._vocabulary = int(self.model.get_input_embeddings().num_embeddings)
        self._engine = self._make_engine(
            capacity,
            cache_bytes if reuse_cache else 0,
            Sampler(float(temperature), float(top_p), int(top_k), logprobs),
        )
        self._decided: list[tuple[int, Decision]] = []

    def _make_engine(self, capacity: int, cache_bytes: int | None, sampler: Sampler) -> Engine | LockStep:
        ending = Ending(self.stop_ids, self._prompter.ends if self._prompter.stop else None)
        free, per_token = _free_bytes(self.model.device), _cache_bytes_per_token(self.model)
        # A quarter for what is being answered, one for what waits; the rest is for growing, activations, and others.
        affordable = max(4096, free // 4 // per_token)
        if not can_pack(self.model):
            if self._kv_bits is not None:
                raise ValueError(
                    f"kv_bits={self._kv_bits}: the keys and values of {self.name} cannot be quantised here, since "
                    f"{type(self.model).__name__} has sliding windows, recurrent states, or attention of its own"
                )
            return LockStep(self.model, ending=ending, sampler=sampler, capacity=capacity, affordable=affordable)
        budget = free // 4 if cache_bytes is None else cache_bytes
        arena = Arena(
            int(self.model.config.get_text_config().num_hidden_layers),
            affordable + (0 if self._kv_bits else budget // per_token),
            Quantizer(self._kv_bits) if self._kv_bits else None,
        )
        return Engine(
            self.model,
            arena,
            ending=ending,
            sampler=sampler,
            capacity=capacity,
            affordable=affordable,
            cache_bytes=budget,
        )

    def describe(self) -> dict[str, Any]:
        """Everything that changes the answers: checkpoint, dtype, sampling, limits, library versions."""
        return {
            "policy": "hf",
            "name": self.name,
            "checkpoint": fingerprint(self._checkpoint),
            "dtype": str(self.dtype).removeprefix("torch."),
            "device": self.model.device.type,
            **self._sampling,
            **({"sampling_seed": self._sampling_seed} if self._sampling_seed else {}),
            "max_new_tokens": self.max_new_tokens,
            "stop": list(self._prompter.stop),
            **({"kv_bits": self._kv_bits} if self._kv_bits else {}),
            "versions": {library: version(library) for library in ("torch", "transformers", "tokenizers")},
        }

    def count_tokens(self, text: str) -> int:
        """How many tokens a text has; the tokenizer adds none of its own."""
        return len(self._prompter.encode([text], special=False)[0])

    def prompt_tokens(self, conversation: Conversation) -> int:
        """How many tokens the model reads before it answers a conversation.

        Raises:
            ValueError: The chat template cannot render it.
        """
        return len(self._prompter.encode([self.chat.render(conversation.messages, conversation.tools)])[0])

    def act(self, batch: Sequence[Request]) -> list[Decision]:
        """Answer every request.

        A conversation that fills the model's context gives ``finish="context"``, an answer that reaches the token limit
        ``finish="length"``; what fails for one request is that request's ``error``.
        """
        jobs, decisions = self._jobs(batch)
        self._engine.add(list(jobs.values()))
        own = {id(job) for job in jobs.values()}
        while not all(job.done for job in jobs.values()):
            # Others were submitted before.
            self._decided += [self._answer(job) for job in self._engine.collect() if id(job) not in own]
        decisions |= {i: self._answer(job)[1] for i, job in jobs.items()}
        return [decisions[i] for i in range(len(batch))]

    def submit(self, batch: Sequence[Request]) -> None:
        """Take requests beside those that are under way; see :class:`acenv.types.StreamingPolicy`."""
        jobs, decisions = self._jobs(batch)
        self._decided += [(batch[i].slot, decision) for i, decision in decisions.items()]
        self._engine.add(list(jobs.values()))

    def collect(self, timeout: float | None = None) -> list[tuple[int, Decision]]:
        """Work until a request is decided, or ``timeout`` seconds have passed.

        Without a timeout nothing depends on time: the same calls give the same batches.
        """
        if not self._decided:
            deadline = None if timeout is None else time.monotonic() + timeout
            self._decided = [self._answer(job) for job in self._engine.collect(deadline)]
        decided, self._decided = self._decided, []
        return decided

    def cancel(self) -> None:
        """Forget the requests that are under way."""
        self._engine.clear()
        self._decided = []

    def kept(self) -> tuple[int, int]:
        """Tokens that are kept for the slots' next turns, and the bytes that they take."""
        return (self._engine.slots.tokens, self._engine.slots.nbytes) if isinstance(self._engine, Engine) else (0, 0)

    def score(
        self, conversations: Iterable[Conversation], capture: Sequence[Capture] = ("logits", "hidden")
    ) -> Iterator[TokenOutputs]:
        """Run the model over fixed conversations (teacher forcing) and give its outputs for the assistant's tokens.

        Conversations beyond the model's context are cut on the right. The outputs of two models can be compared token
        by token if they have the same tokenizer and chat template.

        Args:
            conversations: What was said, the assistant's answers included.
            capture: ``"logits"``, ``"hidden"``, or both.

        Raises:
            ValueError: An unknown capture, or a chat template in which the assistant's text cannot be found.
        """
        if unknown := [c for c in capture if c not in get_args(Capture)]:
            raise ValueError(
                f"cannot capture {', '.join(map(repr, unknown))}; known are {', '.join(get_args(Capture))}"
            )
        return teacher_forced(
            self.model, self.tokenizer, self.chat, conversations, capture, stop_ids=self.stop_ids, context=self.context
        )

    def stream(
        self, conversations: Iterable[Conversation], layer: Callable[[NDArray[np.float32]], Any] | None = None
    ) -> Iterator[TokenOutputs]:
        """As :meth:`score`, without logits: the output layer makes those of a few tokens at a time.

        Args:
            conversations: What was said, the assistant's answers included.
            layer: What to keep of the hidden states behind each layer, shape [T, width] (before the final norm);
                nothing is called where the architecture does not tell its layers.

        Raises:
            ValueError: As :meth:`score`.
        """
        return teacher_forced(
            self.model,
            self.tokenizer,
            self.chat,
            conversations,
            None,
            stop_ids=self.stop_ids,
            context=self.context,
            layer=layer,
        )

    def _jobs(self, batch: Sequence[Request]) -> tuple[dict[int, Job], dict[int, Decision]]:
        """Jobs for the requests that the model has to answer, and decisions for the others, by their position."""
        prompts, decisions = self._prompter.read(batch)
        # Inside the model such a token would be an error of the whole batch, and on a GPU the end of the process.
        for i in [i for i, ids in prompts.items() if max(ids) >= self._vocabulary]:
            unknown = max(prompts.pop(i))
            decisions[i] = Decision(
                "",
                error=f"the tokenizer gives token {unknown}, and the model knows {self._vocabulary} only: they do not "
                "belong together",
            )
        return {i: self._job(batch[i], ids) for i, ids in prompts.items()}, decisions

    def _job(self, request: Request, ids: list[int]) -> Job:
        limit = min(self.max_new_tokens, self.context - len(ids))
        greedy = self._sampling["temperature"] == 0
        draws = None if greedy else uniforms(request.seed, request.step, limit, self._sampling_seed).tolist()
        return Job(request.slot, ids, limit, draws)

    def _answer(self, job: Job) -> tuple[int, Decision]:
        logprobs = tuple(job.logprobs) if self._logprobs else None
        usage = Usage(len(job.ids), len(job.tokens))
        return job.slot, Decision(self._prompter.text(job.tokens), usage, job.finish, job.error, logprobs)


def check_dtype(dtype: str) -> None:
    """Refuse names that are no dtype of a model.

    Raises:
        ValueError: It is unknown.
    """
    if dtype != "auto" and dtype not in DTYPES:
        raise ValueError(f"dtype must be auto, {', '.join(DTYPES)}, not {dtype!r}")


def _pick_device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        picked = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"unknown device {device!r}: {str(error).splitlines()[0]}") from error
    if picked.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device!r}: there is no GPU that this torch ({torch.__version__}) can use")
    return picked


def pick_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it: three times as fast there, three times as slow where it does not."""
    if dtype != "auto":
        return DTYPES[dtype]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type != "cpu":
        return torch.bfloat16
    abilities = torch.cpu.get_capabilities()
    native = any(abilities.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))
    return torch.bfloat16 if native else torch.float32


def _check_cache(kv_bits: int | None, cache_bytes: int | None) -> None:
    if kv_bits is not None and kv_bits not in BITS:
        raise ValueError(f"kv_bits must be one of {', '.join(map(str, BITS))}, or None to leave them, not {kv_bits!r}")
    if cache_bytes is not None and cache_bytes < 0:
        raise ValueError(f"cache_bytes must be 0 (keep nothing between turns) or above, not {cache_bytes}")


def _cache_bytes_per_token(model: Any) -> int:
    """Keys and values of one token, as far as the config tells."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * width * model.dtype.itemsize)


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 4 * 1024**3

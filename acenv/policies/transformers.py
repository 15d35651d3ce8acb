"""The ``hf`` policy: checkpoints of the Hugging Face format, run by transformers in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import torch

from acenv.policies.checkpoints import find_checkpoint, fingerprint, load_model, load_tokenizer
from acenv.policies.generation import Engine, Job
from acenv.policies.prompting import Prompter, context_length
from acenv.policies.sampling import check_sampling, uniforms
from acenv.policies.scoring import teacher_forced
from acenv.types import Capture, Conversation, Decision, Request, TokenOutputs, Usage

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class HFPolicy:
    """Lets a causal language model act.

    Conversations are rendered with the checkpoint's chat template, read in groups of like length, and answered
    together; finished ones leave the batch. What a slot's last turn left in the key-value cache is kept, so that the
    next turn reads only what is new. Greedy answers in float32 do not depend on the batch; sampled ones depend on the
    episode's seed and step.
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
        stop: Sequence[str] = (),
        dtype: str = "auto",
        device: str = "auto",
        dequantize: bool | None = None,
        reuse_cache: bool = True,
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
            stop: Texts that end an answer, beside the model's own stop tokens; they are cut off.
            dtype: ``"float32"``, ``"bfloat16"``, ``"float16"``, or ``"auto"``: bfloat16 where the hardware computes
                in it, else float32.
            device: A torch device; ``"auto"`` takes a GPU if there is one.
            dequantize: Turn packed weights into dense ones at load: quicker on a CPU, more memory. By default on a CPU.
            reuse_cache: Keep the key-value cache of a slot from one turn to the next.
            trust_remote_code: Let the checkpoint bring Python code of its own.
            allow_pickle: Accept ``.bin`` weights, which can run code when they are read.

        Raises:
            ValueError: A setting makes no sense, or the checkpoint cannot be loaded.
            ImportError: An engine for the checkpoint's format has to be installed.
        """
        check_sampling(max_new_tokens, temperature, top_p, top_k)
        check_dtype(dtype)
        self.name = name or Path(source).name
        self.capacity = capacity
        self.max_new_tokens = max_new_tokens
        self._sampling = {"temperature": float(temperature), "top_p": float(top_p), "top_k": int(top_k)}
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
        self._engine = Engine(
            self.model,
            stop_ids=self.stop_ids,
            ends=self._prompter.ends if self._prompter.stop else None,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            capacity=capacity,
            reuse_cache=reuse_cache,
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
            "max_new_tokens": self.max_new_tokens,
            "stop": list(self._prompter.stop),
            "versions": {library: version(library) for library in ("torch", "transformers", "tokenizers")},
        }

    def count_tokens(self, text: str) -> int:
        """How many tokens a text has; the tokenizer adds none of its own."""
        return len(self._prompter.encode([text], special=False)[0])

    def act(self, batch: Sequence[Request]) -> list[Decision]:
        """Answer every request.

        A conversation that fills the model's context gives ``finish="context"``, an answer that reaches the token limit
        ``finish="length"``; what fails for one request is that request's ``error``.
        """
        prompts, decisions = self._prompter.read(batch)
        jobs = {
            i: self._job(batch[i], ids, min(self.max_new_tokens, self.context - len(ids))) for i, ids in prompts.items()
        }
        self._engine.run(list(jobs.values()))
        for i, job in jobs.items():
            usage = Usage(len(job.ids), len(job.tokens))
            decisions[i] = Decision(self._prompter.text(job.tokens), usage, job.finish, job.error)
        return [decisions[i] for i in range(len(batch))]

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

    def _job(self, request: Request, ids: list[int], limit: int) -> Job:
        draws = uniforms(request.seed, request.step, limit) if self._sampling["temperature"] > 0 else None
        return Job(request.slot, ids, limit, draws)


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

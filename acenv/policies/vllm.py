"""The ``vllm`` policy: checkpoints run by vLLM, which answers each conversation beside the others.

vLLM pins a torch and a transformers of its own, so it lives in an environment beside the main one, with acenv installed
in both; the checkpoint's folder is what goes from one to the other.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
import time
import weakref
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, GenerationConfig

from acenv.policies.checkpoints import Checkpoint, find_checkpoint, fingerprint, load_tokenizer
from acenv.policies.prompting import Prompter, context_length
from acenv.policies.sampling import check_sampling, seed_of
from acenv.policies.transformers import check_dtype, pick_dtype
from acenv.silence import silenced
from acenv.types import Decision, EngineError, FinishReason, Request, Usage

_INT8_ACTIVATIONS = "VLLM_CPU_INT4_W4A8"
_ENVIRONMENT = {
    # The engine runs in this process: nothing is left behind when it ends, errors keep their reasons, what is sent to
    # it first is computed first, and a script needs no main guard.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    # Without it a model that computes nan says token 0, again and again.
    "VLLM_RAISE_ON_LOGIT_NANS": "1",
    # On processors with AMX vLLM would round the activations of 4 bit checkpoints to 8 bits: another model.
    _INT8_ACTIVATIONS: "0",
}


class VLLMPolicy:
    """Lets a causal language model act, with vLLM's continuous batching and prefix cache.

    It reads the same prompts as :class:`acenv.policies.transformers.HFPolicy`, token by token, and ends its answers in
    the same places. It is a streaming policy: an answer is given the moment it is finished. Sampled answers depend on
    the episode's seed and step; the last bits of the logits, and with them a rare greedy choice, on the batch.
    """

    def __init__(
        self,
        source: str,
        *,
        name: str | None = None,
        capacity: int = 64,
        max_new_tokens: int = 512,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        stop: Sequence[str] = (),
        logprobs: bool = False,
        dtype: str = "auto",
        max_model_len: int | None = None,
        gpu_memory_utilization: float = 0.9,
        kv_cache_gib: float | None = None,
        kv_cache_dtype: str = "auto",
        tensor_parallel_size: int = 1,
        enforce_eager: bool | None = None,
        trust_remote_code: bool = False,
        allow_pickle: bool = False,
    ) -> None:
        """Load a checkpoint: dense, GPTQ, AWQ, compressed-tensors, or what else vLLM finds in its config.

        Args:
            source: A folder, or an id on the Hugging Face hub.
            name: How reports call the policy; the last part of ``source`` by default.
            capacity: How many conversations are under way at once.
            max_new_tokens: Longer answers are cut, with ``finish="length"``.
            temperature: 0 takes the most probable token; above, tokens are drawn.
            top_p: Draw from the most probable tokens that together reach this probability.
            top_k: Draw from this many of the most probable tokens; 0 for all.
            stop: Texts that end an answer, beside the model's own stop tokens; they are cut off.
            logprobs: Give the logarithm of each written token's probability, before temperature and cuts.
            dtype: ``"float32"``, ``"bfloat16"``, ``"float16"``, or ``"auto"``: bfloat16 where the hardware computes
                in it, else float32 for dense weights, and what vLLM likes best for others.
            max_model_len: Tokens of prompt and answer together; by default all that the model can read.
            gpu_memory_utilization: Share of a GPU's memory for weights and cache.
            kv_cache_gib: Gibibytes for the key-value cache; by default what ``gpu_memory_utilization`` leaves on a
                GPU, and on a CPU ``VLLM_CPU_KVCACHE_SPACE`` or a quarter of the free memory.
            kv_cache_dtype: Of the key-value cache, as vLLM names it, such as ``"fp8"``; ``"auto"`` is the model's.
            tensor_parallel_size: Devices to spread each layer over; above 1 each has a process of its own.
            enforce_eager: Compile nothing; by default on a CPU, where compiling takes a minute.
            trust_remote_code: Let the checkpoint bring Python code of its own.
            allow_pickle: Accept ``.bin`` weights, which can run code when they are read.

        Raises:
            ValueError: A setting makes no sense, or the checkpoint cannot be loaded; the message says why.
            ImportError: vLLM is not installed.
        """
        check_sampling(max_new_tokens, temperature, top_p, top_k)
        check_dtype(dtype)
        if tensor_parallel_size < 1 or (max_model_len is not None and max_model_len < 2):
            raise ValueError("tensor_parallel_size must be at least 1, and max_model_len at least 2")
        if not 0 < gpu_memory_utilization <= 1 or (kv_cache_gib is not None and not kv_cache_gib > 0):
            raise ValueError("gpu_memory_utilization must be above 0 and at most 1, and kv_cache_gib above 0")
        self.name = name or Path(source).name
        self.capacity = capacity
        self.max_new_tokens = max_new_tokens
        self._checkpoint = find_checkpoint(source, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle)
        if self._checkpoint.gguf:
            raise ValueError(f"vLLM reads folders, and {source} is a GGUF file: use gguf:{source}")
        _check_installed()
        tokenizer = load_tokenizer(self._checkpoint, trust_remote_code=trust_remote_code)
        config = AutoConfig.from_pretrained(self._checkpoint.folder, trust_remote_code=trust_remote_code)
        self._engine = _start(
            self._checkpoint,
            dtype=dtype,
            max_model_len=max_model_len,
            max_num_seqs=capacity,
            gpu_memory_utilization=gpu_memory_utilization,
            kv_cache_memory_bytes=None if kv_cache_gib is None else int(kv_cache_gib * 2**30),
            kv_cache_dtype=kv_cache_dtype,
            tensor_parallel_size=tensor_parallel_size,
            enforce_eager=enforce_eager,
            trust_remote_code=trust_remote_code,
            load_format="auto" if allow_pickle else "safetensors",
        )
        self._closing = weakref.finalize(self, _stop, self._engine)
        limits = self._engine.vllm_config
        self._prompter = Prompter(
            tokenizer,
            generation_config=_generation_config(self._checkpoint, config),
            context=min(limits.model_config.max_model_len, context_length(config, tokenizer)),
            stop=stop,
        )
        self._settings: dict[str, Any] = {
            "temperature": float(temperature),
            "top_p": float(top_p),
            "top_k": int(top_k),
            "stop": list(self._prompter.stop),
        }
        self._gives_logprobs = logprobs
        self._description = {
            "policy": "vllm",
            "name": self.name,
            "checkpoint": fingerprint(self._checkpoint),
            "dtype": str(limits.model_config.dtype).removeprefix("torch."),
            "device": limits.device_config.device_type,
            **self._settings,
            "max_new_tokens": max_new_tokens,
            "context": self._prompter.context,
            "kv_cache_dtype": kv_cache_dtype,
            "tensor_parallel_size": tensor_parallel_size,
            "enforce_eager": limits.model_config.enforce_eager,
            **({_INT8_ACTIVATIONS: True} if os.environ[_INT8_ACTIVATIONS] != "0" else {}),
            "versions": {"vllm": _version()} | {n: version(n) for n in ("torch", "transformers", "tokenizers")},
        }
        self._count = 0
        self._under_way: dict[str, tuple[int, int]] = {}
        self._decided: list[tuple[int, Decision]] = []

    def describe(self) -> dict[str, Any]:
        """Everything that changes the answers: checkpoint, dtypes, sampling, limits, library versions."""
        return dict(self._description)

    def submit(self, batch: Sequence[Request]) -> None:
        """Hand requests to vLLM.

        A conversation that fills the model's context gives ``finish="context"``; one that cannot be rendered, or that
        vLLM refuses, gives that request's ``error``.
        """
        from vllm import SamplingParams, TokensPrompt
        from vllm.sampling_params import RequestOutputKind

        self._check_open()
        prompts, decisions = self._prompter.read(batch)
        self._decided += [(batch[i].slot, decision) for i, decision in decisions.items()]
        for i, ids in prompts.items():
            request = batch[i]
            key = f"{self._count}"
            self._count += 1
            settings = SamplingParams(
                **self._settings,
                max_tokens=min(self.max_new_tokens, self._prompter.context - len(ids)),
                stop_token_ids=sorted(self._prompter.stop_ids),
                seed=seed_of(request.seed, request.step),
                logprobs=0 if self._gives_logprobs else None,
                detokenize=bool(self._prompter.stop),
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
            try:
                self._engine.add_request(key, TokensPrompt(prompt_token_ids=ids), settings)
            except ValueError as error:
                self._decided.append((request.slot, Decision("", error=f"vLLM refuses the request: {error}")))
            except Exception as error:
                raise self._death(error) from error
            else:
                self._under_way[key] = request.slot, len(ids)

    def collect(self, timeout: float | None = None) -> list[tuple[int, Decision]]:
        """Run vLLM until an answer is finished, or for ``timeout`` seconds and the step that is under way then.

        Raises:
            EngineError: vLLM has died.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._decided and self._under_way:
            self._check_open()
            try:
                outputs = self._engine.step()
            except Exception as error:
                raise self._death(error) from error
            for output in outputs:
                if output.finished and (found := self._under_way.pop(output.request_id, None)):
                    slot, length = found
                    self._decided.append((slot, self._decision(length, output.outputs[0])))
            if deadline is not None and time.monotonic() >= deadline:
                break
        decided, self._decided = self._decided, []
        return decided

    def cancel(self) -> None:
        """Take back all requests that are under way."""
        if self._under_way and self._closing.alive:
            self._engine.abort_request(list(self._under_way))
        self._under_way, self._decided = {}, []

    def act(self, batch: Sequence[Request]) -> list[Decision]:
        """Answer every request, as :meth:`submit` and :meth:`collect` do.

        Raises:
            EngineError: vLLM has died.
        """
        self.submit(batch)
        slots = {request.slot for request in batch}
        decisions: dict[int, Decision] = {}
        while not slots <= decisions.keys():
            decisions |= dict(self.collect())
        # Others were submitted before.
        self._decided = [(slot, decision) for slot, decision in decisions.items() if slot not in slots]
        return [decisions[request.slot] for request in batch]

    def close(self) -> None:
        """Stop vLLM and its processes, and free its memory; also done when the policy is forgotten, and at exit."""
        self._under_way, self._decided = {}, []
        self._closing()
        self._engine = None
        gc.collect()  # Its parts refer to each other, and hold weights and cache.

    def _decision(self, prompt_length: int, output: Any) -> Decision:
        if output.finish_reason not in ("stop", "length"):
            return Decision("", error=f"vLLM gave the request up: {output.finish_reason}")
        tokens = list(output.token_ids)
        if tokens and tokens[-1] in self._prompter.stop_ids:
            del tokens[-1]
        finish: FinishReason = output.finish_reason
        logprobs = None
        if self._gives_logprobs:
            logprobs = [step[token].logprob for step, token in zip(output.logprobs, tokens, strict=False)]
        return Decision(self._prompter.text(tokens), Usage(prompt_length, len(tokens)), finish, logprobs=logprobs)

    def _check_open(self) -> None:
        if not self._closing.alive:
            raise EngineError(f"the policy {self.name!r} is closed, or its engine died; load it again")

    def _death(self, error: Exception) -> EngineError:
        self.close()
        if "NaNs detected" in str(error):
            return EngineError("the model computes nan: its weights are broken, or overflow in this dtype")
        return EngineError(
            f"vLLM's engine died: {type(error).__name__}: {error}. The finished episodes are safe; "
            "VLLM_LOGGING_LEVEL=INFO shows what led to it"
        )


def _check_installed() -> None:
    if importlib.util.find_spec("vllm") is None:
        raise ImportError(
            "vllm:PATH_OR_ID needs vLLM, in an environment of its own. In a clone of acenv: make vllm, and then "
            '.venv-vllm/bin/acenv; elsewhere, in a new environment: pip install "acenv[vllm]" (see docs/policies.md)'
        )


def _version() -> str:
    import vllm

    return str(vllm.__version__)


def _start(checkpoint: Checkpoint, *, dtype: str, **options: Any) -> Any:
    for variable, value in _ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    quiet = os.environ["VLLM_LOGGING_LEVEL"] == _ENVIRONMENT["VLLM_LOGGING_LEVEL"]
    hook = sys.excepthook
    try:
        with silenced() if quiet else nullcontext():
            from vllm import EngineArgs, LLMEngine

            arguments = EngineArgs(
                model=str(checkpoint.folder),
                enable_prefix_caching=True,
                disable_log_stats=True,
                generation_config="vllm",
                use_tqdm_on_load=False,
                **_for_platform(dtype, bool(checkpoint.quantization), options),
            )
            return LLMEngine.from_engine_args(arguments)
    except Exception as error:  # many libraries are at work in there
        # Checks of its settings add their whole input.
        reason = f"{type(error).__name__}: {error}".partition(" [type=")[0]
        if "root cause" in reason:  # It was in another process, which told the reason to the standard error alone.
            reason = "\n".join([reason, *getattr(error, "__notes__", ())])
        raise ValueError(f"vLLM cannot load {checkpoint.folder}: {reason}") from error
    finally:
        sys.excepthook = hook  # Its groups of processes, here one, put their rank in front of each traceback.


def _for_platform(dtype: str, is_quantized: bool, options: dict[str, Any]) -> dict[str, Any]:
    """Options for vLLM, with what depends on the hardware where it was left open."""
    import psutil
    from vllm.platforms import current_platform

    chosen = {"dtype": dtype, **options}
    if dtype == "auto" and not is_quantized:
        chosen["dtype"] = str(pick_dtype(dtype, torch.device(current_platform.device_type))).removeprefix("torch.")
    if chosen["enforce_eager"] is None:
        chosen["enforce_eager"] = current_platform.is_cpu()
    if chosen["kv_cache_memory_bytes"] is None and current_platform.is_cpu():
        # vLLM wants nearly all of the memory, and ends where another process uses some of it.
        gibibytes = os.environ.get("VLLM_CPU_KVCACHE_SPACE")
        chosen["kv_cache_memory_bytes"] = None if gibibytes else psutil.virtual_memory().available // 4
    return chosen


def _stop(engine: Any) -> None:
    engine.engine_core.shutdown()


def _generation_config(checkpoint: Checkpoint, config: Any) -> Any:
    """What transformers would give the model: the checkpoint's own, or what its config says."""
    if (checkpoint.folder / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(checkpoint.folder)
    return GenerationConfig.from_model_config(config)

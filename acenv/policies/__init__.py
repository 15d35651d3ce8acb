"""Policies: what acts in the environments. :func:`load_policy` makes one from a short text or a function."""

from __future__ import annotations

import importlib.util
import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from acenv.plugins import POLICIES, load, package_of, plugins
from acenv.policies.scripted import FunctionPolicy, OraclePolicy, RandomPolicy
from acenv.types import Policy

__all__ = ["NANO", "FunctionPolicy", "OraclePolicy", "RandomPolicy", "load_policy"]

SPECS = {
    "nano": "the built-in model",
    "oracle": "the environments' own experts",
    "random": "random text",
    "hf:PATH_OR_ID": "a checkpoint, run by transformers",
    "gguf:FILE": "a GGUF file, run by transformers",
    "vllm:PATH_OR_ID": "a checkpoint, run by vLLM in an environment of its own (make vllm)",
    "openai:MODEL@URL": "a model behind a server that speaks OpenAI's chat completions",
}
"""The specs that :func:`load_policy` knows, with what they mean."""

# Libraries that transformers looks for report what they lack, to people who never asked for them.
for _name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_name).setLevel(logging.ERROR)
NANO = Path(__file__).parent / "nano"


def load_policy(spec: str | Callable[..., str], **options: Any) -> Policy:
    """Make a policy.

    Args:
        spec: One of :data:`SPECS`, such as ``"nano"`` or ``"hf:PATH_OR_ID"``, ``"NAME"`` or ``"NAME:TARGET"`` of a
            policy that another package adds (see :mod:`acenv.plugins`; it is called with the target, if there is one,
            and with the options), or a function ``messages -> text`` or ``(messages, tools) -> text``.
        options: Passed on: ``capacity`` for all policies; for models also what
            :class:`acenv.policies.transformers.HFPolicy` takes, such as ``temperature`` and ``max_new_tokens``.

    Raises:
        ValueError: An unknown spec or option, or a checkpoint that cannot be loaded; the message says why.
        ImportError: Something has to be installed; the message says how.

    >>> load_policy("oracle").name
    'oracle'
    """
    if callable(spec):
        return _build(FunctionPolicy, spec, **options)
    kind, _, target = str(spec).partition(":")
    if spec == "oracle":
        return _build(OraclePolicy, **options)
    if spec == "random":
        return _build(RandomPolicy, **options)
    if spec == "nano":
        return _build(_hf_policy(), str(NANO), **{"name": "nano", **options})
    if kind == "hf" and target:
        return _build(_hf_policy(), target, **options)
    if kind == "gguf" and target:
        if importlib.util.find_spec("gguf") is None:
            raise ImportError('reading GGUF files needs the gguf package: pip install "acenv[hf]" gguf')
        return _build(_hf_policy(), target, **options)
    if kind == "vllm" and target:
        return _build(_vllm_policy(), target, **options)
    if kind == "openai":
        if importlib.util.find_spec("aiohttp") is None:
            raise ImportError('asking a server needs aiohttp: pip install "acenv[openai]"')
        from acenv.policies.openai import OpenAIPolicy

        return _build(OpenAIPolicy, target, **options)
    if kind in plugins(POLICIES):
        return _build(load(POLICIES, kind), *([target] if target else []), **options)
    added = {name: f"of {package_of(plugin)}" for name, plugin in plugins(POLICIES).items()}
    known = "\n".join(f"  {name:14} {meaning}" for name, meaning in (SPECS | added).items())
    raise ValueError(f"unknown policy {spec!r}. Known are\n{known}\n  or a function messages -> text")


def _vllm_policy() -> Callable[..., Policy]:
    _check_torch()
    from acenv.policies.vllm import VLLMPolicy

    return VLLMPolicy


def _hf_policy() -> Callable[..., Policy]:
    _check_torch()
    from acenv.policies.transformers import HFPolicy

    return HFPolicy


def _check_torch() -> None:
    missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f'running a model needs {" and ".join(missing)}: pip install "acenv[hf]"')


def _build(make: Callable[..., Policy], *arguments: Any, **options: Any) -> Policy:
    known = [p.name for p in inspect.signature(make).parameters.values() if p.kind == p.KEYWORD_ONLY]
    if unknown := [name for name in options if name not in known]:
        raise ValueError(
            f"unknown option {', '.join(map(repr, unknown))} for {getattr(make, '__name__', make)}; "
            f"it takes {', '.join(known)}"
        )
    capacity = options.get("capacity", 1)
    if not isinstance(capacity, int) or capacity < 1:
        raise ValueError(f"capacity must be a whole number of conversations, 1 or more, not {capacity!r}")
    return make(*arguments, **options)

"""acenv: agent environments as Gymnasium tasks, and the evidence whether a compressed LLM still acts in them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from acenv.registry import env_ids, register, suites

if TYPE_CHECKING:
    from acenv.analysis.replay import replay
    from acenv.analysis.report_data import gather
    from acenv.compression import compress
    from acenv.evaluation import evaluate
    from acenv.policies import load_policy
    from acenv.runs import Results, RunError
    from acenv.studies.attribute import attribute
    from acenv.studies.bench import load_bench
    from acenv.studies.sweep import sweep
    from acenv.types import (
        Conversation,
        Decision,
        Episode,
        Message,
        Policy,
        Request,
        StreamingPolicy,
        Transcript,
        Usage,
    )

__version__ = "0.1.0"

# Loaded when first used: importing acenv must stay quick, and must not import torch.
_LAZY = {
    "Conversation": "acenv.types",
    "Decision": "acenv.types",
    "Episode": "acenv.types",
    "Message": "acenv.types",
    "Policy": "acenv.types",
    "Request": "acenv.types",
    "Results": "acenv.runs",
    "RunError": "acenv.runs",
    "StreamingPolicy": "acenv.types",
    "Transcript": "acenv.types",
    "Usage": "acenv.types",
    "attribute": "acenv.studies.attribute",
    "compress": "acenv.compression",
    "evaluate": "acenv.evaluation",
    "gather": "acenv.analysis.report_data",
    "load_bench": "acenv.studies.bench",
    "load_policy": "acenv.policies",
    "replay": "acenv.analysis.replay",
    "sweep": "acenv.studies.sweep",
}

__all__ = [
    "Conversation",
    "Decision",
    "Episode",
    "Message",
    "Policy",
    "Request",
    "Results",
    "RunError",
    "StreamingPolicy",
    "Transcript",
    "Usage",
    "attribute",
    "compress",
    "env_ids",
    "evaluate",
    "gather",
    "load_bench",
    "load_policy",
    "replay",
    "suites",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'acenv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


register()

"""The environments by name: registered with Gymnasium as strings, so that importing acenv imports none of them."""

from __future__ import annotations

import difflib

import gymnasium

_ENTRY_POINTS = {
    "acenv/WorkflowFunctionCall-v0": "acenv.envs.workflow.environment:WorkflowFunctionCallEnv",
    "acenv/WorkflowEmbodied-v0": "acenv.envs.workflow.environment:WorkflowEmbodiedEnv",
    "acenv/WorkflowProblemSolving-v0": "acenv.envs.workflow.environment:WorkflowProblemSolvingEnv",
    "acenv/WorkflowOpenGrounded-v0": "acenv.envs.workflow.environment:WorkflowOpenGroundedEnv",
    "acenv/ToolSandbox-v0": "acenv.envs.tools.sandbox:ToolSandboxEnv",
    "acenv/ToolInstruct-v0": "acenv.envs.tools.teval.environments:ToolInstructEnv",
    "acenv/ToolPlan-v0": "acenv.envs.tools.teval.environments:ToolPlanEnv",
    "acenv/ToolReason-v0": "acenv.envs.tools.teval.environments:ToolReasonEnv",
    "acenv/ToolRetrieve-v0": "acenv.envs.tools.teval.environments:ToolRetrieveEnv",
    "acenv/ToolUnderstand-v0": "acenv.envs.tools.teval.environments:ToolUnderstandEnv",
    "acenv/ToolReview-v0": "acenv.envs.tools.teval.environments:ToolReviewEnv",
    "acenv/BFCL-v0": "acenv.envs.tools.bfcl.environment:BFCLEnv",
    "acenv/Needle-v0": "acenv.envs.longcontext.needle:NeedleEnv",
    "acenv/LongBench-v0": "acenv.envs.longcontext.longbench.environment:LongBenchEnv",
    "acenv/LongGenBench-v0": "acenv.envs.longcontext.longgenbench.environment:LongGenBenchEnv",
    "acenv/Ruler-v0": "acenv.envs.longcontext.ruler.environment:RulerEnv",
    "acenv/PDDL-v0": "acenv.envs.world.environment:PDDLEnv",
}


def _ids(*names: str) -> tuple[str, ...]:
    return tuple(f"acenv/{name}-v0" for name in names)


_WORKFLOW = _ids("WorkflowFunctionCall", "WorkflowEmbodied", "WorkflowProblemSolving", "WorkflowOpenGrounded")
_TEVAL = _ids("ToolInstruct", "ToolPlan", "ToolReason", "ToolRetrieve", "ToolUnderstand", "ToolReview")

suites: dict[str, tuple[str, ...]] = {
    "quick": _ids("WorkflowFunctionCall", "ToolSandbox", "Needle", "PDDL"),
    "acbench": (*_WORKFLOW, *_TEVAL, *_ids("LongBench", "LongGenBench", "Needle", "PDDL")),
    "workflow": _WORKFLOW,
    "toolcalling": (*_TEVAL, *_ids("ToolSandbox", "BFCL")),
    "longcontext": _ids("Needle", "LongBench", "LongGenBench", "Ruler"),
    "worlds": _ids("PDDL"),
}
"""Named lists of environments, for ``acenv eval`` and ``acenv bench``. ``"acbench"`` has the tasks of the paper *Can
Compressed LLMs Truly Act?*; the documentation says which task is which environment."""


def register() -> None:
    """Make the environments known to ``gymnasium.make``; a second call changes nothing."""
    for env_id, entry_point in _ENTRY_POINTS.items():
        if env_id not in gymnasium.registry:
            # The environments check every action themselves and have no fixed order of calls to enforce.
            gymnasium.register(env_id, entry_point=entry_point, disable_env_checker=True, order_enforce=False)


def env_ids() -> list[str]:
    """Every registered id under ``acenv/``, those of other packages included."""
    return sorted(name for name in gymnasium.registry if name.startswith("acenv/"))


def resolve_env_ids(names: list[str] | tuple[str, ...] | str) -> list[str]:
    """Turn ids, ids without prefix or version, and names of suites into ids, in order and without repeats.

    Raises:
        ValueError: A name is none of these; the message has the closest ones.

    >>> resolve_env_ids("needle")
    ['acenv/Needle-v0']
    """
    known: dict[str, tuple[str, ...]] = {name: (name,) for name in gymnasium.registry}
    for env_id in env_ids():
        short = env_id.removeprefix("acenv/")
        for alias in (short, short.rsplit("-v", 1)[0]):
            known.setdefault(alias.lower(), (env_id,))
    known |= suites
    found: list[str] = []
    for name in [names] if isinstance(names, str) else names:
        ids = known.get(name) or known.get(name.lower())
        if ids is None:
            close = difflib.get_close_matches(name, [*suites, *env_ids()], n=3, cutoff=0.4)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise ValueError(f"no environment or suite is called {name!r}{hint} ('acenv envs' lists them)")
        found.extend(ids)
    return list(dict.fromkeys(found))

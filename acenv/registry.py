"""The environments by name: registered with Gymnasium as strings, so that importing acenv imports none of them."""

from __future__ import annotations

import difflib

import gymnasium

_ENTRY_POINTS = {
    "acenv/WorkflowFunctionCall-v0": "acenv.envs.workflow.environment:WorkflowFunctionCallEnv",
    "acenv/ToolSandbox-v0": "acenv.envs.tools.sandbox:ToolSandboxEnv",
    "acenv/Needle-v0": "acenv.envs.longcontext.needle:NeedleEnv",
    "acenv/PDDL-v0": "acenv.envs.world.environment:PDDLEnv",
}

suites: dict[str, tuple[str, ...]] = {
    "quick": tuple(_ENTRY_POINTS),
    "workflow": ("acenv/WorkflowFunctionCall-v0",),
    "toolcalling": ("acenv/ToolSandbox-v0",),
    "longcontext": ("acenv/Needle-v0",),
    "worlds": ("acenv/PDDL-v0",),
}
"""Named lists of environments, for ``acenv eval`` and ``acenv bench``."""


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

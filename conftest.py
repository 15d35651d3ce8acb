"""Which modules are searched for doctests: not those that stand on packages of another environment."""

from importlib.util import find_spec

_STANDS_ON = {
    "acenv/adapters/inspect_ai.py": "inspect_ai",
    "acenv/adapters/openenv.py": "openenv",
    "acenv/adapters/verifiers.py": "verifiers",
}

collect_ignore = [path for path, package in _STANDS_ON.items() if find_spec(package) is None]

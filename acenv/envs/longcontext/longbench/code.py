"""The next line of code, which the rest of the file, or of the repository, settles."""

from __future__ import annotations

import numpy as np

from acenv.envs.base import pick
from acenv.envs.longcontext.longbench.drafts import Draft, Size, things
from acenv.envs.longcontext.words import ANIMALS, KINDS

_ASK = "Write the next line of this code. Give that line only, with its indentation."


def _name(thing: str) -> str:
    return thing.replace(" ", "_")


def one_file(rng: np.random.Generator, size: Size) -> Draft:
    """Functions that all follow one pattern; at the larger size a line holds a number that stands far above."""
    parts = things(rng, max(8, size.words // 45))
    addresses = pick(rng, range(100, 10000), len(parts))
    lines = [f"{_name(part).upper()} = {address}" for part, address in zip(parts, addresses, strict=True)]
    pairs = list(zip(parts, addresses, strict=True))
    functions = []
    for part, address in pick(rng, pairs, len(pairs)):
        place = str(address) if size.hops > 2 else _name(part).upper()
        name = _name(part)
        functions += [
            [
                f"def read_{name}(store):",
                f"    require(store, {place})",
                f"    {name} = store.load({place})",
                f"    return {name}",
            ],
            [
                f"def write_{name}(store, {name}):",
                f"    require(store, {place})",
                f"    store.save({place}, {name})",
                "    return store",
            ],
            [
                f"def clear_{name}(store):",
                f"    require(store, {place})",
                f"    store.remove({place})",
                "    return store",
            ],
        ]
    functions = pick(rng, functions, len(functions))
    last = functions[-1]
    cut = int(rng.integers(1, 3))
    body = "\n\n\n".join("\n".join(function) for function in [*functions[:-1], last[:cut]])
    return Draft(f"{_ASK}\n\n" + "\n".join(lines) + f"\n\n\n{body}\n", (last[cut],))


def repository(rng: np.random.Generator, size: Size) -> Draft:
    """A call of a function that another file defines, with its parameters in that file's order."""
    each = 4
    modules = [_name(thing) for thing in things(rng, max(size.items, size.words // 60))]
    files: dict[str, dict[str, list[str]]] = {}
    for module in modules:
        verbs = pick(rng, ("open", "close", "move", "paint", "weigh", "count"), each)
        files[module] = {f"{verb}_{module}": pick(rng, KINDS, int(rng.integers(2, 5))) for verb in verbs}
    text = []
    for module, functions in files.items():
        text.append(f"file: {module}.py")
        for function, names in functions.items():
            animal = pick(rng, ANIMALS)
            text += [
                f"def {function}({', '.join(names)}):",
                f"    return send({animal!r}, {', '.join(sorted(names))})",
                "",
            ]
    used = pick(rng, modules, size.items)
    calls = []
    for module in used:
        function = str(pick(rng, list(files[module])))
        calls.append((module, function, f"    {function}({', '.join(files[module][function])})"))
    main = ["file: main.py", *(f"from {module} import {function}" for module, function, _ in calls), ""]
    main += [f"def run({', '.join(KINDS)}):", "    # every function that is imported, in that order"]
    known = int(rng.integers(2, size.items))
    main += [line for _, _, line in calls[:known]]
    return Draft(f"{_ASK}\n\n" + "\n".join([*text, *main]) + "\n", (calls[known][2],))

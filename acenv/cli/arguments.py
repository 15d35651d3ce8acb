"""What is typed on the command line: the options that several verbs share, and how their values are read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from acenv.cli.display import errors
from acenv.registry import MissingSimulatorError, check_installed, missing, resolve_env_ids

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]
Difficulty = Annotated[str, typer.Option(help="easy, medium or hard.")]
EnvOptions = Annotated[
    list[str] | None, typer.Option("--env-option", help="NAME=VALUE for the environments, VALUE in JSON; repeatable.")
]
PolicyOptions = Annotated[
    list[str] | None, typer.Option("--policy-option", help="NAME=VALUE for the policy, VALUE in JSON; repeatable.")
]
SkipMissing = Annotated[
    bool, typer.Option("--skip-missing", help="Leave out environments whose simulator is not installed.")
]

CALIBRATION = "transcripts, transcripts:SUITE_OR_ENVS, text:FILE or run:FOLDER, with ?samples=64&seed=0 behind it."
Calibrations = Annotated[
    list[str] | None, typer.Option("--calibration", help=f"{CALIBRATION} Repeatable: each method with each of them.")
]
Baselines = Annotated[
    list[Path] | None,
    typer.Option("--baseline", help="Run, bench or sweep folder: its episodes of the original are used again."),
]
Jobs = Annotated[int, typer.Option(min=1, help="Processes side by side; more than 1 pays for small models.")]

_SPREAD = ("--methods", "--envs", "--suite")
# Verbs without positional arguments, which a list of values would otherwise swallow.
_SPREAD_BY_VERB = {
    "bench": ("--calibration", "--baseline"),
    "sweep": ("--calibration", "--baseline", "--bits", "--sparsity", "--difficulty"),
}


def spread(arguments: Sequence[str]) -> list[str]:
    """Let ``--methods A B C`` stand for ``--methods A --methods B --methods C``."""
    lists = (*_SPREAD, *_SPREAD_BY_VERB.get(arguments[0] if arguments else "", ()))
    found: list[str] = []
    flag = ""
    for argument in arguments:
        if argument.startswith("-"):
            flag = argument if argument in lists else ""
            found.append(argument)
        elif flag and found[-1] != flag:
            found += [flag, argument]
        else:
            found.append(argument)
    return found


def options(pairs: Sequence[str] | None, flag: str) -> dict[str, Any]:
    """Read ``NAME=VALUE`` pairs; a value that is no JSON is taken as text.

    Raises:
        typer.BadParameter: A pair without an equals sign; ``flag`` says of which option.
    """
    values: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint=flag)
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values


def one_env(name: str) -> str:
    """The id of a single environment, however it is written.

    Raises:
        typer.BadParameter: The name stands for several.
    """
    ids = resolve_env_ids(name)
    if len(ids) != 1:
        raise typer.BadParameter(f"{name!r} names {len(ids)} environments; take one: {', '.join(ids)}")
    return ids[0]


def env_list(names: Sequence[str], skip_missing: bool) -> list[str]:
    """The ids that names and suites stand for, less those that are to be left out, which are told.

    Raises:
        MissingSimulatorError: A simulator is not installed and is not to be left out, or none is left.
    """
    ids = resolve_env_ids(list(names))
    if not skip_missing:
        try:
            check_installed(ids)
        except MissingSimulatorError as error:
            raise MissingSimulatorError(f"{error} (or leave them out with --skip-missing)") from None
        return ids
    there = [env_id for env_id in ids if not missing(env_id)]
    for env_id in ids:
        if env_id not in there:
            errors.print(f"left out: {env_id} ({missing(env_id)})", markup=False, highlight=False)
    if not there:
        check_installed(ids)
    return there

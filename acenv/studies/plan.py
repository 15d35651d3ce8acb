"""What a bench and a sweep have in common: one model, compressed versions of it, and what all of them act in.

A plan is carried out in a folder. Every step leaves a file behind and does nothing where its file is there, so that a
plan that was stopped goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acenv.analysis.sequential import looks
from acenv.calibration import DEFAULT, Evaluated, check
from acenv.calibration import parse as parse_spec
from acenv.compressors import Method, parse
from acenv.registry import check_installed
from acenv.runs import RunError
from acenv.studies.baseline import dense_runs

DENSE = "dense"
"""Name of the run of the original model."""

NOISES = {"batch size": "dense-again", "dtype": "dense-dtype", "sampling seed": "dense-seed"}
"""Further runs of the original, by what is changed: they show what is noise."""

NOISE_EPISODES = 25
"""Episodes an environment of each of them, unless more are asked for."""


@dataclass(frozen=True, slots=True)
class Version:
    """A compressed model.

    Attributes:
        slug: Its name in folders and tables.
        method: Its method string, with all options.
        calibration: The spec of what it is calibrated on; ``None`` where the method looks at nothing.
    """

    slug: str
    method: str
    calibration: str | None = None


@dataclass(frozen=True, slots=True)
class Arena:
    """What all versions act in.

    Attributes:
        folder: Holds ``runs/<version>``.
        env_ids: Environments.
        env_kwargs: Their keywords.
        episodes: Episodes an environment; the seeds are 0 to ``episodes - 1``.
    """

    folder: Path
    env_ids: tuple[str, ...]
    env_kwargs: Mapping[str, Any]
    episodes: int

    @property
    def difficulty(self) -> str:
        """The difficulty of the tasks; the environments' own default is medium."""
        return str(self.env_kwargs.get("difficulty", "medium"))

    def run(self, name: str) -> Path:
        """The run folder of a version."""
        return self.folder / "runs" / name


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the steps need to know.

    Attributes:
        folder: Holds ``checkpoints``, ``calibration``, and the arenas.
        model: ``"nano"``, a checkpoint folder, a GGUF file or a hub id.
        versions: What is made of it.
        arenas: What it and they act in.
        policy: Options of the policies, such as ``max_new_tokens``.
        baselines: Folders with runs of the original that are used again: run, bench or sweep folders.
        replayed: Episodes an environment whose transcripts both models read, for the internals; 0 for none.
        noise: What is changed for the noise floors; see :data:`NOISES`.
        noise_episodes: Episodes an environment of each of them.
        until_ci: Half the width of the interval of a difference at which an environment is stopped; ``None``: never.
        jobs: Processes that work side by side.
    """

    folder: Path
    model: str
    versions: tuple[Version, ...]
    arenas: tuple[Arena, ...]
    policy: Mapping[str, Any]
    baselines: tuple[Path, ...] = ()
    replayed: int = 0
    noise: tuple[str, ...] = ("batch size",)
    noise_episodes: int = NOISE_EPISODES
    until_ci: float | None = None
    jobs: int = 1

    @property
    def noises(self) -> dict[str, str]:
        """Names of the runs that show what is noise, by what is changed; the seed only where tokens are drawn."""
        wanted = (*self.noise, "sampling seed") if float(self.policy.get("temperature") or 0) > 0 else self.noise
        return {changed: NOISES[changed] for changed in wanted} if self.noise_episodes else {}

    def checkpoint(self, name: str) -> Path:
        """The folder of a version's checkpoint."""
        return self.folder / "checkpoints" / name


def make_versions(methods: Sequence[Method], calibrations: Sequence[str]) -> tuple[Version, ...]:
    """Every method that looks at texts with every calibration, the other methods once.

    A version's name ends with its calibration, unless that is the default one: so a folder to which calibrations are
    added keeps the names that it has.

    Raises:
        ValueError: A calibration makes no sense, or two versions would have the same name.
    """
    specs = [parse_spec(text) for text in calibrations]
    versions: list[Version] = []
    for method in methods:
        if not method.needs_calibration:
            versions.append(Version(method.slug, str(method)))
            continue
        for spec in specs:
            suffix = "" if str(spec) == DEFAULT else f".{spec.slug}"
            versions.append(Version(method.slug + suffix, str(method), str(spec)))
    if len({v.slug for v in versions}) < len(versions):
        slugs = [v.slug for v in versions]
        twice = next(v for v in versions if slugs.count(v.slug) > 1)
        clash = [
            f"{v.method} on {v.calibration}" if v.calibration else v.method for v in versions if v.slug == twice.slug
        ]
        raise ValueError(
            f"two of the methods are the same, or would have the same name {twice.slug}: {' and '.join(clash)}"
        )
    return tuple(versions)


def check_plan(plan: Plan) -> None:
    """Find all that can be known to be wrong before anything is written or loaded.

    Raises:
        ValueError: A number makes no sense, or a version would be calibrated on what it is to act in.
        RunError: The folder of a recorded run or of a baseline holds none.
        ImportError: An engine or a simulator is missing; the message names the command.
    """
    for version in plan.versions:
        parse(version.method).check_installed()
    for arena in plan.arenas:
        if arena.episodes < 1 or plan.jobs < 1:
            raise ValueError(f"episodes and jobs must be at least 1, not {arena.episodes} and {plan.jobs}")
        if plan.noise_episodes < 0:
            raise ValueError(f"noise_episodes must be 0 (no noise floor) or more, not {plan.noise_episodes}")
        if plan.until_ci is not None:
            looks(plan.until_ci, arena.episodes)
        check_installed(arena.env_ids)
        for text in dict.fromkeys(v.calibration for v in plan.versions if v.calibration):
            check(parse_spec(text), Evaluated(arena.env_ids, arena.env_kwargs, arena.episodes))
    for baseline in plan.baselines:
        dense_runs(baseline, DENSE)


def claim(path: Path, asked: Mapping[str, Any], fixed: Sequence[str]) -> None:
    """Write down what a folder is for, or make sure that it is for the same.

    Args:
        path: The JSON file in the folder, which holds what was asked for under ``"settings"`` or as a whole.
        asked: What is asked for now, in the same form.
        fixed: What must be equal; everything else only adds to what is there.

    Raises:
        RunError: It is for something else, or cannot be written.
    """
    if path.exists():
        there = read_json(path, "is no such folder")
        old, new = there.get("settings", there), asked.get("settings", asked)
        if changes := [f"  {n}: {old.get(n)!r} in the folder, {new[n]!r} now" for n in fixed if old.get(n) != new[n]]:
            raise RunError(
                f"{path.parent} holds work with other settings:\n"
                + "\n".join(changes)
                + "\nChoose another folder with --out."
            )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, asked)
    except OSError as error:
        raise RunError(f"cannot write to {path.parent}: {error.strerror or error}") from error


def read_json(path: Path, problem: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        RunError: It is missing, for which ``problem`` says what that means for its folder, or it is damaged.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path.parent} {problem} ({path.name} is missing)") from None
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}") from error
    if not isinstance(data, dict):
        raise RunError(f"{path} should hold a JSON object")
    return data


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON object whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)

"""What a compressor looks at, by a short spec; :mod:`acenv.texts` draws the texts.

================================== ===================================================================================
``transcripts``                    the experts' transcripts of the train split
``transcripts:toolcalling,PDDL``   the same, of these suites and environments
``text:corpus.txt``                paragraphs of a text file, or lines of a ``.jsonl`` with ``text`` or ``messages``
``run:runs/train?min_return=0.5``  what a model itself did in a recorded run of train tasks
================================== ===================================================================================

Options stand behind a question mark, with ``&`` between: ``samples`` (default 64) and ``seed`` (default 0) for all,
``difficulty`` for transcripts, ``min_return`` for runs. Samples are drawn evenly over the environments. Tasks of the
test split never get in: what a model is tested on must not have shaped it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

from acenv.envs.base import Difficulty
from acenv.registry import resolve_env_ids
from acenv.runs import Results
from acenv.slots import keywords_of

DEFAULT = "transcripts"
"""The calibration that is taken where nothing else is asked for."""

SEEDS = 1_000_000
"""Train seeds that belong to one ``seed`` of a spec; the upper half of them is for held-out texts."""


@dataclass(frozen=True, slots=True)
class Spec:
    """Where calibration texts come from; ``str()`` gives what :func:`parse` reads.

    Attributes:
        kind: ``"transcripts"``, ``"text"`` or ``"run"``.
        target: Names of environments with commas between, a file, or a run folder.
        samples: Texts to draw; fewer where there are not so many.
        seed: Another seed draws others.
        difficulty: Of transcripts; empty for what the caller acts at.
        min_return: Of a run, only episodes with at least this return.
    """

    kind: str
    target: str = ""
    samples: int = 64
    seed: int = 0
    difficulty: str = ""
    min_return: float = 0.0

    @property
    def options(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
        return {f.name: value for f in fields(self)[2:] if (value := getattr(self, f.name)) != f.default}

    @property
    def slug(self) -> str:
        """A name for files and tables, such as ``text-corpus`` or ``run-train-min_return0.5``."""
        target = Path(self.target).expanduser().resolve().name if self.kind == "run" else Path(self.target).stem
        if self.kind == "transcripts":
            target = self.target
        parts = [self.kind, target, *(f"{name}{value}" for name, value in self.options.items())]
        return "-".join(re.sub(r"[^\w.]+", "-", part).strip("-.") for part in parts if part)

    def __str__(self) -> str:
        options = "&".join(f"{name}={value}" for name, value in self.options.items())
        return self.kind + (f":{self.target}" if self.target else "") + (f"?{options}" if options else "")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What compressed models will act on, and must therefore not have seen.

    Attributes:
        env_ids: Environments.
        env_kwargs: Their keywords, ``split`` among them.
        episodes: The seeds are 0 to ``episodes - 1``.
    """

    env_ids: tuple[str, ...]
    env_kwargs: Mapping[str, Any]
    episodes: int

    def train_seeds(self) -> set[tuple[str, int]]:
        """``(env_id, seed)`` of the train tasks among them; as a rule there are none."""
        acted = [e for e in self.env_ids if keywords_of(e, self.env_kwargs).get("split") == "train"]
        return {(env_id, seed) for env_id in acted for seed in range(self.episodes)}


def parse(text: str) -> Spec:
    """Parse a spec; nothing is opened.

    Raises:
        ValueError: It makes no sense; the message says what would.

    >>> parse("transcripts:toolcalling?samples=128")
    Spec(kind='transcripts', target='toolcalling', samples=128, seed=0, difficulty='', min_return=0.0)
    >>> parse("text:data/corpus.txt").slug
    'text-corpus'
    """
    known = "transcripts, transcripts:SUITE_OR_ENVS, text:FILE, run:FOLDER"
    kind, colon, rest = text.strip().partition(":")
    if not colon:
        kind, mark, query = kind.partition("?")
        target = ""
    else:
        target, mark, query = rest.rpartition("?")
        if not mark:
            target, query = rest, ""
    if kind not in ("transcripts", "text", "run"):
        near = difflib.get_close_matches(kind, ("transcripts", "text", "run"), n=1, cutoff=0.6)
        hint = (
            f" (did you mean {near[0]}?)" if near else f" (did you mean text:{text}?)" if Path(text).is_file() else ""
        )
        raise ValueError(f"unknown calibration {_short(text)!r}{hint}. Known: {known}; texts themselves go in a list")
    if kind != "transcripts" and not target:
        raise ValueError(f"calibration {_short(text)!r} names no {'file' if kind == 'text' else 'folder'}: {known}")
    if kind == "transcripts" and target:
        resolve_env_ids(names_in(target))
    return Spec(kind, target, **_options(kind, query, text) if mark else {})


def _options(kind: str, query: str, text: str) -> dict[str, Any]:
    types: dict[str, type[int] | type[float] | type[str]] = {"samples": int, "seed": int}
    if kind == "transcripts":
        types["difficulty"] = str
    elif kind == "run":
        types["min_return"] = float
    values: dict[str, Any] = {}
    for part in query.split("&"):
        name, equals, raw = part.partition("=")
        if not equals or name not in types or name in values:
            raise ValueError(
                f"{_short(part)!r} in the calibration {_short(text)!r} is no option; "
                f"{kind} takes {', '.join(f'{n}=…' for n in types)}, each once, with & between"
            )
        try:
            values[name] = types[name](raw)
        except ValueError:
            raise ValueError(f"calibration {_short(text)!r}: {name} must be a number, not {_short(raw)!r}") from None
    if not 1 <= values.get("samples", 1) <= SEEDS // 2 or not 0 <= values.get("seed", 0) < 2**31:
        raise ValueError(f"calibration {_short(text)!r}: samples must be 1 to {SEEDS // 2}, seed 0 or more")
    if not 0.0 <= values.get("min_return", 0.0) <= 1.0:
        raise ValueError(f"calibration {_short(text)!r}: min_return must be between 0 and 1")
    if values.get("difficulty", "easy") not in get_args(Difficulty):
        raise ValueError(
            f"calibration {_short(text)!r}: difficulty must be one of {', '.join(get_args(Difficulty))}, "
            f"not {_short(values['difficulty'])!r}"
        )
    return values


def check(spec: Spec, evaluated: Evaluated | None = None) -> None:
    """Check that a spec's file or run is there, and that no task gets in that must not; no text is drawn.

    Args:
        spec: Where the texts come from.
        evaluated: What the compressed models will act on.

    Raises:
        ValueError: It cannot be used; the message names the way out.
        RunError: The folder holds no run.
    """
    acted = evaluated.train_seeds() if evaluated is not None else set()
    if spec.kind == "text":
        file = Path(spec.target).expanduser()
        if not file.is_file():
            raise ValueError(f"calibration {spec}: there is no file {file}")
        if file.name == "transcripts.jsonl" and (file.parent / "manifest.json").exists():
            raise ValueError(f"{file} belongs to a recorded run: use run:{file.parent}, which looks at its tasks first")
    elif spec.kind == "run":
        results = Results.load(Path(spec.target).expanduser())
        _refuse_test_tasks(spec, results)
        if shared := sorted(acted & results.returns().keys()):
            raise ValueError(
                f"calibration {spec}: {len(shared)} of its episodes ({shared[0][0]} seed {shared[0][1]} first) are "
                "among those that the compressed models are to act in; record others with --first-seed"
            )
    elif acted:
        named = set(resolve_env_ids(names_in(spec.target))) if spec.target else {env_id for env_id, _ in acted}
        mine = range(spec.seed * SEEDS, (spec.seed + 1) * SEEDS)
        if shared := sorted(key for key in acted if key[0] in named and key[1] in mine):
            raise ValueError(
                f"calibration {spec}: the models are to act in train tasks ({shared[0][0]} seed {shared[0][1]} first), "
                f"and would be calibrated on the very same: use {spec.kind}{':' if spec.target else ''}{spec.target}"
                f"?seed={spec.seed + 1}, or act in the test split"
            )


def _refuse_test_tasks(spec: Spec, results: Results) -> None:
    keywords = results.manifest.get("env_kwargs") or {}
    for env_id in dict.fromkeys(episode.env_id for episode in results.episodes):
        own = keywords_of(env_id, keywords)
        if own.get("split", "test") != "train":
            raise ValueError(
                f"calibration {spec}: its {env_id} episodes are of the test split, and a model must not be calibrated "
                "on what it is tested on. Record train tasks: acenv eval --env-option split=train --out FOLDER …"
            )
        # Tasks that are not made up by the environment are the same ones in both splits.
        for name in ("source", "problem_file", "game"):
            if own.get(name) not in (None, "generated"):
                raise ValueError(
                    f"calibration {spec}: its {env_id} episodes are of {name}={own[name]!r}, whose tasks belong to "
                    f"both splits, and a model must not be calibrated on what it is tested on: record a run without it"
                )


def names_in(target: str) -> list[str]:
    """The names of environments and suites in the target of ``transcripts``."""
    return [name.strip() for name in target.split(",") if name.strip()]


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."

"""How a page was made: settings, seeds, fingerprints, manifests, and what the words mean. Shared by both pages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import acenv
from acenv.analysis.definitions import DEFINITIONS
from acenv.analysis.report_data import ReportData
from acenv.analysis.verdict import short_name
from acenv.analysis.words import ranges
from acenv.runs import Results


@dataclass(frozen=True, slots=True)
class Provenance:
    """What stands under "How it was made".

    Attributes:
        settings: Names and values.
        definitions: Terms and what they mean.
        runs: Name, fingerprint and policy of each run.
        manifests: Name and JSON text of each checkpoint's manifest.
        left_out: What was left out, each with the reason.
        created: When, as text.
        acenv_version: With which version.
    """

    settings: Sequence[tuple[str, str]]
    definitions: Mapping[str, str]
    runs: Sequence[tuple[str, str, str]] = ()
    manifests: Sequence[tuple[str, str]] = ()
    left_out: Sequence[str] = ()
    created: str = ""
    acenv_version: str = acenv.__version__


def provenance(data: ReportData) -> Provenance:
    """How the data of a report were made."""
    return Provenance(
        settings=list(_settings(data)),
        definitions=DEFINITIONS,
        runs=[_run("Original", data.reference), *(_run(c.name, c.results) for c in data.candidates)],
        manifests=[(c.name, as_text(c.manifest, indent=2)) for c in data.candidates if c.manifest],
        created=data.created or "an unknown date",
    )


def as_text(value: Any, indent: int | None = None) -> str:
    """A setting as text: JSON, unless it is text already."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str, indent=indent)


def _settings(data: ReportData) -> Iterator[tuple[str, str]]:
    yield "Model", data.model
    yield "Settings", data.settings
    by_env: dict[str, list[int]] = {}
    for episode in data.reference.episodes:
        by_env.setdefault(episode.env_id, []).append(episode.seed)
    for env_id, seeds in by_env.items():
        yield f"Seeds of {short_name(env_id)}", ranges(seeds)
    if data.reference.manifest.get("env_kwargs"):
        yield "Environment settings", as_text(data.reference.manifest["env_kwargs"])
    if data.stopping is not None:
        yield "Stopped", f"an environment of a method when its interval is ±{data.stopping.until:g} at most"
    if data.versions:
        yield "Versions", ", ".join(f"{name} {version}" for name, version in data.versions.items())
    if data.created:
        yield "Created", data.created


def _run(name: str, results: Results) -> tuple[str, str, str]:
    policy = results.manifest.get("policy")
    facts = dict(policy) if isinstance(policy, Mapping) else {}
    fingerprint = facts.pop("fingerprint", None)
    return name, str(fingerprint or "–"), ", ".join(f"{k} {as_text(v)}" for k, v in facts.items()) or "–"

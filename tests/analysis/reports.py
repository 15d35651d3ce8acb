"""Made-up reports, with something in every section."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from acenv.analysis.attribution import Attribution, Deviation, EpisodeAttribution
from acenv.analysis.comparison import compare, compare_all
from acenv.analysis.cost import Cost
from acenv.analysis.internals import EpisodeInternals, Histogram, KindInternals, Replay
from acenv.analysis.report_data import Candidate, ReportData
from acenv.runs import Results
from acenv.types import Episode, Message, Step, Transcript

TOOLS, NEEDLE = "acenv/ToolSandbox-v0", "acenv/Needle-v0"
GRID = [(length, depth) for length in (100.0, 200.0) for depth in (0.0, 50.0, 100.0)]
DOSES = (8, 6, 4, 3, 2)
"""Bits of the versions that :func:`full_report` has."""


def made_run(name: str, returns: dict[str, Sequence[float]], grid: bool = False) -> Results:
    """A run whose episodes have the given returns, and failed with a wrong tool where they are 0."""
    episodes, said = [], {}
    for env_id, values in returns.items():
        for seed, value in enumerate(values):
            metrics = {"success": float(value == 1.0)}
            if grid and env_id == NEEDLE:
                length, depth = GRID[seed % len(GRID)]
                metrics |= {"length": length, "depth": depth}
            messages: list[Message] = [
                {"role": "user", "content": f"task {seed}"},
                {"role": "assistant", "content": f"call {value}"},
            ]
            fault = "" if value == 1.0 else "wrong tool"
            step = Step(messages[1]["content"], value, fault=fault)  # type: ignore[arg-type]
            episodes.append(Episode(env_id, seed, value, 1, True, False, metrics=metrics))
            said[env_id, seed] = Transcript(env_id, seed, messages, (), (step,))
    manifest = {"policy": {"name": name, "fingerprint": f"sha-{name}"}, "env_kwargs": {"difficulty": "easy"}}
    return Results(manifest, episodes, said)


def made_replay(name: str, far: float) -> Replay:
    """Internals at a distance from the original."""
    agreement = {3: 1 - far / 4, 10: 1 - far / 2, 20: 1 - far}
    kinds = {"tool name": KindInternals(10, far, far / 2, far), "argument": KindInternals(20, 2 * far, far / 3, far)}
    layers = ((10.0, 10.0), (20.0, 20.0 * (1 - far)))
    episodes = [
        EpisodeInternals(
            env_id, seed, 50, (20.0, 20.0 - far), (9.0, 9.0 - far), agreement, agreement, agreement, (-9.0, -8.0),
            far, far, 1 - far, 1 - far, kinds, (), layers,
        )
        for env_id in (TOOLS, NEEDLE)
        for seed in range(6)
    ]  # fmt: skip
    return Replay("dense", name, tuple(episodes), Histogram((-10.0, -9.0, -8.0), (30, 70), (60, 40)))


def made_manifest(bits: int, method: str = "gptq") -> dict[str, Any]:
    """What the compressors write, as far as reports read it."""
    size = 1_000_000 * bits
    measured = {"bits_per_weight": bits + 0.5, "sparsity": 0.1, "disk_bytes": size, "source_disk_bytes": 16_000_000}
    steps = [{"name": method, "settings": {"bits": bits, "group_size": 32}, "ignore": [], "overrides": []}]
    return {"method": f"{method}:bits={bits}", "passes": steps, "measured": measured, "calibration": {"spec": "own"}}


def made_attribution(name: str) -> Attribution:
    """Two decisions that cost something, in one of three episodes."""
    path = (
        Deviation(1, "tool name", 60, '"open"', '"oxen"', 0.75, 0.75),
        Deviation(3, "argument", 300, '"a"', '"b"', 0.25, 0.0),
    )
    lost = EpisodeAttribution(TOOLS, 0, 1.0, 0.0, 4, 1, (20, 60, 90, 300), path, path)
    kept = [EpisodeAttribution(TOOLS, seed, 1.0, 1.0, 2, None, (20, 60)) for seed in (1, 2)]
    return Attribution("dense", name, (lost, *kept))


def full_report(episodes: int = 24) -> ReportData:
    """A report in which no section is empty: five doses of one method, the smaller the worse."""
    half = episodes // 2
    reference = made_run("dense", {TOOLS: [1.0] * episodes, NEEDLE: [1.0] * (episodes - 2) + [0.0] * 2}, grid=True)
    runs = {}
    for rank, bits in enumerate(DOSES):
        lost = (0, 1, 3, half // 2, half + 4)[rank]
        tools = [0.0] * lost + [1.0] * (episodes - lost)
        needles = [0.0] * (2 * lost // 3) + [1.0] * (episodes - 2 * lost // 3)
        runs[f"gptq-{bits}"] = made_run(f"gptq-{bits}", {TOOLS: tools, NEEDLE: needles}, grid=True)
    compared = compare_all(reference, runs, resamples=200)
    again = made_run("again", {TOOLS: [1.0] * episodes, NEEDLE: [1.0] * (episodes - 3) + [0.0] * 3})
    return ReportData(
        title="What compression cost a model",
        model="a model",
        settings="difficulty easy",
        reference=reference,
        candidates=tuple(
            Candidate(
                name,
                f"gptq:bits={bits}",
                runs[name],
                compared[name],
                made_replay(name, 0.1 * (rank + 1)),
                made_manifest(bits),
                Cost(compared[name].overall.candidate.estimate, float(bits), 2.0 * bits, 1.5, None, "processor"),
                made_attribution(name) if bits == 2 else None,
            )
            for rank, (bits, name) in enumerate(zip(DOSES, runs, strict=True))
        ),
        noise={"batch size": compare(reference, again, resamples=200)},
        created="2026-01-02T03:04:05+00:00",
        versions={"torch": "2.13.0"},
        cost=Cost(0.96, 16.0, 16.0, 2.0, None, "processor"),
    )

"""Every compression method on two models: what it costs to make, what it weighs, and what is lost.

    python benchmarks/methods_table.py --smollm2 SmolLM2-135M-Instruct.Q4_1.gguf    # writes docs/methods.md

Each method is run in a process of its own, so that its memory is its own; the bench's own steps do the rest. A table
that was stopped goes on where it was: all is kept under ``--work``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from acenv.analysis.comparison import Comparison, compare
from acenv.compressors import MANIFEST, parse
from acenv.evaluation import evaluate
from acenv.policies import load_policy
from acenv.registry import suites
from acenv.runs import Results
from acenv.studies.plan import DENSE, Arena, Plan, Version, make_versions
from acenv.studies.steps import carry_out, compress_version, draw_texts, find_source
from acenv.workers import Silent

CALIBRATION = "transcripts"
METHODS = (
    "gptq:bits=8,group_size={g}",
    "gptq:bits=4,group_size={g}",
    "gptq:bits=4,group_size={g},desc_act=true",
    "gptq:bits=3,group_size={g}",
    "gptq:bits=2,group_size={g}",
    "gptq:bits=3,group_size={g}@*.down_proj:bits=8",
    "awq:bits=4,group_size={g}",
    "awq:bits=4,group_size={g},engine=autoawq",
    "smoothquant",
    "fp8",
    "rtn:bits=8,group_size={g}",
    "rtn:bits=4,group_size={g}",
    "rtn:bits=3,group_size={g}",
    "rtn:bits=2,group_size={g}",
    "magnitude:sparsity=0.5",
    "magnitude:pattern=2:4",
    "wanda:sparsity=0.5",
    "wanda:pattern=2:4",
    "sparsegpt:sparsity=0.5",
    "sparsegpt:pattern=2:4",
    "sparsegpt:pattern=2:4+gptq:bits=4,group_size={g}",
    "wanda:sparsity=0.5+rtn:bits=4,group_size={g}",
)
ONE_OF_EACH = (
    "gptq:bits=4,group_size={g}",
    "gptq:bits=3,group_size={g}",
    "awq:bits=4,group_size={g}",
    "smoothquant",
    "fp8",
    "rtn:bits=4,group_size={g}",
    "magnitude:sparsity=0.5",
    "wanda:sparsity=0.5",
    "sparsegpt:pattern=2:4",
    "sparsegpt:pattern=2:4+gptq:bits=4,group_size={g}",
)
KV_BITS = (8, 4, 2)


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the table; ``group_size`` divides its layers' inputs."""

    title: str
    source: str
    group_size: int
    episodes: int
    templates: Sequence[str] = METHODS

    def methods(self) -> list[str]:
        return [method.format(g=self.group_size) for method in self.templates]


def plan_of(model: Model, work: Path) -> Plan:
    folder = work / model.title
    return Plan(
        folder=folder,
        model=model.source,
        versions=make_versions([parse(method) for method in model.methods()], [CALIBRATION]),
        arenas=(Arena(folder, suites["quick"], {"difficulty": "easy"}, model.episodes),),
        policy={"max_new_tokens": 64},
    )


def compress_apart(model: Model, plan: Plan, version: Version) -> str:
    """Compress in a process of its own, and note its processor time; gives what went wrong."""
    if (plan.checkpoint(version.slug) / MANIFEST).exists():
        return ""
    task = json.dumps([model.title, model.source, model.group_size, model.episodes, str(plan.folder.parent)])
    command = [sys.executable, __file__, "--compress", version.slug, "--task", task]
    before = children_seconds()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    (plan.folder / f"{version.slug}.seconds").write_text(f"{children_seconds() - before:.1f}")
    return ""


def children_seconds() -> float:
    """Processor time of the processes that have ended: it says little of what else the machine was doing."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_child(slug: str, task: str) -> None:
    title, source, group_size, episodes, work = json.loads(task)
    plan = plan_of(Model(title, source, group_size, episodes), Path(work))
    version = next(version for version in plan.versions if version.slug == slug)
    compress_version(Silent(), plan, find_source(Silent(), plan), version)


def act_with_quantised_cache(plan: Plan) -> dict[int, Results]:
    """The dense model with its key-value cache in few bits."""
    source = find_source(Silent(), plan)
    (arena,) = plan.arenas
    found = {}
    for bits in KV_BITS:
        policy = load_policy(f"hf:{source}", **plan.policy, kv_bits=bits, name=f"kv-{bits}")
        found[bits] = evaluate(
            arena.env_ids, policy, range(arena.episodes), out=arena.run(f"kv-{bits}"), env_kwargs=arena.env_kwargs
        )
        del policy
    return found


def tabulate(model: Model, work: Path) -> list[str]:
    """Do all that is left to do for a model, and give the section of the page."""
    plan = plan_of(model, work)
    plan.folder.mkdir(parents=True, exist_ok=True)
    (arena,) = plan.arenas
    find_source(Silent(), plan)
    draw_texts(Silent(), plan)
    problems = {}
    for version in plan.versions:
        if problem := compress_apart(model, plan, version):
            problems[version.slug] = problem
        print(f"{model.title}: {version.slug} {problem or 'compressed'}", file=sys.stderr, flush=True)
    left = tuple(version for version in plan.versions if version.slug not in problems)
    failed, _ = carry_out(replace(plan, versions=left), Silent())
    problems |= failed
    caches = act_with_quantised_cache(plan)
    reference = Results.load(arena.run(DENSE))
    dense_mean = compare(reference, reference).overall.reference.estimate
    noise = compare(reference, Results.load(arena.run(plan.noises["batch size"])))
    lines = [
        f"## {model.title}",
        "",
        f"Dense: {dense_size(plan):.1f} MB, mean return {dense_mean:.3f} over {arena.episodes} easy test episodes in "
        f"each environment of `quick`. Against itself at another batch size: {change(noise)}, which is noise.",
        "",
        "| method | engine | CPU seconds | peak MB | disk MB | bits a weight | zeros | KL | perplexity | return |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for method in model.methods():
        slug = parse(method).slug
        if slug in problems:
            lines.append(f"| `{method}` | failed: {problems[slug]} | | | | | | | | |")
            continue
        manifest = json.loads((plan.checkpoint(slug) / MANIFEST).read_text())
        seconds = float((plan.folder / f"{slug}.seconds").read_text())
        lines.append(row(method, seconds, manifest, compare(reference, Results.load(arena.run(slug)))))
    lines += [
        f"| `kv_bits={bits}` (policy option) | acenv |  |  | {dense_size(plan):.1f} |  |  |  |  "
        f"| {change(compare(reference, results))} |"
        for bits, results in caches.items()
    ]
    return [*lines, ""]


def row(method: str, seconds: float, manifest: dict[str, Any], comparison: Comparison) -> str:
    measured = manifest["measured"]
    engines = dict.fromkeys(f"{p['engine']['package']} {p['engine']['version']}" for p in manifest["passes"])
    before, after = measured["dense_perplexity"], measured["perplexity"]
    return (
        f"| `{method}` | {', '.join(engines)} | {seconds:.0f} | {measured['peak_rss_bytes'] / 1e6:.0f} "
        f"| {measured['disk_bytes'] / 1e6:.1f} | {measured['bits_per_weight']:.2f} | {100 * measured['sparsity']:.1f}% "
        f"| {measured['kl_from_dense']:.3f} | {100 * (after / before - 1):+.1f}% | {change(comparison)} |"
    )


def change(comparison: Comparison) -> str:
    difference = comparison.overall.difference
    interval = "" if math.isnan(difference.low) else f" [{difference.low:+.3f}, {difference.high:+.3f}]"
    return f"{difference.estimate:+.3f}{interval}"


def dense_size(plan: Plan) -> float:
    source = find_source(Silent(), plan)
    return sum(path.stat().st_size for path in source.glob("*.safetensors")) / 1e6


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def write_page(path: Path, sections: Sequence[str]) -> None:
    from importlib.metadata import version

    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "gptqmodel", "llmcompressor"))
    path.write_text(
        "\n".join(
            [
                "# Every method, measured",
                "",
                "Written by `python benchmarks/methods_table.py`. Calibrated on 64 expert transcripts of train tasks "
                f"(`{CALIBRATION}`). CPU seconds (all cores together) and peak memory (resident, libraries included) "
                "are those of a process that starts, compresses, loads the result again and measures it; bits a weight "
                "count codes, scales, zero points and indices over the compressed layers; KL (nats a token, from the "
                "dense model) and perplexity (against the dense model's) are over all tokens of held-out transcripts; "
                "return is the mean paired "
                "difference from the dense model with its 95% interval, where there are several episodes of each "
                "environment. The built-in model has learned the agent's "
                "tokens only, so its perplexity over whole transcripts says little.",
                "",
                f"{processor()}, {os.cpu_count()} cores, no GPU; {libraries}.",
                "",
                *sections,
            ]
        ).rstrip()
        + "\n"
    )


def main() -> None:
    """Fill the folder of work, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smollm2", help="a folder or GGUF file of SmolLM2-135M-Instruct; without it nano alone")
    parser.add_argument("--episodes", type=int, default=25, help="test episodes an environment for the built-in model")
    parser.add_argument("--smollm2-episodes", type=int, default=10)
    parser.add_argument("--all", action="store_true", help="all methods for SmolLM2 too, and not one of each kind")
    parser.add_argument("--only", nargs="+", help="of these for SmolLM2, the ones whose last method is named here")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "acenv-methods")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "docs" / "methods.md")
    parser.add_argument("--compress", help=argparse.SUPPRESS)
    parser.add_argument("--task", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.compress:
        run_child(arguments.compress, arguments.task)
        return
    models = [Model("nano", "nano", 32, arguments.episodes)]
    if arguments.smollm2:
        templates = METHODS if arguments.all else ONE_OF_EACH
        if arguments.only:
            templates = tuple(t for t in templates if parse(t.format(g=64)).passes[-1].name in arguments.only)
        models.append(Model("SmolLM2-135M-Instruct", arguments.smollm2, 64, arguments.smollm2_episodes, templates))
    sections: list[str] = []
    for model in models:
        sections += tabulate(model, arguments.work)
        write_page(arguments.out, sections)


if __name__ == "__main__":
    main()

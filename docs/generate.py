"""Pages of the documentation that are made from the code: environments, compression methods, the reference."""

from __future__ import annotations

import inspect
import pkgutil
import re
import shutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import gymnasium

import acenv
from acenv.compressors.method import METHODS
from acenv.registry import missing

LONGEST = 1500
"""Characters of a message that are shown."""

GROUPS = {
    "Workflows": "acenv.envs.workflow",
    "Tools": "acenv.envs.tools",
    "Long context": "acenv.envs.longcontext",
    "Worlds": "acenv.envs.world",
    "Simulators": "acenv.envs.simulators",
}

REFERENCE = {
    "Evaluation": (
        "acenv.evaluation",
        "acenv.loop",
        "acenv.engines.spreading",
        "acenv.runs",
        "acenv.store",
        "acenv.types",
        "acenv.spaces",
    ),
    "Environments": ("acenv.envs.base",),
    "Policies": (
        "acenv.policies",
        "acenv.policies.scripted",
        "acenv.policies.transformers",
        "acenv.policies.vllm",
        "acenv.policies.openai",
    ),
    "Compression": (
        "acenv.compression",
        "acenv.calibration",
        "acenv.compressors.method",
        "acenv.compressors.options",
        "acenv.compressors.job",
        "acenv.compressors.estimate",
    ),
    "Analysis": ("acenv.analysis",),
    "Studies": ("acenv.studies",),
    "For extensions": ("acenv.registry", "acenv.plugins", "acenv.testing", "acenv.scaffold"),
}
"""Sections of the reference; of the packages analysis and studies every module has a page."""


def write_pages(docs: Path) -> None:
    """Write all of them anew, below ``docs/generated``."""
    out = docs / "generated"
    shutil.rmtree(out, ignore_errors=True)
    _write_section(out / "environments", "Every environment", environment_pages())
    _write_section(out / "methods", "Every compression method", method_pages())
    _write_section(out / "reference", "Reference", reference_pages())


def environment_pages() -> Iterator[tuple[str, str, str]]:
    """Group, name and text of the page of each environment."""
    for env_id in acenv.env_ids():
        entry = gymnasium.envs.registration.load_env_creator(str(gymnasium.spec(env_id).entry_point))
        group = next(title for title, package in GROUPS.items() if entry.__module__.startswith(package))
        name = env_id.removeprefix("acenv/").rpartition("-v")[0]
        lines = [
            f"# {name}",
            "",
            f"`{env_id}`",
            "",
            "```{eval-rst}",
            f".. autoclass:: {entry.__module__}.{entry.__name__}",
        ]
        lines += ["   :no-members:", "   :no-index:", "```", "", "## An episode", ""]
        todo = missing(env_id)
        lines += [f"Not played here, since it is not installed: {todo}."] if todo else list(_episode(env_id))
        yield group, name, "\n".join(lines) + "\n"


def _episode(env_id: str) -> Iterator[str]:
    """What the environment's own expert does in an easy task."""
    try:
        results = acenv.evaluate(env_id, "oracle", [0], env_kwargs={"difficulty": "easy"})
    except Exception as error:  # other people's simulators are at work in there
        yield f"Not played here: {error}"
        return
    episode = results.episodes[0]
    if episode.error is not None:
        yield f"Not played here: {episode.error}"
        return
    transcript = results.transcript(episode.key)
    yield f"The expert in an easy task of the test split (seed 0), as `acenv play {env_id} --policy oracle` shows it."
    yield ""
    for message in transcript.messages:
        text = message["content"]
        if len(text) > LONGEST:
            text = f"{text[: LONGEST // 2]}\n[… {len(text) - LONGEST:,} characters …]\n{text[-LONGEST // 2 :]}"
        yield f"**{message['role']}**"
        yield ""
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
        yield f"{fence}text\n{_printable(text)}\n{fence}"
        yield ""
    names = [tool["function"]["name"] for tool in transcript.tools]
    if names:
        yield f"Tools on offer: {', '.join(f'`{name}`' for name in names)}."
        yield ""
    metrics = ", ".join(f"`{name}` {value:g}" for name, value in episode.metrics.items())
    yield f"Return {episode.return_:g} in {episode.length} {'step' if episode.length == 1 else 'steps'}: {metrics}."


def method_pages() -> Iterator[tuple[str, str, str]]:
    """Group, name and text of the page of each compression method."""
    for name, engine in METHODS.items():
        module = inspect.getdoc(__import__(engine.module, fromlist=["run"])) or ""
        doc = inspect.getdoc(engine.options) or ""
        described = dict(re.findall(r"^    (\w+): (.*(?:\n        .*)*)", doc.partition("Attributes:")[2], re.M))
        lines = [f"# {name}", "", *module.replace("``", "`").splitlines(), ""]
        lines += [f'Engine: {engine.package}. Install: `pip install "acenv[{engine.extra}]"`. ']
        lines += ["Looks at calibration texts." if engine.needs_calibration else "Looks at no texts.", ""]
        lines += ["| option | default | values | |", "|---|---|---|---|"]
        for option in fields(engine.options):
            allowed = ", ".join(map(str, option.metadata["allowed"]))
            if option.metadata["above"] is not None:
                allowed = f"{option.metadata['above']:g} to {option.metadata['below']:g}, ends excluded"
            text = " ".join(described.get(option.name, "").split()).replace("``", "`").replace("|", "\\|")
            lines.append(f"| `{option.name}` | `{option.default}` | {allowed} | {text} |")
        lines += ["", "```sh", f"acenv compress nano {name} --out checkpoints/nano-{name}", "```", ""]
        lines += ["What it costs and what is left, measured: [every method, measured](../../methods.md)."]
        yield "", name, "\n".join(lines) + "\n"


def reference_pages() -> Iterator[tuple[str, str, str]]:
    """Section, module and text of each page of the reference."""
    for section, names in REFERENCE.items():
        for name in names:
            for module in _modules(name) if name in ("acenv.analysis", "acenv.studies") else (name,):
                text = f"# {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n```\n"
                yield section, module, text


def _modules(package: str) -> Iterator[str]:
    path = __import__(package, fromlist=["x"]).__path__
    yield from sorted(f"{package}.{found.name}" for found in pkgutil.iter_modules(path) if not found.ispkg)


def _write_section(out: Path, title: str, pages: Iterator[tuple[str, str, str]]) -> None:
    out.mkdir(parents=True)
    groups: dict[str, list[str]] = {}
    for group, name, text in pages:
        (out / f"{name}.md").write_text(text, encoding="utf-8")
        groups.setdefault(group, []).append(name)
    lines = [f"# {title}", ""]
    for group, names in groups.items():
        caption = [f":caption: {group}"] if group else []
        lines += ["```{toctree}", ":maxdepth: 1", *caption, "", *names, "```", ""]
    (out / "index.md").write_text("\n".join(lines), encoding="utf-8")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)

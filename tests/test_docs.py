"""Every block of code in README and docs runs, or is read by what would run it.

A block runs as it stands there, in a folder of its own. HTML comments in front of it say what else is to be known:

* ``<!-- given: CODE -->``: what the block takes for granted, in its own language; runs before it;
* ``<!-- continues -->``: it goes on where the block before it ended;
* ``<!-- slow -->``: it runs under ``make test-all`` only;
* ``<!-- needs: PACKAGE -->``: it is skipped where that is not installed;
* ``<!-- not run: REASON -->``: a program is compiled, a command read by the command line's own parser;
* ``<!-- prints -->``: this block of text is what the one before it prints (``...`` stands for anything).
"""

from __future__ import annotations

import doctest
import re
import shlex
import tomllib
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import typer
from markdown_it import MarkdownIt

from acenv.cli import app, main
from acenv.cli.arguments import spread
from acenv.compressors.method import parse
from acenv.registry import resolve_env_ids

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MARKS = ("given", "continues", "slow", "needs", "not run", "prints", "runs")
CODE, TEXT, PARTS_OF_PAGES = ("python", "sh"), ("", "text"), ("{toctree}", "{include}", "{eval-rst}")
# Programs of others, and of the system: such commands stand in blocks that are not run.
FOREIGN = {"apt-get", "cd", "export", "git", "huggingface-cli", "ray", "source", "uv", "vllm"}


@dataclass
class Block:
    """A fenced block of a page, with the comments in front of it."""

    page: Path
    line: int
    language: str
    text: str
    marks: dict[str, str]
    before: list[Block] = field(default_factory=list)
    prints: str | None = None

    @property
    def where(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    marks: dict[str, str] = {}
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "html_block":
            for comment in re.findall(r"<!--(.*?)-->", token.content, re.S):
                name, _, value = comment.strip().partition(":")
                marks[name] = value.strip("\n ") if name != "given" else value.strip("\n")
        elif token.type == "fence":
            assert token.map is not None
            yield Block(page, token.map[0] + 1, token.info.strip().split(" ")[0], token.content, marks)
            marks = {}
        else:
            marks = {}


def joined(page: Path) -> list[Block]:
    """The blocks of a page, those that go on with the ones before them, and those that have an output with it."""
    found: list[Block] = []
    for block in blocks(page):
        code = [other for other in found if other.language in CODE]
        if "continues" in block.marks:
            block.before = [*code[-1].before, code[-1]]
        if "prints" in block.marks:
            code[-1].prints = block.text
        found.append(block)
    return found


BLOCKS = [block for page in PAGES for block in joined(page)]
PROGRAMS = [block for block in BLOCKS if block.language in CODE]
# Those of CONTRIBUTING.md have names and tests of their own, in test_contributing.py.
RUNNING = [block for block in PROGRAMS if not {"not run", "runs"} & set(block.marks)]


def cases(found: list[Block]) -> list[Any]:
    return [
        pytest.param(block, id=block.where, marks=[pytest.mark.slow] if "slow" in block.marks else [])
        for block in found
    ]


def test_every_block_says_what_it_is() -> None:
    for block in BLOCKS:
        assert block.language in (*CODE, *TEXT, *PARTS_OF_PAGES), f"{block.where}: {block.language!r}"
        assert set(block.marks) <= set(MARKS), f"{block.where}: {sorted(block.marks)}"
        if block.language in TEXT:
            assert not re.match(r"acenv |pip |make |python |import |from \w+ import", block.text), block.where
        if "not run" in block.marks:
            assert block.marks["not run"], f"{block.where}: no reason why it is not run"


@pytest.mark.parametrize("block", cases(RUNNING))
def test_a_block_runs(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in block.marks.get("needs", "").split():
        pytest.importorskip(package, reason=f"{package} is not in this environment")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    module = types.ModuleType("__main__")
    known = set(gymnasium.registry)
    try:
        for one in [*block.before, block]:
            if given := one.marks.get("given"):
                run(one, given, module)
            capsys.readouterr()
            run(one, one.text, module)
        if block.prints is not None:
            printed, how = capsys.readouterr().out, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            assert doctest.OutputChecker().check_output(block.prints, printed, how), printed
    finally:
        for env_id in set(gymnasium.registry) - known:
            del gymnasium.registry[env_id]


def run(block: Block, text: str, module: types.ModuleType) -> None:
    if block.language == "python" or text.lstrip().startswith("import "):
        # Empty lines in front, so that an error names the line of the page.
        exec(compile("\n" * block.line + text, str(block.page), "exec"), vars(module))
        return
    for words in commands(text):
        assert words[0] == "acenv", f"{block.where}: only acenv's own commands are run, not {words[0]}"
        with pytest.raises(SystemExit) as ended:
            main(words[1:])
        assert ended.value.code in (0, None), f"{block.where}: {' '.join(words)}"


@pytest.mark.parametrize("block", cases([block for block in PROGRAMS if block.language == "python"]))
def test_a_program_compiles(block: Block) -> None:
    compile(block.text, block.where, "exec")


COMMANDS = [b for b in BLOCKS if b.language == "sh" or (b.language in TEXT and b.text.startswith("$ "))]


@pytest.mark.parametrize("block", [pytest.param(b, id=b.where) for b in COMMANDS])
def test_commands_are_what_the_programs_take(block: Block) -> None:
    for words in commands(block.text):
        program, arguments = Path(words[0]).name, words[1:]
        if program == "acenv":
            check_acenv(arguments)
        elif program == "make":
            targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
            assert {word for word in arguments if "=" not in word} <= set(targets), words
        elif program == "pip":
            check_extras(arguments)
        elif program == "python" and arguments[0] != "-m":
            script = (ROOT / arguments[0]).read_text(encoding="utf-8")
            for flag in (word for word in arguments[1:] if word.startswith("--")):
                assert f'"{flag.split("=")[0]}"' in script, f"{block.where}: {arguments[0]} takes no {flag}"
        else:
            assert program in FOREIGN or program == "python", f"{block.where}: what is {words[0]}?"
            assert "not run" in block.marks, f"{block.where}: say why {program} is not run"


def commands(text: str) -> Iterator[list[str]]:
    """The commands of a block, word by word, without comments and variables in front.

    Where a block shows what commands print, they stand behind a ``$``.
    """
    lines = text.replace("\\\n", " ").splitlines()
    if text.startswith("$ "):
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    for line in lines:
        words = shlex.split(line, comments=True)
        command: list[str] = []
        for word in [*words, "&&"]:
            if word in ("&&", "|", ";"):
                if command:
                    yield command
                command = []
            elif command or not re.match(r"[A-Z_0-9]+=", word):
                command.append(word)


def check_acenv(arguments: list[str]) -> None:
    """Read a command with the real parser, and what it names with the library; nothing is carried out."""
    root, seen = typer.main.get_command(app), {}

    def note(verb: str) -> Any:
        return lambda **values: seen.update(values, verb=verb)

    for name, verb in root.commands.items():  # type: ignore[attr-defined]
        verb.callback = note(name)
    root.main(args=spread(arguments), standalone_mode=False)
    if "--help" in arguments or "--version" in arguments:
        return
    verb = seen["verb"]
    methods = seen.get("methods") or ([seen["method"]] if verb == "compress" else [])
    for method in methods:
        parse(method)
    names = [*(seen.get("env_names") or ()), *(seen.get("suite") or ()), *([seen["env"]] if verb == "play" else ())]
    if names:
        resolve_env_ids(names)
    if policy := seen.get("policy"):
        named = policy in ("nano", "oracle", "random", "human")
        assert named or policy.split(":")[0] in ("hf", "gguf", "vllm", "openai"), policy


def check_extras(arguments: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extras in re.findall(r"acenv\[([\w,-]+)\]", " ".join(arguments)):
        assert set(extras.split(",")) <= set(project["optional-dependencies"]), extras


def test_a_wrong_command_would_be_noticed() -> None:
    for wrong in ("eval --polcy nano", "compress nano gtpq --out x", "play Nowhere", "bench --episodes no"):
        with pytest.raises((Exception, SystemExit)):
            check_acenv(wrong.split())


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_what_is_linked_exists(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8")):
        if target.startswith("generated/"):  # written when the site is built, which checks such links itself
            continue
        path = page.parent / target if target else page
        assert path.exists(), f"{page.name} links to {target}"
        if anchor and path.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
            assert anchor in map(slug, headings), f"{page.name} links to {target}#{anchor}"

"""What RULER's official samples are written with, read from a copy of its repository; nothing in it is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acenv.envs.sources import RecordError, describe, read_json, take

SYNTHETIC = Path("scripts/data/synthetic")
"""The folder of the generator in the repository."""


@dataclass(frozen=True, slots=True)
class Template:
    """An entry of ``TASKS`` in ``constants.py``."""

    prompt: str
    answer_prefix: str
    answer_tokens: int

    @property
    def whole(self) -> str:
        """The prompt with the beginning of the answer, as the generator formats it."""
        return self.prompt + self.answer_prefix


@dataclass(frozen=True, slots=True)
class Question:
    """A question of SQuAD or HotpotQA.

    Attributes:
        query: The question.
        outputs: Its answers.
        context: Numbers of the documents that it is about.
        more: Numbers of the other documents of the same article.
    """

    query: str
    outputs: list[str]
    context: list[int]
    more: list[int]


def find_generator(folder: Path) -> Path | None:
    """The generator's folder in a repository, or the folder itself if it is the generator's; None if it is neither."""
    return next((place for place in (folder / SYNTHETIC, folder) if (place / "constants.py").is_file()), None)


class Repository:
    """A copy of RULER's repository, or of its folder ``scripts/data/synthetic``."""

    def __init__(self, folder: Path) -> None:
        """Find the generator.

        Raises:
            FileNotFoundError: The folder holds no generator.
        """
        found = find_generator(folder)
        if found is None:
            raise FileNotFoundError(f"no RULER repository at {folder}: expected {SYNTHETIC / 'constants.py'} in it")
        self.folder = found

    def template(self, task: str) -> Template:
        """The prompt of a kind of task, such as ``"niah"``."""
        path = self.folder / "constants.py"
        tasks = _constants(path, "TASKS")[0]
        if not isinstance(tasks, dict) or not isinstance(tasks.get(task), dict):
            raise RecordError(path, None, f"TASKS with an entry {task!r}", describe(tasks))
        entry = tasks[task]
        return Template(
            take(entry, "template", str, path, task),
            take(entry, "answer_prefix", str, path, task),
            take(entry, "tokens_to_generate", int, path, task),
        )

    def needle(self) -> str:
        """The sentence that gives a key its value, with ``{type_needle_v}``, ``{key}`` and ``{value}``."""
        return self._text("niah.py", "needle")

    def noise(self) -> str:
        """The sentences that are repeated as a haystack."""
        return self._text("niah.py", "haystack")

    def document(self) -> str:
        """How a document is numbered, with ``{i}`` and ``{document}``."""
        return self._text("qa.py", "DOCUMENT_PROMPT")

    def essays(self) -> list[str]:
        """The words of Paul Graham's essays, in order."""
        path = self._data("PaulGrahamEssays.json", "download_paulgraham_essay.py makes it")
        text = take(_record(path, read_json(path)), "text", str, path, None)
        return re.sub(r"\s+", " ", text).split(" ")

    def english_words(self) -> list[str]:
        """The words that ``cwe`` falls back on where those of wonderwords are too few."""
        path = self._data("english_words.json", "git lfs pull fetches it")
        return [str(word) for word in _record(path, read_json(path)).values()]

    def questions(self, task: str) -> tuple[list[Question], list[str]]:
        """The questions of ``"qa_1"`` (SQuAD) or ``"qa_2"`` (HotpotQA), and all documents, sorted."""
        name = {"qa_1": "squad.json", "qa_2": "hotpotqa.json"}[task]
        path = self._data(name, "download_qa_dataset.sh fetches it")
        return _read_squad(path) if task == "qa_1" else _read_hotpot(path)

    def _data(self, name: str, hint: str) -> Path:
        path = self.folder / "json" / name
        if not path.is_file():
            raise FileNotFoundError(f"no {path}, which this RULER task is made of; in the RULER repository {hint}")
        return path

    def _text(self, script: str, variable: str) -> str:
        path = self.folder / script
        if not path.is_file():
            raise FileNotFoundError(f"no {path}, which holds RULER's {variable}")
        for value in _constants(path, variable):
            if isinstance(value, str):
                return value
        raise RecordError(path, None, f"a text assigned to {variable}", "none")


def _constants(path: Path, variable: str) -> list[Any]:
    """All literal values that a script assigns to a variable, in the order of the file."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise RecordError(path, None, "a Python file in UTF-8", f"something else ({error})") from error
    values: list[Any] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == variable for t in node.targets):
            try:
                values.append(ast.literal_eval(node.value))
            except (ValueError, TypeError):  # something that is computed
                continue
    if not values:
        raise RecordError(path, None, f"a literal assigned to {variable}", "none")
    return values


def _record(path: Path, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RecordError(path, None, "a JSON object", describe(value))
    return value


def _read_squad(path: Path) -> tuple[list[Question], list[str]]:
    """SQuAD 2.0: questions that can be answered, with the paragraph they are about."""
    articles: list[list[tuple[str, list[Any]]]] = []
    for number, article in enumerate(take(_record(path, read_json(path)), "data", list, path, None)):
        paragraphs = take(_record(path, article), "paragraphs", list, path, number)
        articles.append(
            [(take(p, "context", str, path, number), take(p, "qas", list, path, number)) for p in paragraphs]
        )
    documents = sorted({context for article in articles for context, _ in article})
    numbers = {document: number for number, document in enumerate(documents)}
    questions: list[Question] = []
    for number, article in enumerate(articles):
        for context, entries in article:
            for entry in entries:
                if take(entry, "is_impossible", bool, path, number):
                    continue
                answers = [take(a, "text", str, path, number) for a in take(entry, "answers", list, path, number)]
                own = numbers[context]
                more = [numbers[other] for other, _ in article if numbers[other] != own]
                questions.append(Question(take(entry, "question", str, path, number), answers, [own], more))
    return questions, documents


def _read_hotpot(path: Path) -> tuple[list[Question], list[str]]:
    """HotpotQA: questions with their ten documents."""
    records = read_json(path)
    if not isinstance(records, list):
        raise RecordError(path, None, "a list of questions", describe(records))
    contexts = [list(_hotpot_documents(path, number, record)) for number, record in enumerate(records)]
    documents = sorted({document for context in contexts for document in context})
    numbers = {document: number for number, document in enumerate(documents)}
    questions = [
        Question(
            take(record, "question", str, path, number),
            [take(record, "answer", str, path, number)],
            [numbers[document] for document in contexts[number]],
            [],
        )
        for number, record in enumerate(records)
    ]
    return questions, documents


def _hotpot_documents(path: Path, number: int, record: Any) -> Iterator[str]:
    for entry in take(_record(path, record), "context", list, path, number):
        if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], list)):
            raise RecordError(path, number, "a title and a list of sentences in 'context'", describe(entry))
        yield f"{entry[0]}\n{''.join(map(str, entry[1]))}"

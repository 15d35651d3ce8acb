"""LongGenBench's questions in their official form: from MMLU's and GSM8K's own files, or ready-made as for ACBench."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acenv.envs.longcontext.longgenbench.drafts import LETTERS, answer_block
from acenv.envs.sources import RecordError, describe, read_json, read_json_lines, take
from acenv.types import Message

OFFICIAL_QUESTIONS = {"gsm8k": 30, "mmlu": 20}
FIRST = {"gsm8k": 9, "mmlu": 6}
"""The number of the first question; those before are the examples."""

# The benchmark's own words, which no data file of it has: its scripts say them to the model.
SYSTEM = (
    "Answer each question step by step, adhering to the format shown in the examples provided. Start each response "
    "with 'Answer_' and introduce the final response with 'The answer is'. Do not repeat the question. Ensure that you "
    "respond to all the questions presented, regardless of their number."
)
# ACBench means to add the subject, and does not.
SYSTEM_MMLU = f"{SYSTEM} The following are multiple choice questions (with answers) about "

GSM8K_PROMPT = "LongGenBench_GSM8K_prompt/LongGenBench_prompt.txt"
MMLU_PROMPT = "LongGenBench_MMLU_prompt/LongGenBench_prompt.json"

_LOST = {"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "NaN", "nan", "-NaN", "-nan", "None"}
"""Choices that pandas takes for missing."""


@dataclass(frozen=True, slots=True)
class LongGenTask:
    """Questions that are to be answered in one text.

    Attributes:
        task: ``"gsm8k"`` or ``"mmlu"``.
        subject: Of MMLU.
        system: The system message; empty for none.
        prompt: The user message.
        answers: Gold answers: texts with ``#### n``, or letters.
        first: The number of the first question.
        answer: A response that answers all.
        unscorable: Why the evaluator can score no response.
    """

    task: str
    subject: str
    system: str
    prompt: str
    answers: tuple[str, ...]
    first: int
    answer: str
    unscorable: str = ""
    messages: tuple[Message, ...] = field(init=False)

    def __post_init__(self) -> None:
        said = [("system", self.system), ("user", self.prompt)]
        object.__setattr__(self, "messages", tuple(Message(role=r, content=c) for r, c in said if c))


def read_records(source: Path, tasks: Sequence[str], questions: int | None) -> list[LongGenTask]:
    """Read all sets of questions.

    Args:
        source: A folder with MMLU's test files (``MMLU/test/*_test.csv``), GSM8K's ``test.jsonl`` and the benchmark's
            prompts; or with ``gsm8k_<K>.jsonl`` and ``mmlu_<K>.jsonl`` as ACBench reads them; or one such file.
        tasks: Which to read.
        questions: How many questions a set has; None takes ACBench's number, or what ready-made files have.

    Raises:
        FileNotFoundError: A file is missing.
        RecordError: A file or record is not as officially.
    """
    if source.is_file():
        return [record for record in _ready_made(source) if record.task in tasks]
    records: list[LongGenTask] = []
    for task in tasks:
        pattern = f"{task}_{'*' if questions is None else questions}.jsonl"
        ready = sorted(source.glob(f"**/{pattern}"))
        if ready:
            records += [record for path in ready for record in _ready_made(path)]
        else:
            size = questions or OFFICIAL_QUESTIONS[task]
            records += _gsm8k(source, size) if task == "gsm8k" else _mmlu(source, size)
    return records


def _ready_made(path: Path) -> Iterator[LongGenTask]:
    for number, record in read_json_lines(path):
        where = f"in line {number}"
        prompt = take(record, "prompt", str, path, where)
        answers = take(record, "answers", list, path, where)
        asked = take(record, "questions", list, path, where)
        subject = take(record, "task", str, path, where) if "task" in record else ""
        if len(asked) < len(answers):
            raise RecordError(path, where, "a question for every answer", f"{len(asked)} and {len(answers)}")
        for gold in answers:
            if not isinstance(gold, str):
                raise RecordError(path, where, "a list of texts in 'answers'", describe(gold))
        # Files of the benchmark have the subject in MMLU's records only.
        task = "mmlu" if subject and subject != "gsm8k" else "gsm8k"
        yield _task(task, "" if subject in ("gsm8k", "mmlu") else subject, prompt, answers)


def _gsm8k(folder: Path, size: int) -> Iterator[LongGenTask]:
    path = _one(folder, "GSM8K's test questions", "GSM8K/test.jsonl", "gsm8k/test.jsonl", "test.jsonl")
    prompt = _one(folder, "the examples for GSM8K", GSM8K_PROMPT).read_text(encoding="utf-8")
    pairs = []
    for number, record in read_json_lines(path):
        pairs.append([take(record, key, str, path, f"in line {number}") for key in ("question", "answer")])
    for start in range(0, len(pairs), size):
        questions, answers = zip(*pairs[start : start + size], strict=True)
        yield _task("gsm8k", "", official_prompt("gsm8k", prompt, questions), answers)


def _mmlu(folder: Path, size: int) -> Iterator[LongGenTask]:
    path = _one(folder, "the examples for MMLU", MMLU_PROMPT)
    examples = read_json(path)
    if not isinstance(examples, dict):
        raise RecordError(path, None, "an object with the examples of every subject", describe(examples))
    files = sorted(folder.glob("**/test/*_test.csv"))
    if not files:
        raise FileNotFoundError(f"{folder} lacks MMLU's test questions: expected MMLU/test/<subject>_test.csv")
    for file in files:
        subject = file.name.removesuffix("_test.csv")
        rows = list(_rows(file))
        # As officially: all questions become one text, which is split at blank lines; a question that holds one
        # becomes two, and all that follow are paired with the answer to the question after.
        text = "".join(f"{row[0]}\n{_choices(row[1:-1])}\n\n" for row in rows)
        questions = f"{text}\n\n".split("\n\n")[:size]
        shown = mmlu_examples(take(examples, subject, str, path, None))
        yield _task("mmlu", subject, official_prompt("mmlu", shown, questions), [row[-1] for row in rows][:size])


def _choices(texts: Sequence[str]) -> str:
    """The choices without anything between them; what pandas, which the official script reads with, loses is "nan"."""
    return "".join(f"({c}) {'nan' if x in _LOST else x}" for c, x in zip(LETTERS, texts, strict=True))


def _rows(path: Path) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.reader(file), 1):
                if len(row) != 6 or row[-1] not in [*LETTERS]:
                    got = f"{len(row)} fields, the last of which is {row[-1][:20]!r}" if row else "an empty line"
                    raise RecordError(path, number, "a question, four choices and the letter of one", got)
                yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordError(path, None, "CSV in UTF-8", f"something else ({error})") from error


def _one(folder: Path, what: str, *names: str) -> Path:
    for name in names:
        if found := sorted(folder.glob(f"**/{name}")):
            return found[0]
    raise FileNotFoundError(f"{folder} lacks {what}: expected {names[0]}")


def mmlu_examples(text: str) -> str:
    """The examples of a subject in the form of the benchmark's answers: first all questions, then all answers."""
    questions = re.findall(r"Q:.*?\(D\)", text, re.DOTALL)
    answers = re.findall(r"A:.*?The answer is.*?\)", text, re.DOTALL)
    parts = [f"Question_{i}:\n{re.sub('^Q: ', '', q.strip())}\n\n" for i, q in enumerate(questions, 1)]
    parts += [f"Answer_{i}:\n{re.sub('^A: ', '', a.strip())}\n\n" for i, a in enumerate(answers, 1)]
    return "".join(parts)


def official_prompt(task: str, examples: str, questions: Sequence[str]) -> str:
    """The user's message."""
    asked = "".join(f"Question_{i}:\n{question}\n" for i, question in enumerate(questions, FIRST[task]))
    return f"Examples: \n{examples}\n\nFollowing Question: \n{asked}\n"


def _task(task: str, subject: str, prompt: str, answers: Sequence[Any]) -> LongGenTask:
    start = re.search(r"Following Question: \nQuestion_(\d+):", prompt)
    first = int(start[1]) if start else FIRST[task]
    said = [gold.rsplit("####", 1)[-1].strip() if task == "gsm8k" else f"({gold})" for gold in answers]
    return LongGenTask(
        task=task,
        subject=subject,
        system=SYSTEM_MMLU if task == "mmlu" else SYSTEM,
        prompt=prompt,
        answers=tuple(answers),
        first=first,
        answer="\n\n".join(answer_block(i, f"The answer is {value}.") for i, value in enumerate(said, first)),
        unscorable="" if answers else "the record has no answers to compare with",
    )

"""``acenv/Needle-v0``: find what a long text says about a thing, among many like it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acenv.envs.base import ConversationEnv, Difficulty, Outcome, Split, pick
from acenv.envs.longcontext.haystack import fill, folder_sentences, generated_sentences, hide
from acenv.envs.longcontext.scoring import word_recall
from acenv.envs.longcontext.words import ADJECTIVES, ANIMALS, KINDS, NAMES, NOUNS, SURNAMES
from acenv.types import Message, Tool

ANSWER_WORDS = 30
"""Only so many words of an answer count, else repeating the whole text would be a perfect answer."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What the text says: ``The {kind} of the {thing} is {value}.``."""

    kind: str
    thing: str
    value: str


@dataclass(frozen=True, slots=True)
class NeedleTask:
    """A text and the questions about it."""

    text: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]


@dataclass(slots=True)
class NeedleState:
    """The scores of the answers so far."""

    scores: list[float]


class NeedleEnv(ConversationEnv[NeedleTask, NeedleState]):
    """Long-context retrieval: facts are hidden in a long text, and asked for one a turn.

    A fact says what the passcode (or label, motto, ...) of some thing is. Distractors say the same of things that share
    a word with the one asked for; at ``"medium"`` and ``"hard"`` also what the value *used to be*; at ``"hard"`` the
    question names the owner of the thing, and another sentence says who owns what, so that two facts must be joined.

    An answer's score is the share of the right value's words that occur in it (:func:`.scoring.word_recall`, the
    heat-map score of Needle-in-a-Haystack); the episode's score is the mean over its questions. Only the first 30 words
    of an answer count.

    Keywords beyond those of :class:`~acenv.envs.base.ConversationEnv`; ``None`` takes the value of the difficulty
    (easy / medium / hard):

    * ``length``: size of the haystack in tokens (200 / 4000 / 16000);
    * ``depth``: place of the first needle in percent of the haystack; further needles are spread evenly from there to
      the end. ``None`` draws every place;
    * ``needles``: how many facts are asked for (2 / 3 / 5);
    * ``distractors``: how many facts are not (4 / 10 / 30);
    * ``tokenizer``: what counts tokens: an object with ``encode(text)``, or a function from text to a number. ``None``
      counts words;
    * ``source``: ``"generated"``, or a folder of ``*.txt`` files as the haystack.
    """

    PRESETS = {"easy": (200, 2, 4), "medium": (4000, 3, 10), "hard": (16000, 5, 30)}

    def __init__(
        self,
        *,
        difficulty: Difficulty = "medium",
        split: Split = "test",
        length: int | None = None,
        depth: float | None = None,
        needles: int | None = None,
        distractors: int | None = None,
        tokenizer: Any = None,
        source: str = "generated",
        render_mode: str | None = None,
    ) -> None:
        """Set up; see the class for the keywords.

        Raises:
            ValueError: A value out of range, or a source that is no folder.
        """
        preset = self.PRESETS.get(difficulty, self.PRESETS["medium"])
        self.length = preset[0] if length is None else int(length)
        self.needles = preset[1] if needles is None else int(needles)
        self.distractors = preset[2] if distractors is None else int(distractors)
        self.depth = depth
        self.source = source
        super().__init__(difficulty=difficulty, split=split, max_steps=max(1, self.needles), render_mode=render_mode)
        if self.length < 0:
            raise ValueError(f"length must be 0 or more tokens, not {self.length}")
        if not 1 <= self.needles <= 100:
            raise ValueError(f"needles must be from 1 to 100, not {self.needles}")
        if not 0 <= self.distractors <= 1000:
            raise ValueError(f"distractors must be from 0 to 1000, not {self.distractors}")
        if depth is not None and not 0 <= depth <= 100:
            raise ValueError(f"depth is a percentage from 0 to 100, not {depth}")
        if source != "generated" and not Path(source).is_dir():
            raise ValueError(f"source must be 'generated' or a folder of *.txt files; {source} is no folder")
        self._count = _counter(tokenizer)

    def sample_task(self, rng: np.random.Generator) -> NeedleTask:
        """Draw facts and filler, and hide the facts."""
        asked, others = self._facts(rng)
        owners = _owners(rng, asked) if self.difficulty == "hard" else []
        hidden: list[tuple[float, str]] = []
        for i, fact in enumerate(asked):
            depth = (
                float(rng.uniform(0, 100)) if self.depth is None else self.depth + (100 - self.depth) * i / len(asked)
            )
            hidden.append((depth, f"The {fact.kind} of the {fact.thing} is {fact.value}."))
        for fact in others:
            hidden.append((float(rng.uniform(0, 100)), f"The {fact.kind} of the {fact.thing} is {fact.value}."))
        if self.difficulty != "easy":
            for fact in asked:
                hidden.append(
                    (float(rng.uniform(0, 100)), f"The {fact.kind} of the {fact.thing} used to be {_value(rng)}.")
                )
        for owner, fact in zip(owners, asked, strict=False):
            hidden.append((float(rng.uniform(0, 100)), f"The {fact.thing} belongs to {owner}."))
        sentences = generated_sentences(rng) if self.source == "generated" else folder_sentences(Path(self.source), rng)
        text = " ".join(hide(fill(sentences, self.length, self._count), hidden, self._count))
        if owners:
            questions = [
                f"What is the {f.kind} of the thing that belongs to {o}?" for o, f in zip(owners, asked, strict=True)
            ]
        elif self.difficulty == "medium":
            questions = [f"What is the {f.kind} of the {f.thing} now?" for f in asked]
        else:
            questions = [f"What is the {f.kind} of the {f.thing}?" for f in asked]
        return NeedleTask(text, tuple(questions), tuple(f.value for f in asked))

    def fingerprint(self, task: NeedleTask) -> str:
        """The questions with their answers."""
        return repr((task.questions, task.answers))

    def open(self, task: NeedleTask) -> tuple[NeedleState, list[Message], list[Tool]]:
        """The text and the first question."""
        content = f"Read the text, then answer with the value only.\n\n{task.text}\n\n{task.questions[0]}"
        return NeedleState([]), [{"role": "user", "content": content}], []

    def apply(self, action: str) -> Outcome:
        """Score an answer and ask the next question."""
        scores, task = self.state.scores, self.task
        answer = " ".join(action.split()[:ANSWER_WORDS])
        scores.append(_answer_score(answer, task.answers[len(scores)]))
        over = len(scores) == len(task.answers)
        observation = "" if over else task.questions[len(scores)]
        return Outcome(observation, sum(scores) / len(task.answers), terminated=over, valid=bool(answer))

    def expert_action(self) -> str:
        """The value that is asked for."""
        return self.task.answers[len(self.state.scores)]

    def metrics(self) -> dict[str, float]:
        """``score``: mean word recall over the questions asked so far."""
        scores = self.state.scores
        return {"score": sum(scores) / len(scores) if scores else 0.0}

    def _facts(self, rng: np.random.Generator) -> tuple[list[Fact], list[Fact]]:
        """Facts to ask for, and distractors that share an adjective or a noun with one of them."""
        facts: dict[str, Fact] = {}

        def add(adjective: str, noun: str) -> None:
            thing = f"{adjective} {noun}"
            if thing not in facts:
                facts[thing] = Fact(pick(rng, KINDS), thing, _value(rng))

        while len(facts) < self.needles:
            add(pick(rng, ADJECTIVES), pick(rng, NOUNS))
        asked = list(facts.values())
        while len(facts) < self.needles + self.distractors:
            adjective, noun = pick(rng, asked).thing.split()
            if rng.integers(2):
                add(adjective, pick(rng, NOUNS))
            else:
                add(pick(rng, ADJECTIVES), noun)
        return asked, list(facts.values())[len(asked) :]


def _answer_score(answer: str, expected: str) -> float:
    """Word recall that forgives punctuation around the answer's words, which our values never have."""
    return word_recall(" ".join(word.strip(".,;:!?\"'`*()[]") for word in answer.split()), expected)


def _value(rng: np.random.Generator) -> str:
    return f"{pick(rng, ADJECTIVES)} {pick(rng, ANIMALS)} {int(rng.integers(10, 100))}"


def _owners(rng: np.random.Generator, asked: list[Fact]) -> list[str]:
    full = [f"{name} {surname}" for name in NAMES for surname in SURNAMES]
    return list(pick(rng, full, len(asked)))


def _counter(tokenizer: Any) -> Callable[[str], int]:
    """A function that counts tokens; words where no tokenizer is given."""
    if tokenizer is None:
        return lambda text: len(text.split())
    if hasattr(tokenizer, "encode"):
        return lambda text: len(tokenizer.encode(text))
    if callable(tokenizer):
        return lambda text: int(tokenizer(text))
    raise ValueError(f"tokenizer must have encode(text) or be a function from text to a number, not {tokenizer!r}")

"""``acenv/Needle-v0``: find what a long text says about a thing, among many like it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from acenv.envs.base import ConversationEnv, Difficulty, Outcome, Split, pick
from acenv.envs.longcontext.haystack import counter, fill, folder_sentences, generated_sentences, hide
from acenv.envs.longcontext.official_needle import (
    DEPTHS,
    EXPECTED,
    LENGTHS,
    NEEDLE,
    PROMPT,
    QUESTION,
    Essays,
    TokenCodec,
    WordCodec,
)
from acenv.envs.longcontext.scoring import rouge1_x10, word_recall
from acenv.envs.longcontext.words import ADJECTIVES, ANIMALS, KINDS, NAMES, NOUNS, SURNAMES
from acenv.types import Fault, Message, Tool

ANSWER_WORDS = 30
"""Only so many words of an answer count, else repeating the whole text would be a perfect answer."""

_PUNCTUATION = ".,;:!?\"'`*()[]"


@dataclass(frozen=True, slots=True)
class Fact:
    """What the text says: ``The {kind} of the {thing} is {value}.``."""

    kind: str
    thing: str
    value: str


@dataclass(frozen=True, slots=True)
class NeedleTask:
    """A text and the questions about it.

    Attributes:
        text: The haystack with everything that is hidden in it.
        questions: One a turn.
        answers: Their right answers.
        cell: Length in tokens and depth in percent, where they come from a grid.
        official: Whether it is the official test.
    """

    text: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    cell: tuple[int, float] | None = None
    official: bool = False


@dataclass(slots=True)
class NeedleState:
    """The scores of the answers so far, and further metrics of the official test."""

    scores: list[float]
    metrics: dict[str, float] = field(default_factory=dict)


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
    * ``source``: ``"generated"``, or a folder of ``*.txt`` files as the haystack;
    * ``grid``: lengths and depths, as ``((1000, 2000), (0, 50, 100))``. A seed draws one pair,
      ``reset(options={"index": i})`` takes pair ``i``: all depths of the first length, then of the next. There is one
      needle if ``needles`` does not say otherwise. The metrics then have ``length`` and ``depth``, for a heat map;
    * ``preset="official"``: the grid of ACBench, 40 lengths (1000 to 40000) by 10 depths (0 to 100), or another
      ``grid``. With a folder of essays as ``source`` it is the official test: its needle, its question and its prompt
      in those essays (``*.txt``, or ``PaulGrahamEssays/*.txt``), placed token by token, so it is exact only with the
      model's own ``tokenizer`` (an object with ``encode`` and ``decode``); ``None`` takes words for tokens;
    * ``period_tokens``: see :class:`.official_needle.TokenCodec`.

    Metrics of the official test: ``score``, the word recall behind the heat map, is the return; ``rouge1_x10`` is what
    the script stores (left out where the ``rouge-score`` package is missing). Both go wrong in a way: a right answer
    without its full stop, or in quotes, loses words, and a repeated text is a perfect answer for ``score``.
    ``clean_score`` is the word recall of the first 30 words without punctuation around them.
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
        preset: Literal["official"] | None = None,
        grid: tuple[Sequence[int], Sequence[float]] | None = None,
        period_tokens: Sequence[int] | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Set up; see the class for the keywords.

        Raises:
            ValueError: A value out of range, keywords that contradict each other, or a source that is no folder.
        """
        if preset not in (None, "official"):
            raise ValueError(f"preset must be None or 'official', not {preset!r}")
        if grid is None and preset == "official":
            grid = (LENGTHS, DEPTHS)
        self.cells = [] if grid is None else _cells(grid, length, depth)
        self.official = preset == "official" and source != "generated"
        if self.official and (needles is not None or distractors is not None):
            raise ValueError("the official test has one needle and no distractors: leave needles and distractors out")
        if grid is not None and needles is None:
            needles = 1
        sizes = self.PRESETS.get(difficulty, self.PRESETS["medium"])
        self.length = sizes[0] if length is None else int(length)
        self.needles = sizes[1] if needles is None else int(needles)
        self.distractors = sizes[2] if distractors is None else int(distractors)
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
        self._count = counter(tokenizer)
        self._chosen: tuple[int, float] | None = None
        if self.official:
            codec = WordCodec() if tokenizer is None else TokenCodec(tokenizer, period_tokens)
            self._essays = Essays(Path(source), codec, max(length for length, _ in self.cells))
            _official_metrics(EXPECTED)  # loads the ROUGE package, which takes a second, before the first episode

    def draw_task(self, attempts: int = 1000) -> NeedleTask:
        """A task of the split; the official test is one as a whole."""
        return self.sample_task(self.np_random) if self.official else super().draw_task(attempts)

    def load_task(self, index: int) -> NeedleTask:
        """A task of cell ``index`` of the grid."""
        if not self.cells:
            return super().load_task(index)
        if not 0 <= index < len(self.cells):
            raise ValueError(f"options['index'] = {index}, but the grid has cells 0 to {len(self.cells) - 1}")
        self._chosen = self.cells[index]
        try:
            return self.draw_task()
        finally:
            self._chosen = None

    def sample_task(self, rng: np.random.Generator) -> NeedleTask:
        """Draw facts and filler, and hide the facts."""
        cell = self._chosen
        if cell is None and self.cells:
            cell = self.cells[int(rng.integers(len(self.cells)))]
        length, first_depth = (self.length, self.depth) if cell is None else cell
        if cell and self.official:
            return NeedleTask(self._essays.haystack(*cell), (QUESTION,), (EXPECTED,), cell, official=True)
        asked, others = self._facts(rng)
        owners = _owners(rng, asked) if self.difficulty == "hard" else []
        hidden: list[tuple[float, str]] = []
        for i, fact in enumerate(asked):
            depth = (
                float(rng.uniform(0, 100))
                if first_depth is None
                else first_depth + (100 - first_depth) * i / len(asked)
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
        text = " ".join(hide(fill(sentences, length, self._count), hidden, self._count))
        if owners:
            questions = [
                f"What is the {f.kind} of the thing that belongs to {o}?" for o, f in zip(owners, asked, strict=True)
            ]
        elif self.difficulty == "medium":
            questions = [f"What is the {f.kind} of the {f.thing} now?" for f in asked]
        else:
            questions = [f"What is the {f.kind} of the {f.thing}?" for f in asked]
        return NeedleTask(text, tuple(questions), tuple(f.value for f in asked), cell)

    def fingerprint(self, task: NeedleTask) -> str:
        """The questions with their answers."""
        return repr((task.questions, task.answers))

    def labels(self) -> dict[str, str]:
        """The test, and the length and depth where they come from a grid."""
        cell = self.task.cell
        if cell is None:
            return {}
        return {"task": "official" if self.task.official else "grid", "length": str(cell[0]), "depth": f"{cell[1]:g}"}

    def open(self, task: NeedleTask) -> tuple[NeedleState, list[Message], list[Tool]]:
        """The text and the first question."""
        if task.official:
            content = PROMPT.format(context=task.text, question=task.questions[0])
        else:
            content = f"Read the text, then answer with the value only.\n\n{task.text}\n\n{task.questions[0]}"
        return NeedleState([]), [{"role": "user", "content": content}], []

    def apply(self, action: str) -> Outcome:
        """Score an answer and ask the next question."""
        scores, task = self.state.scores, self.task
        if task.official:
            self.state.metrics = _official_metrics(action.strip())
            scores.append(self.state.metrics["score"])
            empty = not action.strip()
            return Outcome("", scores[0], terminated=True, valid=not empty, fault="unparsable" if empty else "")
        answer = " ".join(action.split()[:ANSWER_WORDS])
        scores.append(_answer_score(answer, task.answers[len(scores)]))
        over = len(scores) == len(task.answers)
        observation = "" if over else task.questions[len(scores)]
        fault: Fault | Literal[""] = "" if scores[-1] == 1.0 else "wrong answer" if answer else "unparsable"
        return Outcome(observation, sum(scores) / len(task.answers), terminated=over, valid=bool(answer), fault=fault)

    def refuse(self, action: str, complaint: str) -> Outcome:
        """In the official test, an answer that was cut is scored as far as it goes."""
        if not self.task.official:
            return super().refuse(action, complaint)
        outcome = self.apply(action)
        return Outcome("", outcome.score, terminated=True, valid=False)

    def expert_action(self) -> str:
        """The value that is asked for."""
        return self.task.answers[len(self.state.scores)]

    def metrics(self) -> dict[str, float]:
        """``score``: mean word recall over the questions asked so far; and more, see the class."""
        scores, cell = self.state.scores, self.task.cell
        found = {"score": sum(scores) / len(scores) if scores else 0.0, **self.state.metrics}
        return found if cell is None else {**found, "length": float(cell[0]), "depth": float(cell[1])}

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
    return word_recall(" ".join(word.strip(_PUNCTUATION) for word in answer.split()), expected)


def _official_metrics(response: str) -> dict[str, float]:
    """The scores of ACBench's scripts, and a more forgiving and less exploitable one; see :class:`NeedleEnv`."""
    clean = [word.strip(_PUNCTUATION) for word in response.split()[:ANSWER_WORDS]]
    metrics = {
        "score": word_recall(response, EXPECTED),
        "clean_score": word_recall(" ".join(clean), EXPECTED.strip(".")),
    }
    with suppress(ModuleNotFoundError):
        metrics["rouge1_x10"] = rouge1_x10(response, NEEDLE)
    return metrics


def _cells(
    grid: tuple[Sequence[int], Sequence[float]], length: int | None, depth: float | None
) -> list[tuple[int, float]]:
    """All pairs of a grid's lengths and depths."""
    if length is not None or depth is not None:
        raise ValueError("a grid has lengths and depths of its own: leave length and depth out")
    try:
        lengths, depths = ([*map(int, grid[0])], [*map(float, grid[1])])
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(f"grid must be ((length, ...), (depth, ...)), not {grid!r}") from error
    if len(grid) != 2 or not lengths or not depths or min(lengths) < 0 or not all(0 <= d <= 100 for d in depths):
        raise ValueError(f"grid must be lengths of 0 or more tokens and depths from 0 to 100 percent, not {grid!r}")
    return [(size, percent) for size in lengths for percent in depths]


def _value(rng: np.random.Generator) -> str:
    return f"{pick(rng, ADJECTIVES)} {pick(rng, ANIMALS)} {int(rng.integers(10, 100))}"


def _owners(rng: np.random.Generator, asked: list[Fact]) -> list[str]:
    full = [f"{name} {surname}" for name in NAMES for surname in SURNAMES]
    return list(pick(rng, full, len(asked)))

"""The base class of the environments that are one question and one answer, from a generator or an official data set."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeVar, cast

from acenv.envs.base import Difficulty, Outcome, Split
from acenv.envs.recorded import RecordedEnv
from acenv.envs.sources import GENERATED, find_source
from acenv.types import Fault, Message, Tool


class Question(Protocol):
    """What the task of an :class:`AnsweringEnv` must have.

    Attributes:
        messages: The opening messages.
        answer: A right answer, as the text that gets the full score; what the expert says.
        unscorable: Why the benchmark's evaluator can score no answer to it; empty for all sound records.
    """

    @property
    def messages(self) -> Sequence[Message]: ...  # noqa: D102

    @property
    def answer(self) -> str: ...  # noqa: D102

    @property
    def unscorable(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Grade:
    """What an answer is worth.

    Attributes:
        score: In [0, 1].
        metrics: The benchmark's own scores, under their official names.
        valid: Whether the answer has the form that was asked for.
        fault: What is wrong with the answer; by default it is unparsable if not ``valid``, and wrong if it scores less
            than 1.
    """

    score: float
    metrics: dict[str, float] = field(default_factory=dict)
    valid: bool = True
    fault: Fault | Literal[""] = ""


@dataclass(slots=True)
class AnswerState:
    """The metrics of the answer; empty before there is one."""

    metrics: dict[str, float] = field(default_factory=dict)


QuestionT = TypeVar("QuestionT", bound=Question)


class AnsweringEnv(RecordedEnv[QuestionT, AnswerState]):
    """One question, one answer, one score.

    A subclass gives :meth:`generate`, :meth:`read`, :meth:`grade` and :meth:`fingerprint`. Any text is graded, also one
    that was too long and was cut.
    """

    benchmark = "benchmark"

    def __init__(
        self,
        *,
        difficulty: Difficulty = "medium",
        split: Split = "test",
        source: str | Path = GENERATED,
        render_mode: str | None = None,
    ) -> None:
        """Set up, and read the data set if there is one. A subclass sets what :meth:`read` needs before it calls this.

        Args:
            difficulty: Of generated tasks.
            split: Of generated tasks.
            source: ``"generated"``, or the official data: a folder or file in the official layout, or the id of a data
                set on the Hugging Face hub. Seeds 0 to n - 1 take each of n records once;
                ``reset(options={"index": i})`` picks one.
            render_mode: None or ``"ansi"``.

        Raises:
            ValueError: A setting or a record is not as described.
            FileNotFoundError: There is no such data.
        """
        super().__init__(difficulty=difficulty, split=split, max_steps=1, render_mode=render_mode)
        self.source = str(source)
        if self.source != GENERATED:
            self.records = self.read(find_source(source, self.benchmark))
            if not self.records:
                raise ValueError(f"the {self.benchmark} data at {source} has no record for these settings")

    @abstractmethod
    def read(self, path: Path) -> Sequence[QuestionT]:
        """Read the official records; errors name the file, the record and what was expected."""

    @abstractmethod
    def grade(self, answer: str) -> Grade:
        """Score an answer to :attr:`task`."""

    def open(self, task: QuestionT) -> tuple[AnswerState, list[Message], list[Tool]]:
        """The question."""
        return AnswerState(), [cast(Message, dict(message)) for message in task.messages], []

    def apply(self, action: str) -> Outcome:
        """Grade the answer; the episode is over."""
        if self.task.unscorable:
            return Outcome("", 0.0, unscored=self.task.unscorable)
        grade = self.grade(action)
        self.state.metrics = grade.metrics
        fault = grade.fault or ("" if grade.valid else "unparsable")
        return Outcome("", min(1.0, max(0.0, grade.score)), terminated=True, valid=grade.valid, fault=fault)

    def refuse(self, action: str, complaint: str) -> Outcome:
        """An answer that was cut is graded as far as it goes, as one that a token limit cut would be."""
        del complaint
        outcome = self.apply(action)
        return Outcome("", outcome.score, terminated=True, valid=False, unscored=outcome.unscored)

    def expert_action(self) -> str:
        """A right answer."""
        return self.task.answer

    def metrics(self) -> dict[str, float]:
        """The benchmark's scores of the answer; none before there is one."""
        return dict(self.state.metrics)

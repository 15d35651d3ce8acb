"""The base class of environments whose world lives in a simulator: a library, a JVM or a browser."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from acenv.envs.base import ConversationEnv, Difficulty, Outcome, Snapshot, Split
from acenv.envs.commands import asks_for_valid_actions, command_line
from acenv.registry import check_installed
from acenv.types import Fault, Message, Tool

MAX_OBSERVATION_CHARS = 4000
"""Longer observations lose their end, and the agent is told."""

_SHOWN_ACTIONS = 100
"""Of more valid actions only so many are listed."""

TaskT = TypeVar("TaskT")


@dataclass(frozen=True, slots=True)
class Turn:
    """What the simulator made of a command.

    Attributes:
        observation: What the agent is told.
        progress: Share of the task that is done now, in [0, 1]; the episode's score is its running maximum.
        done: Whether the simulator has ended the task, won or lost.
        valid: Whether the simulator could carry the command out (for ``grounding``).
        fault: What was wrong with the command, as in :class:`~acenv.envs.base.Outcome`.
    """

    observation: str
    progress: float
    done: bool = False
    valid: bool = True
    fault: Fault | Literal[""] = ""


@dataclass(slots=True)
class Journey:
    """What has happened in an episode; enough to get a deterministic simulator to the same place again.

    Attributes:
        commands: Commands that went to the simulator, in order.
        followed: How many actions of the expert's walkthrough are done, where there is one.
        best: Running maximum of the progress.
        saved: The simulator's own copy of its state, in snapshots of simulators that can give one.
    """

    commands: list[str] = field(default_factory=list)
    followed: int = 0
    best: float = 0.0
    saved: Any = None


class SimulatorEnv(ConversationEnv[TaskT, Journey], Generic[TaskT]):
    """One command a message, in plain words, to a world that a simulator keeps.

    The score is AgentBoard's progress rate: the running maximum of the simulator's progress. ``check valid actions``
    lists what can be done; it takes a step, counts as valid, and does not reach the simulator.

    A snapshot is the list of commands so far: :meth:`restore` starts the task again and repeats them. A subclass with
    something quicker overrides :meth:`resume`; one whose simulator is not deterministic sets ``branches`` to False, and
    then :meth:`snapshot` refuses.

    A subclass gives :meth:`sample_task`, :meth:`fingerprint`, :meth:`begin`, :meth:`act`, :meth:`valid_actions`,
    :meth:`expert_action` (raising ``NotImplementedError`` where there is none) and :meth:`close`.
    """

    env_id: str
    branches = True
    wrong_end = "dead end"

    def __init__(
        self,
        *,
        difficulty: Difficulty = "medium",
        split: Split = "test",
        max_steps: int | None = 30,
        render_mode: str | None = None,
    ) -> None:
        """Check that the simulator is there; it is started when an episode needs it.

        Args:
            difficulty: Which tasks are drawn; each environment says what it means.
            split: Which tasks are drawn; ``"train"`` and ``"test"`` have none in common.
            max_steps: Actions after which an episode is cut; AgentBoard's 30 by default. None: what the simulator
                or its walkthrough suggests for the episode.
            render_mode: ``"ansi"`` or None.

        Raises:
            MissingSimulatorError: The simulator is not installed.
            ValueError: A value that is not one of those named above.
        """
        check_installed([self.env_id])
        super().__init__(difficulty=difficulty, split=split, max_steps=max_steps, render_mode=render_mode)

    # What a subclass gives

    @abstractmethod
    def begin(self, task: TaskT) -> str:
        """Put the simulator at the start of a task; the opening message."""

    @abstractmethod
    def act(self, command: str) -> Turn:
        """Give a command to the simulator. Text that it cannot take is answered, never raised."""

    @abstractmethod
    def valid_actions(self) -> list[str]:
        """The commands that would be carried out now."""

    # The contract

    def open(self, task: TaskT) -> tuple[Journey, list[Message], list[Tool]]:
        """One opening message; there are no tools."""
        return Journey(), [{"role": "user", "content": self.begin(task)}], []

    def apply(self, action: str) -> Outcome:
        """Give the command in a message to the simulator."""
        journey = self.state
        command = command_line(action)
        if asks_for_valid_actions(command):
            return Outcome(self._listing(), journey.best)
        if not command:
            told = "Nothing to do was written: write one command."
            return Outcome(told, journey.best, valid=False, fault="unparsable")
        turn = self.act(command)
        journey.commands.append(command)
        journey.best = max(journey.best, turn.progress)
        observation = turn.observation
        if len(observation) > MAX_OBSERVATION_CHARS:
            observation = observation[:MAX_OBSERVATION_CHARS] + " ... (the rest is left out)"
        return Outcome(observation, journey.best, terminated=turn.done, valid=turn.valid, fault=turn.fault)

    def snapshot(self) -> Snapshot:
        """See :meth:`ConversationEnv.snapshot`.

        Raises:
            NotImplementedError: The simulator cannot be put back to where it was.
        """
        if not self.branches:
            raise NotImplementedError(f"{self.env_id} cannot be branched: its simulator has no state to go back to")
        return super().snapshot()

    def resume(self) -> None:
        """Start the task again and repeat what was done."""
        self.begin(self.task)
        for command in self.state.commands:
            self.act(command)

    def _listing(self) -> str:
        actions = self.valid_actions()
        listed = ", ".join(actions[:_SHOWN_ACTIONS]) or "none"
        more = f" and {len(actions) - _SHOWN_ACTIONS} more" if len(actions) > _SHOWN_ACTIONS else ""
        return f"Valid actions: {listed}{more}."

"""The base class of every environment: a conversation in, the assistant's text out."""

from __future__ import annotations

import copy
import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, get_args

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded

from acenv.spaces import Messages, Text
from acenv.types import Fault, Message, Tool

Difficulty = Literal["easy", "medium", "hard"]
Split = Literal["train", "test"]

MAX_ACTION_CHARS = 20_000
"""Longer actions are cut, and the agent is told: a conversation must stay smaller than a context window."""

PATIENCE = 3
"""Refused actions in a row that end an easy episode: a model of millions that is stuck so long stays stuck, and would
only go on to write to every limit."""


class UnscorableError(ValueError):
    """The official evaluator ends with an exception, or has nothing to compare; the message says why.

    Scoring functions raise it. An environment turns it into :attr:`Outcome.unscored` if the record is at fault, and
    into the metric ``unscored`` if the answer is.
    """


TaskT = TypeVar("TaskT")
StateT = TypeVar("StateT")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one action led to.

    Attributes:
        observation: What the agent is told next (ignored when the episode ends).
        score: The episode's score so far, in [0, 1]; the step's reward is its increase.
        terminated: Whether the task is over.
        valid: Whether the action was one that the environment could carry out (for ``grounding``).
        unscored: Why this episode cannot be scored at all, such as a record that is at fault. It ends the episode,
            goes into ``info["unscored"]``, and the episode counts as an error, never as a 0.
        fault: What was wrong with the action, for ``info["fault"]``. Without one, an action that is not ``valid`` is
            ``"invalid in this world"``, and one that ends the episode short of a full score is the environment's
            :attr:`ConversationEnv.wrong_end`.
    """

    observation: str
    score: float
    terminated: bool = False
    valid: bool = True
    unscored: str = ""
    fault: Fault | Literal[""] = ""


@dataclass(slots=True)
class _Progress(Generic[TaskT, StateT]):
    """All that changes during an episode; ``snapshot`` copies it whole."""

    task: TaskT
    state: StateT
    tools: list[Tool]
    messages: list[Message] = field(default_factory=list)
    score: float = 0.0
    steps: int = 0
    valid_steps: int = 0
    refused: int = 0
    over: bool = False
    limit: int = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frozen copy of an environment; only :meth:`ConversationEnv.restore` looks inside."""

    kind: str
    progress: Any
    rng_state: Any


class ConversationEnv(gymnasium.Env[list[Message], str], Generic[TaskT, StateT]):
    """A task that is worked on in a conversation.

    The observation is the conversation so far, as a chat API takes it; the action is the assistant's text. The return
    of an episode is its score in [0, 1], because each reward is the increase of the score. ``info["tools"]`` (at reset)
    holds the tools' JSON Schemas, ``info["metrics"]`` a dict of floats with at least ``success``, ``progress`` and
    ``grounding`` (the share of actions that could be carried out).

    No action raises. Text that is no valid action is answered with an observation that says what was wrong.

    A subclass gives five methods. ``TaskT`` is the immutable task of an episode, ``StateT`` the mutable state, which
    must survive :func:`copy.deepcopy`.

    Train and test tasks never coincide: every sampled task belongs to one split by a hash of its content
    (:meth:`fingerprint`), and sampling goes on until one of the wanted split turns up.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 1}
    max_action_chars = MAX_ACTION_CHARS
    wrong_end: Fault = "wrong answer"
    """The fault of an action that ends the episode short of a full score, where :meth:`apply` names none."""

    def __init__(
        self,
        *,
        difficulty: Difficulty = "medium",
        split: Split = "test",
        max_steps: int | None = 1,
        render_mode: str | None = None,
    ) -> None:
        """Set what all environments share.

        Args:
            difficulty: ``"easy"`` is for models of millions, ``"medium"`` of 1 to 30 billion parameters, ``"hard"``
                for larger ones.
            split: Which tasks to draw; ``"train"`` and ``"test"`` have no task in common.
            max_steps: Actions after which an unfinished episode is truncated; None: as many as :meth:`open` sets for
                the episode with :meth:`limit_steps`. At ``"easy"`` three refused actions in a row truncate it too (the
                attribute ``patience``; None takes any number).
            render_mode: ``"ansi"`` makes :meth:`render` return the conversation as text.

        Raises:
            ValueError: A value that is not one of those named above.
        """
        if difficulty not in get_args(Difficulty):
            raise ValueError(f"difficulty must be one of {', '.join(get_args(Difficulty))}, not {difficulty!r}")
        if split not in get_args(Split):
            raise ValueError(f"split must be one of {', '.join(get_args(Split))}, not {split!r}")
        if max_steps is not None and max_steps < 1:
            raise ValueError(f"max_steps must be at least 1, not {max_steps}")
        if render_mode not in (None, "ansi"):
            raise ValueError(f"render_mode must be None or 'ansi', not {render_mode!r}")
        self.difficulty: Difficulty = difficulty
        self.split: Split = split
        self.max_steps = max_steps or 1
        self._chosen_steps = max_steps
        self.patience = PATIENCE if difficulty == "easy" else None
        self.render_mode = render_mode
        self.observation_space = Messages()
        self.action_space = Text()
        self._progress: _Progress[TaskT, StateT] | None = None

    # What a subclass gives

    @abstractmethod
    def sample_task(self, rng: np.random.Generator) -> TaskT:
        """Draw a task. All randomness comes from ``rng``."""

    @abstractmethod
    def fingerprint(self, task: TaskT) -> str:
        """What makes a task this task; two tasks with equal fingerprints are never in different splits."""

    @abstractmethod
    def open(self, task: TaskT) -> tuple[StateT, list[Message], list[Tool]]:
        """The first state of an episode, the opening messages and the tools on offer."""

    @abstractmethod
    def apply(self, action: str) -> Outcome:
        """Carry out an action on :attr:`state`."""

    @abstractmethod
    def expert_action(self) -> str:
        """The right next action in the present state."""

    def metrics(self) -> dict[str, float]:
        """Scores beside ``success``, ``progress`` and ``grounding``; those of a benchmark under its official names."""
        return {}

    def labels(self) -> dict[str, str]:
        """What the present task is, for grouping: the official task, the format, the category."""
        return {}

    def refuse(self, action: str, complaint: str) -> Outcome:
        """What an action leads to that is no text, or too long; ``action`` is what could be kept of it."""
        del action
        return Outcome(complaint, self._running.score, valid=False)

    def draw_task(self, attempts: int = 1000) -> TaskT:
        """Sample until a task of the wanted split turns up; environments whose tasks know no split override this."""
        for _ in range(attempts):
            task = self.sample_task(self.np_random)
            if split_of(self.fingerprint(task)) == self.split:
                return task
        raise ValueError(
            f"{type(self).__name__} found no task of the {self.split!r} split in {attempts} draws: "
            "these settings leave too few different tasks"
        )

    def limit_steps(self, limit: int) -> None:
        """Set ``max_steps`` for this episode: to ``limit``, or what whoever made the environment chose."""
        self.max_steps = self._chosen_steps or limit

    def resume(self) -> None:
        """Rebuild what an environment keeps outside of its state, after :meth:`restore` put task and state back."""

    def score_at_truncation(self, score: float) -> float:
        """The score of an episode that ran out of steps; ``score`` is what the last action led to."""
        return score

    def load_task(self, index: int) -> TaskT:
        """Record ``index`` of the data set, for environments that read one.

        Raises:
            ValueError: The environment generates its tasks, or there is no such record.
        """
        raise ValueError(
            f"options['index'] = {index} picks a record of a data set, but {type(self).__name__} generates its tasks: "
            "use reset(seed=...), or make the environment with source=<folder>"
        )

    # Gymnasium

    @property
    def task(self) -> TaskT:
        """The present episode's task."""
        return self._running.task

    @property
    def state(self) -> StateT:
        """The present episode's state."""
        return self._running.state

    @property
    def steps(self) -> int:
        """Actions taken in the present episode, the one being applied included."""
        return self._running.steps

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[list[Message], dict[str, Any]]:
        """Start an episode; the same seed gives the same episode.

        Args:
            seed: Seeds this environment's own generator.
            options: ``{"index": i}`` takes record ``i`` of the data set.

        Returns:
            The opening messages, and ``{"tools": [...], "metrics": {...}, "labels": {...}}``.
        """
        super().reset(seed=seed)
        index = (options or {}).get("index")
        task = self.draw_task() if index is None else self.load_task(int(index))
        state, messages, tools = self.open(task)
        self._progress = _Progress(task, state, tools, messages, limit=self.max_steps)
        return self._observation(), {
            "tools": _copy_json(tools),
            "metrics": self._all_metrics(),
            "labels": self.labels(),
        }

    def step(self, action: str) -> tuple[list[Message], float, bool, bool, dict[str, Any]]:
        """Take the assistant's text; see the class for what comes back.

        Raises:
            gymnasium.error.ResetNeeded: There is no episode under way.
        """
        progress = self._running
        if progress.over:
            raise ResetNeeded("the episode is over: call reset() before step()")
        text, complaint = clean_action(action, self.max_action_chars)
        progress.steps += 1
        progress.messages.append({"role": "assistant", "content": text})
        outcome = self.refuse(text, complaint) if complaint else self.apply(text)
        progress.valid_steps += outcome.valid
        progress.refused = 0 if outcome.valid else progress.refused + 1
        stuck = self.patience is not None and progress.refused >= self.patience
        terminated = outcome.terminated or bool(outcome.unscored)
        truncated = not terminated and (stuck or progress.steps >= self.max_steps)
        score = self.score_at_truncation(outcome.score) if truncated else outcome.score
        reward = score - progress.score
        progress.score = score
        progress.over = terminated or truncated
        if not progress.over or outcome.observation:
            progress.messages.append({"role": "user", "content": outcome.observation})
        info: dict[str, Any] = {"metrics": self._all_metrics()}
        fault = self._fault(outcome, score < 1.0 - 1e-9)
        if complaint:
            fault = "cut off by length" if isinstance(action, str) else "unparsable"
        if fault:
            info["fault"] = fault
        if outcome.unscored:
            info["unscored"] = outcome.unscored
        return self._observation(), reward, terminated, truncated, info

    def render(self) -> str | None:
        """The conversation as text, if ``render_mode="ansi"``."""
        if self.render_mode != "ansi":
            return None
        return "\n\n".join(f"[{m['role']}]\n{m['content']}" for m in self._running.messages)

    # Branching

    def snapshot(self) -> Snapshot:
        """A copy of the whole state, generator included, from which any number of branches can be started."""
        return Snapshot(self._kind, copy.deepcopy(self._running), self.np_random.bit_generator.state)

    def restore(self, snapshot: Snapshot) -> list[Message]:
        """Go back to a snapshot of this environment, or of another one made with the same settings.

        Raises:
            ValueError: The snapshot is of another kind of environment.
        """
        if snapshot.kind != self._kind:
            raise ValueError(f"a snapshot of {snapshot.kind} cannot be restored into {self._kind}")
        self._progress = copy.deepcopy(snapshot.progress)
        self.max_steps = self._running.limit
        self.np_random.bit_generator.state = snapshot.rng_state
        self.resume()
        return self._observation()

    # Inside

    @property
    def _kind(self) -> str:
        return f"{type(self).__name__}(difficulty={self.difficulty!r})"

    @property
    def _running(self) -> _Progress[TaskT, StateT]:
        if self._progress is None:
            raise ResetNeeded("there is no episode yet: call reset() first")
        return self._progress

    def _fault(self, outcome: Outcome, short: bool) -> Fault | Literal[""]:
        """What was wrong with an action, if anything was; ``short``: the score is not full."""
        if outcome.fault == self.wrong_end and not short:
            return ""
        if outcome.fault or not outcome.valid:
            return outcome.fault or "invalid in this world"
        return self.wrong_end if outcome.terminated and short else ""

    def _observation(self) -> list[Message]:
        return [m.copy() for m in self._running.messages]

    def _all_metrics(self) -> dict[str, float]:
        progress = self._running
        return {
            "success": float(progress.score >= 1.0 - 1e-9),
            "progress": float(progress.score),
            "grounding": progress.valid_steps / progress.steps if progress.steps else 0.0,
            **self.metrics(),
        }


def clean_action(action: Any, limit: int = MAX_ACTION_CHARS) -> tuple[str, str]:
    """Make any object a text that can be stored, and say what was wrong with it.

    Returns:
        The text (valid Unicode, at most ``limit`` characters long) and a complaint, empty if all is well.

    >>> clean_action("go")
    ('go', '')
    >>> clean_action(None)
    ('', 'Invalid action: expected text, got NoneType.')
    """
    if not isinstance(action, str):
        return "", f"Invalid action: expected text, got {type(action).__name__}."
    complaint = ""
    if len(action) > limit:
        complaint = f"Invalid action: {len(action)} characters, the limit is {limit}."
        action = action[:limit]
    try:
        action.encode()
    except UnicodeEncodeError:
        action = action.encode(errors="replace").decode()
    return action, complaint


def _copy_json(value: Any) -> Any:
    """A copy of JSON data; ten times faster than ``copy.deepcopy``, which weighs on every reset."""
    if isinstance(value, dict):
        return {key: _copy_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy_json(item) for item in value]
    return value


def split_of(fingerprint: str) -> Split:
    """The split that a task belongs to, by a hash of its content.

    >>> split_of("a"), split_of("c")
    ('test', 'train')
    """
    digest = hashlib.blake2b(fingerprint.encode(errors="replace"), digest_size=1).digest()
    return "test" if digest[0] % 2 == 0 else "train"


def pick(rng: np.random.Generator, items: Sequence[Any], count: int | None = None) -> Any:
    """One item, or ``count`` different ones in random order, without turning them into numpy types."""
    if count is None:
        return items[int(rng.integers(len(items)))]
    if count > len(items):
        raise ValueError(f"cannot pick {count} different items of {len(items)}")
    return [items[int(i)] for i in rng.permutation(len(items))[:count]]

"""Episodes as rollouts of TRL's ``GRPOTrainer``: the model acts turn by turn, the return is the reward.

Tested with trl 1.16.0 and transformers 5.17.0::

    trainer = GRPOTrainer(
        model=str(NANO),
        args=GRPOConfig(max_completion_length=256, generation_kwargs={"max_new_tokens": 32}),
        train_dataset=episodes("acenv/PDDL-v0", range(100)),
        rollout_func=rollouts(difficulty="easy"),
        reward_funcs=episode_return,
    )

A rollout function is used, and not an ``environment_factory``, since the actions of acenv are texts: no parser for tool
calls of TRL's stands between the model and the environment, which sees malformed calls as it does in an evaluation.

A whole episode is one sequence: the opening messages are its prompt, and the completion holds the model's tokens and,
masked out of the loss, those of the environment's answers. ``max_completion_length`` is the budget of an episode, and
``generation_kwargs={"max_new_tokens": n}`` that of a turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from acenv.adapters.session import Session
from acenv.chat import Chat
from acenv.registry import resolve_env_ids
from acenv.types import Message

_MARK = "ACENV-TURN-MARK"
"""Stands for an assistant's text where the text around it is looked for."""


def episodes(env_ids: str | Sequence[str], seeds: Iterable[int]) -> Any:
    """A ``datasets.Dataset`` that names the episodes to train on: one row a pair of environment and seed.

    The column ``prompt`` holds ``id#seed``; what the model reads comes from the environment.
    """
    from datasets import Dataset

    ids = resolve_env_ids([env_ids] if isinstance(env_ids, str) else list(env_ids))
    return Dataset.from_dict({"prompt": [f"{env_id}#{seed}" for seed in seeds for env_id in ids]})


def episode_return(episode_return: Sequence[float], **_: Any) -> list[float | None]:
    """The reward function: the return of each episode; None, which TRL leaves out, where it cannot be scored."""
    return [None if math.isnan(value) else value for value in episode_return]


def rollouts(**env_kwargs: Any) -> Callable[[list[str], Any], dict[str, Any]]:
    """A rollout function for ``GRPOTrainer``: plays the episodes that the prompts name.

    Args:
        env_kwargs: Keywords for all environments; ``split="train"`` if not said otherwise.

    Returns:
        What takes prompts and the trainer, and gives ``prompt_ids``, ``completion_ids``, ``env_mask`` (1 for the
        model's tokens), ``logprobs`` where the engine gives them, ``episode_return``, and one list a metric under
        ``metric/NAME``.
    """
    keywords = {"split": "train", **env_kwargs}
    pool: dict[str, list[Session]] = {}

    def play(prompts: list[str], trainer: Any) -> dict[str, Any]:
        tokenizer = getattr(trainer.processing_class, "tokenizer", trainer.processing_class)
        writer = _Writer(tokenizer, set(trainer.eos_token_ids))
        taken: dict[str, int] = {}
        rows = []
        for prompt in prompts:
            env_id, _, seed = prompt.rpartition("#")
            if not env_id or not seed.isdecimal():
                raise ValueError(f"a prompt must name an episode, as episodes() writes it, not {prompt!r:.80}")
            number = taken[env_id] = taken.get(env_id, -1) + 1
            sessions = pool.setdefault(env_id, [])
            if number == len(sessions):
                sessions.append(Session(env_id, **keywords))
            rows.append(_Row(sessions[number], writer.opening(sessions[number], int(seed))))
        _play(rows, writer, trainer)
        names = sorted({name for row in rows for name in row.session.metrics})
        logged = {f"metric/{n}": [float(row.session.metrics.get(n, math.nan)) for row in rows] for n in names}
        return logged | {
            "prompt_ids": [row.prompt for row in rows],
            "completion_ids": [row.completion for row in rows],
            "env_mask": [row.mask for row in rows],
            "logprobs": [row.logprobs for row in rows] if all(row.known for row in rows) else None,
            "episode_return": [row.session.return_ for row in rows],
        }

    return play


@dataclass(slots=True)
class _Row:
    """One rollout: an episode and its tokens."""

    session: Session
    prompt: list[int]
    completion: list[int] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    known: bool = True

    def add(self, tokens: list[int], *, own: bool, logprobs: list[float] | None = None) -> None:
        self.completion += tokens
        self.mask += [int(own)] * len(tokens)
        self.known &= not own or logprobs is not None
        self.logprobs += logprobs or [0.0] * len(tokens)


def _play(rows: list[_Row], writer: _Writer, trainer: Any) -> None:
    """Play all episodes to their ends, one batch of turns after another."""
    budget = trainer.max_completion_length
    context = getattr(trainer.model.config.get_text_config(), "max_position_embeddings", None) or math.inf
    running = [row for row in rows if len(row.prompt) < context]
    for row in rows:
        if row not in running:  # GRPO wants a token to learn from, and there is no room for one
            row.session.cut()
            row.add([writer.end], own=False)
    while running:
        texts = [row.prompt + row.completion for row in running]
        answers, logprobs = trainer._generate_single_turn(texts, None, {}, num_generations=1)
        for i, row in enumerate(running):
            room = int(min(budget - len(row.completion), context - len(texts[i])))
            answer = answers[i][:room]
            row.add(answer, own=True, logprobs=None if logprobs is None else list(logprobs[i][:room]))
            row.session.step(writer.text(answer))
            if row.session.over:
                continue
            reply = writer.reply(row.session.messages[-1:], answer)
            if len(row.completion) + len(reply) >= budget or len(texts[i]) + len(answer) + len(reply) >= context:
                row.session.cut()
            else:
                row.add(reply, own=False)
        running = [row for row in running if not row.session.over]


class _Writer:
    """Turns messages into the tokens that go on where a model's own tokens ended."""

    def __init__(self, tokenizer: Any, ends: set[int]) -> None:
        self._tokenizer = tokenizer
        self._chat = Chat(tokenizer)
        self._ends = ends
        self.end = min(ends)

    def opening(self, session: Session, seed: int) -> list[int]:
        messages = session.reset(seed)
        return self._encode(self._chat.render(messages, session.tools), special=not self._chat.has_template)

    def text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def reply(self, messages: list[Message], after: Sequence[int]) -> list[int]:
        """What stands between an assistant's text and its next one; without the end mark, if the model wrote it."""
        before: list[Message] = [{"role": "user", "content": "u"}, {"role": "assistant", "content": _MARK}]
        tokens = self._encode(self._chat.render([*before, *messages]).split(_MARK, 1)[1])
        ended = bool(after) and after[-1] in self._ends
        return tokens[1:] if ended and tokens and tokens[0] in self._ends else tokens

    def _encode(self, text: str, *, special: bool = False) -> list[int]:
        clean = text.encode(errors="replace").decode()
        return list(self._tokenizer(clean, add_special_tokens=special, verbose=False)["input_ids"])

"""Makes T-Eval tasks: six kinds, two formats, three difficulties."""

from __future__ import annotations

from random import Random

from acenv.envs.base import Difficulty
from acenv.envs.tools.teval.easy import easy_task
from acenv.envs.tools.teval.forms import instruct_task, review_task
from acenv.envs.tools.teval.harder import next_call_task, plan_task
from acenv.envs.tools.teval.task import Format, Kind, TevalTask


def make_task(r: Random, kind: Kind, answer_format: Format, difficulty: Difficulty) -> TevalTask:
    """A task. In JSON, ``reason``, ``retrieve`` and ``understand`` are the same tasks, as they are officially."""
    if difficulty == "easy":
        return easy_task(r, kind, answer_format)
    hard = difficulty == "hard"
    if kind == "instruct":
        return instruct_task(r, answer_format, hard)
    if kind == "plan":
        return plan_task(r, answer_format, hard)
    if kind == "review":
        return review_task(r, answer_format, hard)
    return next_call_task(r, kind, answer_format, hard)

"""Seeded tasks in the categories of the leaderboard, of three difficulties."""

from __future__ import annotations

from random import Random

from acenv.envs.base import Difficulty
from acenv.envs.tools.bfcl.easy import easy
from acenv.envs.tools.bfcl.harder import harder
from acenv.envs.tools.bfcl.tasks import BFCLTask


def generate(category: str, difficulty: Difficulty, r: Random) -> BFCLTask:
    """Draw a task of one of the generated categories.

    Easy: one or two calls whose values are copied from the request, or two short turns; one to four tools. Medium: up
    to three calls with values to bring into a form, optional and nested parameters, four to six functions of which some
    do nearly the same; three turns. Hard: up to four calls, ten to fifteen functions of which some differ in one
    sentence of their description; five turns, and at times one in which a function is missing.
    """
    return easy(category, r) if difficulty == "easy" else harder(category, r, difficulty == "hard")

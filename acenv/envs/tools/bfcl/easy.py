"""Easy tasks: one or two calls whose values are copied from the request."""

from __future__ import annotations

from random import Random

from acenv.envs.tools.bfcl.build import NO_TOOL, dialogue, single_turn, together
from acenv.envs.tools.bfcl.tasks import BFCLTask
from acenv.envs.tools.domains import TOOLS
from acenv.envs.tools.draft import Draft, choose_tools
from acenv.envs.tools.easy import EASY, EASY_TOOLS

SYSTEM = (
    'Do the task with the tools, one call a line, as {"name": ..., "arguments": {...}}. '
    f"If no tool can do it, answer {NO_TOOL}."
)
SYSTEM_MULTI_TURN = (
    'Do each task with the tools, one call a line, as {"name": ..., "arguments": {...}}. '
    "When a task is done, answer done."
)

_RELATED = ("files", "notes", "calendar")
"""Domains that all can keep a text for later: a tool of one may seem to do for a request that is meant for another."""


def easy(category: str, r: Random) -> BFCLTask:
    """A task of one of the generated categories, with one to four tools on offer."""
    if category == "multi_turn":
        return _multi_turn(r)
    draft, request = _one(r)
    name = draft.steps[0].call.name
    if category == "simple":
        return single_turn(category, SYSTEM, request, draft, [name])
    if category == "multiple":
        return single_turn(category, SYSTEM, request, draft, choose_tools(r, draft, [EASY_TOOLS], r.randrange(3, 5)))
    if category == "irrelevance":
        domains = {TOOLS[name].domain}
        if domains & set(_RELATED):
            domains.update(_RELATED)
        others = [other for other in EASY_TOOLS if TOOLS[other].domain not in domains]
        return single_turn(category, SYSTEM, request, draft, r.sample(others, r.randrange(2, 4)))
    other, other_request = _one(r)
    while (other.steps[0].call.name == name) != (category == "parallel") or other.steps[0].call == draft.steps[0].call:
        other, other_request = _one(r)
    draft.steps += other.steps
    tools = [name] if category == "parallel" else choose_tools(r, draft, [EASY_TOOLS], r.randrange(3, 5))
    return single_turn(category, SYSTEM, f"{request}\n{other_request}", draft, tools)


def _one(r: Random) -> tuple[Draft, str]:
    """A request that one call fulfils."""
    while True:
        draft = Draft(r)
        request, _ = r.choice(EASY)(draft)
        if len(draft.steps) == 1:
            return draft, request


def _multi_turn(r: Random) -> BFCLTask:
    """Two requests, one after the other, in one world."""
    while True:
        drafts = [Draft(r), Draft(r)]
        requests = [family(draft)[0] for family, draft in zip(r.sample(EASY, 2), drafts, strict=True)]
        whole = together(drafts)
        if whole is not None:
            task = whole.task("\n".join(requests), None, choose_tools(r, whole, [EASY_TOOLS], r.randrange(3, 5)))
            return dialogue(SYSTEM_MULTI_TURN, requests, [len(draft.steps) for draft in drafts], task)

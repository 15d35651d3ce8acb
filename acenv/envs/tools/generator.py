"""Seeded tasks for the tool sandbox, of three difficulties."""

from __future__ import annotations

from random import Random

from acenv.envs.base import Difficulty
from acenv.envs.tools.domains import TOOLS
from acenv.envs.tools.draft import Draft, Task, choose_tools
from acenv.envs.tools.easy import easy
from acenv.envs.tools.stories import STORIES, Part, described_person, person


def generate(difficulty: Difficulty, r: Random) -> Task:
    """Draw a task.

    Easy: one or two calls, three or four tools. Medium: three to five calls that depend on each other, eight to twelve
    tools, decoy records. Hard: two such jobs, five to nine calls, fifteen to twenty tools, more decoys that differ in
    one word.
    """
    return {"easy": easy, "medium": medium, "hard": hard}[difficulty](r)


def medium(r: Random) -> Task:
    """One job, and at times a report or a question about it."""
    draft = Draft(r)
    part = r.choice(STORIES)(draft)
    request, answer = part.request, None
    closing = r.randrange(3)
    if closing == 1:
        request, answer = f"{request} {_ask(part)}", part.value
    elif closing == 2:
        request = f"{request} {_report(draft, part, person(draft))}"
    return _finished(draft, request, answer, r.randrange(8, 13))


def hard(r: Random) -> Task:
    """Two jobs, with a report on the first and mostly a question about the second."""
    draft = Draft(r, hard=True)
    first_story, second_story = r.sample(STORIES, 2)
    first = first_story(draft)
    reads = draft.reads
    draft.reads = []
    second = second_story(draft)
    draft.reads = reads
    if len(draft.steps) <= 6 and r.random() < 0.5:
        name, description = described_person(draft)
        report = _report(draft, first, name, description)
    else:
        report = _report(draft, first, person(draft))
    request, answer = f"{first.request} Then a second job: {second.request} {report}", None
    if r.random() < 0.7:
        request, answer = f"{request} {_ask(second)}", second.value
    return _finished(draft, request, answer, r.randrange(15, 21))


def _ask(part: Part) -> str:
    return f"When you finish, answer with {part.what}, and nothing else."


def _report(draft: Draft, part: Part, name: str, description: str = "") -> str:
    draft.call("send_message", to=name, text=part.value)
    return f"When that is done, send {description or name} a message whose text is just {part.what}."


def _finished(draft: Draft, request: str, answer: str | None, total: int) -> Task:
    domains = {TOOLS[step.call.name].domain for step in draft.steps}
    # The other tools of the domains at work are the ones that can be mistaken for the right ones.
    near = [name for name, spec in TOOLS.items() if spec.domain in domains]
    tools = choose_tools(draft.r, draft, [near, list(TOOLS)], total)
    return draft.task(request, answer, tools, filler=draft.r.getrandbits(32))

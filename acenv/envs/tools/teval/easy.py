"""The easy tasks of the six kinds: two or three short orders, all values to be copied."""

from __future__ import annotations

from random import Random
from typing import Any

from acenv.envs.tools.calls import dump_json
from acenv.envs.tools.teval.steps import API, SIMPLE, Step, signature, simple_steps
from acenv.envs.tools.teval.task import Format, Kind, TevalTask, conversation, write_call

_NUMBER_OF_TOOLS = 4

KEYS = (("goal", "name", "args"), ("thought", "action", "input"), ("reason", "tool", "values"))
"""What a thought, a tool and its arguments can be called."""

CHOICES = {
    "A": "the result does what the goal asks",
    "B": "the service failed",
    "C": "the arguments are wrong",
    "D": "the result is about another thing",
    "E": "there is nothing to be found",
}
"""What the letters of a review mean."""


def easy_task(r: Random, kind: Kind, answer_format: Format) -> TevalTask:
    """An easy task."""
    if kind == "instruct":
        return _instruct(r, answer_format)
    if kind == "plan":
        return _plan(r, answer_format)
    if kind == "review":
        return _review(r, answer_format)
    return _next_call(r, kind, answer_format)


def _request(steps: list[Step]) -> str:
    return " ".join(f"{'Then' if i else 'First'} {step.request}." for i, step in enumerate(steps))


def _catalogue(r: Random, steps: list[Step]) -> list[str]:
    """Names of the tools on offer: those of the steps and others."""
    used = list(dict.fromkeys(step.name for step in steps))
    others = [name for name in API if name not in used]
    names = used + r.sample(others, max(0, _NUMBER_OF_TOOLS - len(used)))
    r.shuffle(names)
    return names


def _tools(names: list[str]) -> str:
    return "\n".join(["Tools:", *map(signature, names)])


def _instruct(r: Random, answer_format: Format) -> TevalTask:
    step = simple_steps(r, 1)[0]
    thought, action, args = r.choice(KEYS)
    if answer_format == "json":
        template = {"thought": thought, "action": action, "args": args}
        form = f'Write the call as JSON: {{"{thought}": thought, "{action}": name, "{args}": arguments}}'
    else:
        template = {
            "thought_start": f"{thought}: ",
            "thought_end": "\n",
            "action_start": f"{action}: ",
            "action_end": "\n",
            "args_start": f"{args}: ",
            "args_end": "",
        }
        form = f"Write the call in three lines:\n{thought}: thought\n{action}: name\n{args}: arguments"
    question = f"thought: {step.text}\nname: {step.name}\narguments: {dump_json(step.args)}"
    answer = write_call(template, step.text, step.name, step.args)
    if answer_format == "str":
        answer = answer.replace(str(step.args), dump_json(step.args))
    gold = {"action": step.name, "args": step.args}
    messages = conversation(("system", form), ("user", question))
    return TevalTask("instruct", answer_format, messages, gold, answer, question, template)


def _plan(r: Random, answer_format: Format) -> TevalTask:
    steps = simple_steps(r, r.randrange(2, 4))
    names, request = _catalogue(r, steps), _request(steps)
    if answer_format == "json":
        form = 'Plan the task as JSON: [{"name": tool, "id": number from 0, "args": arguments}]'
    else:
        form = "Plan the task, one line a step: number: tool arguments"
    gold = [{"name": step.name, "id": i, "args": step.args} for i, step in enumerate(steps)]
    answer = dump_json(gold) if answer_format == "json" else plan_lines(steps)
    messages = conversation(("system", f"{form}\n{_tools(names)}"), ("user", request))
    return TevalTask("plan", answer_format, messages, gold, answer, request, apis=tuple(names))


def plan_lines(steps: list[Step]) -> str:
    """A plan in words, one line a step."""
    return "\n".join(f"{i}: {step.name} {dump_json(step.plan_args)}" for i, step in enumerate(steps, 1))


def _next_call(r: Random, kind: Kind, answer_format: Format) -> TevalTask:
    steps = simple_steps(r, r.randrange(2, 4))
    done = r.randrange(len(steps))
    names, request, step = _catalogue(r, steps), _request(steps), steps[done]
    form = 'Do the task, one step a message, as {"thought": words of the step, "name": tool, "args": arguments}'
    turns = [("system", f"{form}\n{_tools(names)}"), ("user", request)]
    for past in steps[:done]:
        turns += [("assistant", call_text(past)), ("user", dump_json(past.result))]
    gold: dict[str, Any] = {"thought": step.text, "name": step.name, "args": step.args}
    if answer_format == "json":
        answer = call_text(step)
    else:
        asked = r.choice(list(step.args))
        if kind == "reason":
            question, answer = "Say the next step.", step.text
        elif kind == "retrieve":
            question, answer = f"The next step is: {step.text}. Say the tool.", step.name
        else:
            question = f"The next step is: {step.text}. The tool is {step.name}. Say the {asked}."
            answer = str(step.args[asked])
            gold["args"] = answer
        role, content = turns.pop()
        turns.append((role, f"{content}\n{question}"))
    return TevalTask(kind, answer_format, conversation(*turns), gold, answer, f"{request} {done}")


def call_text(step: Step) -> str:
    """A call with its thought, in the form of T-Eval's JSON tasks."""
    return dump_json({"thought": step.text, "name": step.name, "args": step.args})


def _review(r: Random, answer_format: Format) -> TevalTask:
    step, *others = simple_steps(r, len(SIMPLE))
    # Never {"ok": true}, and no field in common, else the result could be the one that was asked for.
    other = next(o for o in others if o.result != {"ok": True} and not o.result.keys() & step.result.keys())
    letter = r.choice("ABCDE" if answer_format == "str" else "AAAABCDE")
    argument = r.choice(list(step.args))
    results: dict[str, Any] = {
        "A": step.result,
        "B": {"error": r.choice(("the service is down", "no answer from the service", "the service is closed"))},
        "C": {"error": r.choice((f"{argument} is wrong", f"{argument} must be another", f"wrong {argument}"))},
        "D": other.result,
        "E": r.choice(({}, {"found": []}, {"found": "nothing"})),
    }
    text = f"goal: {step.text}\nname: {step.name}\nargs: {dump_json(step.args)}\nresult: {dump_json(results[letter])}"
    if answer_format == "json":
        form = 'Say if the result does what the goal asks, as {"is_finished": true} or {"is_finished": false}'
        gold: Any = {"review": letter == "A"}
        answer = dump_json({"is_finished": letter == "A"})
    else:
        lines = [f"{choice}: {meaning}" for choice, meaning in CHOICES.items()]
        form = "\n".join(["Say the letter that fits the result.", *lines])
        gold = answer = letter
    return TevalTask("review", answer_format, conversation(("system", form), ("user", text)), gold, answer, text)

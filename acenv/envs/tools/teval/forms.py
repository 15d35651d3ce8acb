"""The medium and hard tasks of two kinds: to write a call in an unusual form, and to judge a call's result."""

from __future__ import annotations

from random import Random
from typing import Any

from acenv.envs.tools import words
from acenv.envs.tools.calls import dump_json
from acenv.envs.tools.teval.harder import describe
from acenv.envs.tools.teval.steps import SIMPLE, Step, phrase, room, simple_steps, time
from acenv.envs.tools.teval.task import Format, TevalTask, conversation, write_call

_KEYS = {
    "thought": ("goal", "thought", "reason", "why", "purpose", "remark"),
    "action": ("name", "action", "tool", "call", "function", "service"),
    "args": ("args", "input", "values", "parameters", "data", "payload"),
}

_FRAMES = (
    ("{0}: ", "\n", "{1}: ", "\n", "{2}: ", ""),
    ("<{0}>", "</{0}>\n", "<{1}>", "</{1}>\n", "<{2}>", "</{2}>"),
    ("## {0}\n", "\n## {1}\n", "", "\n## {2}\n", "", "\n## end"),
    ("@{0} ", ";\n", "@{1} ", ";\n", "@{2} ", ";"),
    ("{0} = ", " // ", "{1} = ", " // ", "{2} = ", " // end"),
    ("{0} -> ", "\n---\n", "{1} -> ", "\n---\n", "{2} -> ", "\n---"),
)
"""What surrounds the thought, the tool and the arguments; none of it is special in a regular expression."""

_FIELDS = (
    "label",
    "owner",
    "place",
    "color",
    "amount",
    "weight",
    "level",
    "day",
    "start",
    "remark",
    "urgent",
    "copies",
)


def _form(r: Random) -> tuple[str, dict[str, Any]]:
    """A tool with five to nine arguments of all kinds, whose texts have quotation marks and commas in them."""
    args: dict[str, Any] = {}
    for field in r.sample(_FIELDS, r.randrange(5, 10)):
        if field in ("amount", "level", "copies"):
            args[field] = r.randrange(2, 10_000)
        elif field == "weight":
            args[field] = r.randrange(11, 999) / 10
        elif field == "urgent":
            args[field] = bool(r.randrange(2))
        elif field == "remark":
            args[field] = f'{r.choice(words.NAMES)}\'s {phrase(r)}, "{phrase(r)}", {room(r)}'
        else:
            args[field] = {"day": r.choice(words.DAYS), "start": time(r), "owner": r.choice(words.NAMES)}.get(
                field, phrase(r)
            )
    noun = r.choice(words.NOUNS)
    return f"{noun}_desk.{r.choice(('register', 'submit', 'update'))}_{r.choice(words.NOUNS)}", args


def _template(r: Random, answer_format: Format) -> dict[str, str]:
    keys = {part: r.choice(names) for part, names in _KEYS.items()}
    if answer_format == "json":
        return keys
    pieces = [piece.format(*keys.values()) for piece in r.choice(_FRAMES)]
    names = ("thought_start", "thought_end", "action_start", "action_end", "args_start", "args_end")
    return dict(zip(names, pieces, strict=True))


def _shown(template: dict[str, str]) -> str:
    """The form, with words in the places of the parts."""
    if "thought" in template:
        return (
            f'a JSON object with the keys "{template["thought"]}" (the thought), "{template["action"]}" (the tool) and '
            f'"{template["args"]}" (an object with the arguments)'
        )
    text = "".join(
        f"{template[f'{part}_start']}{place}{template[f'{part}_end']}"
        for part, place in (("thought", "THOUGHT"), ("action", "TOOL"), ("args", "ARGUMENTS"))
    )
    return f"exactly this, with the words in capitals replaced, the arguments as JSON or a Python dict:\n{text}"


def instruct_task(r: Random, answer_format: Format, hard: bool) -> TevalTask:
    """A call with many arguments to write in a form; at hard the form changes in the course of the conversation."""
    name, args = _form(r)
    thought = f"{r.choice(('register', 'change', 'check'))} the {phrase(r)} before {r.choice(words.DAYS)}"
    template = _template(r, answer_format)
    turns = []
    form = f"Write each call as {_shown(template)}"
    if hard:
        older = _template(r, r.choice(("json", "str")))
        turns.append(("system", f"You write calls of tools. Write each call as {_shown(older)}"))
        for past in simple_steps(r, 2):
            turns += [("user", _order(past.name, past.args, past.text))]
            turns += [("assistant", write_call(older, past.text, past.name, past.args))]
        question = f"From now on another form is used. {form}\n\n{_order(name, args, thought)}"
    else:
        turns.append(("system", f"You write calls of tools. {form}"))
        question = _order(name, args, thought)
    if answer_format == "str":
        question += "\nWrite true and false as True and False."
    gold = {"action": name, "args": args}
    answer = write_call(template, thought, name, args)
    messages = conversation(*turns, ("user", question))
    return TevalTask("instruct", answer_format, messages, gold, answer, f"{thought} {name} {args}", template)


def _order(name: str, args: dict[str, Any], thought: str) -> str:
    values = "\n".join(f"- {key} is {dump_json(value)}" for key, value in args.items())
    return f"Call {name} with the thought: {thought}\nThe arguments, texts in quotation marks:\n{values}"


_MEANINGS = {
    "done": "The arguments fit the goal, and the result shows that the goal is reached.",
    "down": "The service itself failed or could not be reached.",
    "args": "The arguments do not fit the goal, or one that is needed is missing, whatever the result says.",
    "other": "The arguments fit the goal, but the result is about something else than what was asked for.",
    "none": "The arguments fit the goal, but the service says that nothing was found, or that it cannot be done.",
}

_ASIDE = "What a result lists under see_also has nothing to do with the call."

_DOWN = (
    "HTTPSConnectionPool: connection refused",
    "HTTP 502: bad gateway",
    "time-out after 60 seconds",
    "internal error: the database is locked",
    "HTTP 503: down for repairs",
)
_NONE: tuple[dict[str, Any], ...] = (
    {"found": []},
    {"message": "no entry of that name"},
    {"message": "this is not possible"},
    {"found": None},
)


def review_task(r: Random, answer_format: Format, hard: bool) -> TevalTask:
    """A call with its result to judge; at hard the letters are shuffled and all values are close to each other."""
    made = r.choice(SIMPLE)(r)
    outcome = r.choice(tuple(_MEANINGS)) if answer_format == "str" else r.choice(("done", *_MEANINGS, "done", "done"))
    args: dict[str, Any] = dict(made.args)
    result: Any = {**made.args, **made.result, "took": f"{r.randrange(10, 900)} ms"}
    slot = r.choice(list(made.args))
    if outcome == "down":
        result = {"error": r.choice(_DOWN)}
    elif outcome == "args":
        if len(args) > 1 and not hard:
            del args[slot]
            result = {"error": f"{slot} is missing"}
        else:  # Nothing complains: only a comparison with the goal shows it.
            args[slot] = result[slot] = near(r, made, slot)
    elif outcome == "other":
        result[slot] = near(r, made, slot)
    elif outcome == "none":
        result = r.choice(_NONE)
    if hard:
        same = next(make for make in SIMPLE if make(Random(0)).name == made.name)
        others = [{**other.args, **other.result} for other in (same(r) for _ in range(4))]
        result = {"served_by": f"{r.choice(words.CITIES)}-{r.randrange(1, 9)}", "data": result, "see_also": others}
    letters = list("ABCDE")
    if hard:
        r.shuffle(letters)
    choices = dict(zip(_MEANINGS, letters, strict=True))
    text = f"Tool: {describe(made.name)}\nGoal: {made.text}\nArguments: {dump_json(args)}\nResult: {dump_json(result)}"
    if answer_format == "json":
        form = (
            f"You check the work of an agent. {_ASIDE} A goal is reached only if the arguments fit it and the result "
            'shows what was asked for. Answer with JSON: {"is_finished": true} or {"is_finished": false}.'
        )
        gold: Any = {"review": outcome == "done"}
        answer = dump_json({"is_finished": outcome == "done"})
    else:
        lines = [f"{letter}: {meaning}" for letter, meaning in sorted((choices[m], _MEANINGS[m]) for m in _MEANINGS)]
        form = "\n".join(
            [f"You check the work of an agent. {_ASIDE} Which of these is true? Answer with its letter alone.", *lines]
        )
        gold = answer = choices[outcome]
    return TevalTask("review", answer_format, conversation(("system", form), ("user", text)), gold, answer, text)


def near(r: Random, made: Step, slot: str) -> Any:
    """Another value of an argument: a number a little off, a text with another last word, or one of the same family."""
    value = made.args[slot]
    if isinstance(value, int):
        return value + r.choice((-1, 1, 10))
    stem, dash, number = value.rpartition("-")
    if dash and number.isdigit():
        return f"{stem}-{int(number) + r.choice((-1, 1, 10))}"
    if " " in value:
        first, _, last = value.rpartition(" ")
        return f"{first} {r.choice([noun for noun in words.NOUNS if noun != last])}"
    if slot == "field":
        return "team"
    family = next(make for make in SIMPLE if make(Random(0)).name == made.name)
    while (other := family(r).args[slot]) == value:
        pass
    return other

"""The medium and hard tasks: long requests whose later steps use earlier results, among many tools that look alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from acenv.envs.tools import words
from acenv.envs.tools.calls import dump_json
from acenv.envs.tools.domains import TOOLS
from acenv.envs.tools.teval.scoring import FINISH
from acenv.envs.tools.teval.steps import API, Step, event, key, path, phone, phrase, room, simple_steps, step, time
from acenv.envs.tools.teval.task import Format, Kind, TevalTask, conversation

DONE = "every step is done"
"""The thought that goes with the call that ends a task."""

_FAILURES = ("the service does not answer", "time-out after 30 seconds", "HTTP 503: try again later")


@dataclass(frozen=True, slots=True)
class Found:
    """A value that a result gives: what the request calls it, and what it is."""

    words: str
    value: Any


def _person(r: Random) -> str:
    return f"{r.choice(words.NAMES)} {r.choice(words.SURNAMES)}"


def _contact(r: Random) -> tuple[Step, Found]:
    name = _person(r)
    record = {"name": name, "phone": phone(r), "city": r.choice(words.CITIES), "team": r.choice(words.TEAMS)}
    field = r.choice(("phone", "city", "team"))
    looked = step("get_contact", {"name": name}, f"look up the contact {name}", record)
    return looked, Found(f"the {field} of {name}", record[field])


def _item(r: Random) -> tuple[Step, Found]:
    item = key(r)
    record = {"item": item, "name": phrase(r), "stock": r.randrange(2, 900), "price": r.randrange(2, 900)}
    field = r.choice(("stock", "price"))
    looked = step("get_item", {"item": item}, f"look up the item {item}", record)
    return looked, Found(f"the {field} of {item}", record[field])


def _balance(r: Random) -> tuple[Step, Found]:
    account = key(r)
    record = {"account": account, "owner": _person(r), "balance": r.randrange(10, 9000)}
    looked = step("get_balance", {"account": account}, f"get the balance of the account {account}", record)
    return looked, Found(f"the balance of {account}", record["balance"])


def _note(r: Random) -> tuple[Step, Found]:
    title, text = phrase(r), phrase(r, 4)
    looked = step("read_note", {"title": title}, f"read the note {title}", {"title": title, "text": text})
    return looked, Found(f"the text of the note {title}", text)


def _file(r: Random) -> tuple[Step, Found]:
    where, text = path(r), phrase(r, 4)
    looked = step("read_file", {"path": where}, f"read the file {where}", {"path": where, "text": text})
    return looked, Found(f"the text of {where}", text)


def _devices(r: Random) -> tuple[Step, Found]:
    where, kinds = room(r), r.sample(words.DEVICES, 3)
    found = [
        {"device": f"{r.choice(words.NOUNS)}-{r.randrange(10, 1000)}", "kind": kind, "state": r.choice(("on", "off"))}
        for kind in kinds
    ]
    looked = step(
        "list_devices", {"room": where}, f"list the devices in the {where}", {"room": where, "devices": found}
    )
    chosen = r.choice(found)
    return looked, Found(f"the {chosen['kind']} in the {where}", chosen["device"])


def _events(r: Random) -> tuple[Step, Found]:
    day, titles = r.choice(words.DAYS), {phrase(r) for _ in range(3)}
    found = [{"event": event(r), "title": title, "time": time(r)} for title in sorted(titles)]
    looked = step("list_events", {"day": day}, f"list the events of {day}", {"day": day, "events": found})
    chosen = r.choice(found)
    return looked, Found(f"the event {chosen['title']} of {day}", chosen["event"])


def _accounts(r: Random) -> tuple[Step, Found]:
    owner, kinds = _person(r), ("current", "savings", "shared")
    found = [{"account": key(r), "kind": kind, "balance": r.randrange(10, 9000)} for kind in kinds]
    looked = step(
        "list_accounts", {"owner": owner}, f"list the accounts of {owner}", {"owner": owner, "accounts": found}
    )
    chosen = r.choice(found)
    return looked, Found(f"the {chosen['kind']} account of {owner}", chosen["account"])


_TEXT: tuple[Callable[[Random], tuple[Step, Found]], ...] = (_contact, _note, _file)
_NUMBER: tuple[Callable[[Random], tuple[Step, Found]], ...] = (_item, _balance)


def _use(tool: str, args: dict[str, Any], order: str, slot: str, found: Found) -> Step:
    """A step whose argument ``slot`` is a found value; ``order`` has ``{}`` for it."""
    made = step(tool, {**args, slot: found.value}, order.format(found.value))
    bracket = f"[{found.words}]"
    return replace(made, asked=order.format(bracket), planned={**args, slot: bracket})


def _use_text(r: Random, found: Found) -> Step:
    choice = r.randrange(3)
    if choice == 0:
        to = _person(r)
        return _use("send_message", {"to": to}, f"send {to} the message {{}}", "text", found)
    if choice == 1:
        where = path(r, "md")
        return _use("write_file", {"path": where}, f"write to {where} the text {{}}", "text", found)
    title = phrase(r)
    return _use("add_note", {"title": title}, f"save a note titled {title} with the text {{}}", "text", found)


def _use_number(r: Random, found: Found) -> Step:
    choice = r.randrange(3)
    if choice == 0:
        item = key(r)
        return _use("order_item", {"item": item}, f"order {{}} of {item}", "quantity", found)
    if choice == 1:
        item = key(r)
        return _use("set_price", {"item": item}, f"set the price of {item} to {{}}", "price", found)
    source, target = key(r), key(r)
    args = {"source": source, "target": target}
    return _use("transfer_money", args, f"transfer {{}} from {source} to {target}", "amount", found)


def _use_device(r: Random, found: Found) -> Step:
    state = r.choice(("on", "off"))
    return _use("switch_device", {"state": state}, f"switch the device {{}} {state}", "device", found)


def _use_event(r: Random, found: Found) -> Step:
    if r.randrange(2):
        return _use("cancel_event", {}, "cancel event {}", "event", found)
    day, at = r.choice(words.DAYS), time(r)
    args = {"day": day, "time": at}
    return _use("move_event", args, f"move event {{}} to {day} at {clock(at)}", "event", found)


def _use_account(r: Random, found: Found) -> Step:
    target, amount = key(r), r.randrange(10, 1000)
    args = {"target": target, "amount": amount}
    return _use("transfer_money", args, f"transfer {amount} from {{}} to {target}", "source", found)


def clock(at: str) -> str:
    """A time as people say it.

    >>> clock("19:30"), clock("12:00"), clock("07:05")
    ('7:30 pm', '12:00 pm', '7:05 am')
    """
    hour, minute = at.split(":")
    return f"{(int(hour) - 1) % 12 + 1}:{minute} {'pm' if int(hour) >= 12 else 'am'}"


def _pair(r: Random) -> tuple[Step, list[Step]]:
    """A step that finds something, and one or two that use it."""
    choice = r.randrange(7)
    if choice < 2:
        looked, found = r.choice(_TEXT)(r)
        return looked, [_use_text(r, found) for _ in range(1 + r.randrange(2))]
    if choice < 4:
        looked, found = r.choice(_NUMBER)(r)
        return looked, [_use_number(r, found) for _ in range(1 + r.randrange(2))]
    if choice == 4:
        looked, found = _devices(r)
        return looked, [_use_device(r, found)]
    if choice == 5:
        looked, found = _events(r)
        return looked, [_use_event(r, found)]
    looked, found = _accounts(r)
    return looked, [_use_account(r, found)]


def script(r: Random, pairs: int, singles: int, branches: int = 0) -> list[Step]:
    """Steps in the order in which they are to be done; what a step uses has been found before.

    No two steps are equal: the official score of a plan takes equal steps for each other.
    """
    while True:
        steps = _steps(r, pairs, singles, branches)
        if len({(made.name, str(made.plan_args)) for made in steps}) == len(steps):
            return steps


def _steps(r: Random, pairs: int, singles: int, branches: int) -> list[Step]:
    steps = simple_steps(r, singles)
    for _ in range(pairs):
        looked, uses = _pair(r)
        place = r.randrange(len(steps) + 1)
        steps.insert(place, looked)
        for use in uses:
            place = r.randrange(place + 1, len(steps) + 1)
            steps.insert(place, use)
    for _ in range(branches):
        looked, found = r.choice(_NUMBER)(r)
        place = r.randrange(len(steps) + 1)
        steps.insert(place, looked)
        steps.insert(r.randrange(place + 1, len(steps) + 1), branch(r, found))
    return steps


def branch(r: Random, found: Found) -> Step:
    """A step of two branches, one of which applies, as the found number is above or below a limit."""
    below = bool(r.randrange(2))
    limit = found.value + r.randrange(1, 40) if below else max(1, found.value - r.randrange(0, 40))
    yes, no = simple_steps(r, 2)
    asked = f"if [{found.words}] is below {limit}, {yes.text}; otherwise {no.text}"
    taken, left = (yes, no) if found.value < limit else (no, yes)
    return replace(taken, asked=asked, rejected=left.name)


_LINKS = ("Then", "After that,", "Next,", "Once that is done,")


def request(r: Random, steps: list[Step], hard: bool) -> str:
    """What the user wants: in the order of the steps, or shuffled, each with the step that it comes after."""
    if not hard:
        orders = [f"{'First' if i == 0 else r.choice(_LINKS)} {s.request}." for i, s in enumerate(steps)]
        return " ".join(orders)
    letters = r.sample("ABCDEFGHJKLMNPQRSTUVWXYZ", len(steps))
    lines = [
        f"{letter}, {'first of all' if i == 0 else f'after {letters[i - 1]}'}: {s.request}"
        for i, (letter, s) in enumerate(zip(letters, steps, strict=True))
    ]
    r.shuffle(lines)
    return "\n".join(lines)


def catalogue(r: Random, steps: list[Step], count: int, archive: bool) -> tuple[list[str], str]:
    """Names and descriptions of the tools on offer; archived doubles of needed tools are among them if so wanted."""
    used = list(dict.fromkeys(name for s in steps for name in (s.name, s.rejected) if name))
    names = used + r.sample([n for n in API if n not in used], max(0, min(len(API), count) - len(used)))
    entries = {name: describe(name) for name in names}
    if archive:
        for name in used:
            service, _, function = name.partition(".")
            double = f"{service}_archive.{function}"
            entries[double] = describe(name, double, " This works on the archive of last year only.")
    shuffled = list(entries)
    r.shuffle(shuffled)
    last = dump_json({"name": FINISH, "description": "End the task when nothing is left to do.", "parameters": {}})
    return [*shuffled, FINISH], "\n".join([*(entries[name] for name in shuffled), last])


def describe(name: str, shown: str = "", remark: str = "") -> str:
    """A tool as one line of JSON."""
    function = TOOLS[API[name]].schema["function"]
    parameters = {
        key: {k: v for k, v in value.items() if k not in ("maxLength", "pattern")}
        | ({"format": "HH:MM, 24 hours"} if "pattern" in value else {})
        for key, value in function["parameters"]["properties"].items()
    }
    return dump_json({"name": shown or name, "description": function["description"] + remark, "parameters": parameters})


_BRACKETS = "Square brackets in the request stand for a value that the result of an earlier step gives."
_ORDER = "A letter marks each step, and the words after it say when its turn comes."


def plan_task(r: Random, answer_format: Format, hard: bool) -> TevalTask:
    """A plan of five to seven (medium) or nine to twelve (hard) steps."""
    steps = script(r, *((4, 2) if hard else (2, 2)))
    apis, tools = catalogue(r, steps, 30 if hard else 14, archive=hard)
    wanted = request(r, steps, hard)
    if answer_format == "json":
        form = (
            "Write the whole plan as a JSON list of steps in the order in which they are done, each with the name of "
            'the tool, its number counted from 0, and its arguments: [{"name": "...", "id": 0, "args": {...}}, ...].'
        )
    else:
        form = (
            "Write the whole plan as text, one line a step in the order in which the steps are done: the number of the "
            "step, a colon, the name of the tool, and its arguments as JSON."
        )
    brief = [f"You plan work with these tools:\n{tools}", form, _BRACKETS, "Copy them into the arguments as they are."]
    brief += [_ORDER] if hard else []
    brief.append(f"The last step is {FINISH} without arguments.")
    everything = [*steps, Step(FINISH, {}, DONE, None)]
    gold = [{"name": s.name, "id": i, "args": s.plan_args} for i, s in enumerate(everything)]
    lines = "\n".join(f"{i}: {s.name} {dump_json(s.plan_args)}" for i, s in enumerate(everything, 1))
    answer = dump_json(gold) if answer_format == "json" else lines
    messages = conversation(("system", "\n".join(brief)), ("user", wanted))
    return TevalTask("plan", answer_format, messages, gold, answer, wanted, apis=tuple(apis))


_RULES = (
    "Do the request step by step, one call a message, written as JSON: "
    '{"thought": "...", "name": "...", "args": {...}}.',
    "The thought is the step in the words of the request.",
    _BRACKETS,
    "In the thought and in the arguments, put the value in place of the brackets.",
    "If a step has two branches, the thought is only the branch that applies.",
    "If the result is an error, do the step again with the same thought.",
    f'When nothing is left to do, the thought is "{DONE}", and the call is {FINISH} with no arguments.',
)


def next_call_task(r: Random, kind: Kind, answer_format: Format, hard: bool) -> TevalTask:
    """The next call after several that have been made, some of which failed."""
    steps = script(r, *((3, 2, 2) if hard else (2, 1, 1)))
    steps.append(Step(FINISH, {}, DONE, None))
    text_about_args = kind == "understand" and answer_format == "str"
    done = r.randrange(len(steps) // 3, len(steps) - text_about_args)
    if kind != "reason" and answer_format == "str" and done == len(steps) - 1 and r.randrange(4):
        done -= 1
    current = steps[done]
    _, tools = catalogue(r, steps[:-1], 30 if hard else 14, archive=hard)
    wanted = request(r, steps[:-1], hard)
    system = "\n".join([f"You work with these tools:\n{tools}", *_RULES, *([_ORDER] if hard else [])])
    turns = [("system", system), ("user", wanted)]
    for place, past in enumerate(steps[: done + 1]):
        while past is not steps[-1] and r.random() < 0.12:
            turns += [("assistant", _call(past)), ("user", dump_json({"error": r.choice(_FAILURES)}))]
        if place < done:
            turns += [("assistant", _call(past)), ("user", dump_json(past.result))]
    gold: dict[str, Any] = {"thought": current.text, "name": current.name, "args": current.args}
    answer = _call(current)
    if answer_format == "str":
        if kind == "reason":
            question, answer = "Now write only the thought of the next step, as plain text.", current.text
        elif kind == "retrieve":
            question = f"The thought of the next step: {current.text}\nNow write only the full name of its tool."
            answer = current.name
        else:
            asked = r.choice(list(current.args))
            question = (
                f"The thought of the next step: {current.text}\nIts tool: {current.name}\n"
                f"Now write only the value of its argument {asked!r}."
            )
            answer = gold["args"] = str(current.args[asked])
        role, content = turns.pop()
        turns.append((role, f"{content}\n\n{question}"))
    return TevalTask(kind, answer_format, conversation(*turns), gold, answer, f"{wanted} {len(turns)}")


def _call(made: Step) -> str:
    return dump_json({"thought": made.text, "name": made.name, "args": made.args})

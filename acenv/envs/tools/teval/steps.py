"""Single tool calls with a request that asks for exactly this call, made of the sandbox's tools and words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from acenv.envs.tools import words
from acenv.envs.tools.domains import TOOLS

API: dict[str, str] = {f"{spec.domain}.{name}": name for name, spec in TOOLS.items()}
"""Names of the tools as T-Eval writes them, ``service.function``, and what they are called in the sandbox.

T-Eval's score of a retrieved name in a text only knows names with a dot apart from other words.
"""

_FULL = {name: full for full, name in API.items()}


@dataclass(frozen=True, slots=True)
class Step:
    """A call that a request asks for.

    Attributes:
        name: The tool, as ``service.function``.
        args: Its arguments.
        text: The order in words, without a full stop; it holds every argument's value.
        result: What the tool answers, as JSON.
        asked: The order as the request words it; differs from ``text`` where a value is only known from a result.
        planned: The arguments as far as they are known before anything has been called.
        rejected: The tool of the branch that does not apply, if the order has branches.
    """

    name: str
    args: dict[str, Any]
    text: str
    result: Any
    asked: str = ""
    planned: dict[str, Any] | None = None
    rejected: str = ""

    @property
    def request(self) -> str:
        """The order as the request words it."""
        return self.asked or self.text

    @property
    def plan_args(self) -> dict[str, Any]:
        """The arguments for a plan."""
        return self.args if self.planned is None else self.planned


def signature(full_name: str) -> str:
    """A tool in one line.

    >>> signature("home.switch_device")
    'home.switch_device(device, state)'
    """
    properties = TOOLS[API[full_name]].schema["function"]["parameters"]["properties"]
    return f"{full_name}({', '.join(properties)})"


def step(tool: str, args: dict[str, Any], text: str, result: Any = None) -> Step:
    """A step of a sandbox tool; one that changes something answers ``{"ok": true}``."""
    return Step(_FULL[tool], args, text, {"ok": True} if result is None else result)


def phrase(r: Random, length: int = 2) -> str:
    """An adjective and nouns."""
    return " ".join([r.choice(words.ADJECTIVES), *(r.choice(words.NOUNS) for _ in range(length - 1))])


def key(r: Random) -> str:
    """The name of an account or item, such as ``lamp-12``."""
    return f"{r.choice(words.NOUNS)}-{r.randrange(10, 100)}"


def path(r: Random, ending: str = "txt") -> str:
    """The path of a file."""
    return f"{r.choice(words.NOUNS)}/{r.choice(words.NOUNS)}.{ending}"


def room(r: Random) -> str:
    """A room."""
    return f"{r.choice(words.ADJECTIVES)} {r.choice(words.ROOMS)}"


def time(r: Random) -> str:
    """A time of the day."""
    return f"{r.randrange(7, 21):02d}:{r.choice(('00', '10', '15', '20', '30', '40', '45', '50'))}"


def phone(r: Random) -> str:
    """A phone number."""
    return " ".join(str(r.randrange(10, 100)) for _ in range(3))


def event(r: Random) -> str:
    """The id of an event."""
    return f"e{r.randrange(10, 900)}"


def _send(r: Random) -> Step:
    to, text = r.choice(words.NAMES), phrase(r)
    return step("send_message", {"to": to, "text": text}, f"send {to} the message {text}")


def _read_messages(r: Random) -> Step:
    sender, text = r.choice(words.NAMES), phrase(r, 3)
    return step("read_messages", {"sender": sender}, f"read the messages of {sender}", {"messages": [text]})


def _contact(r: Random) -> Step:
    name = r.choice(words.NAMES)
    found = {"name": name, "phone": phone(r), "city": r.choice(words.CITIES)}
    return step("get_contact", {"name": name}, f"look up the contact {name}", found)


def _update(r: Random) -> Step:
    name, city = r.choice(words.NAMES), r.choice(words.CITIES)
    args = {"name": name, "field": "city", "value": city}
    return step("update_contact", args, f"change the city of {name} to {city}")


def _create(r: Random) -> Step:
    title, day, at = phrase(r), r.choice(words.DAYS), time(r)
    args = {"title": title, "day": day, "time": at}
    return step("create_event", args, f"add the event {title} on {day} at {at}")


def _list_events(r: Random) -> Step:
    day = r.choice(words.DAYS)
    found = {"events": [{"event": event(r), "title": phrase(r), "time": time(r)}]}
    return step("list_events", {"day": day}, f"list the events of {day}", found)


def _move_event(r: Random) -> Step:
    number, day, at = event(r), r.choice(words.DAYS), time(r)
    args = {"event": number, "day": day, "time": at}
    return step("move_event", args, f"move event {number} to {day} at {at}")


def _cancel(r: Random) -> Step:
    number = event(r)
    return step("cancel_event", {"event": number}, f"cancel event {number}")


def _read_file(r: Random) -> Step:
    where = path(r)
    return step("read_file", {"path": where}, f"read the file {where}", {"text": phrase(r, 3)})


def _write(r: Random) -> Step:
    where, text = path(r, "md"), phrase(r)
    return step("write_file", {"path": where, "text": text}, f"write to {where} the text {text}")


def _move_file(r: Random) -> Step:
    old, new = path(r), path(r, "md")
    return step("move_file", {"path": old, "new_path": new}, f"move the file {old} to {new}")


def _delete_file(r: Random) -> Step:
    where = path(r)
    return step("delete_file", {"path": where}, f"delete the file {where}")


def _item(r: Random) -> Step:
    item = key(r)
    found = {"item": item, "stock": r.randrange(1, 100), "price": r.randrange(1, 100)}
    return step("get_item", {"item": item}, f"look up the item {item}", found)


def _order(r: Random) -> Step:
    item, quantity = key(r), r.randrange(2, 1000)
    return step("order_item", {"item": item, "quantity": quantity}, f"order {quantity} of {item}")


def _price(r: Random) -> Step:
    item, price = key(r), r.randrange(100, 1000)
    return step("set_price", {"item": item, "price": price}, f"set the price of {item} to {price}")


def _note(r: Random) -> Step:
    title, text = phrase(r), phrase(r)
    return step("add_note", {"title": title, "text": text}, f"save a note titled {title} with the text {text}")


def _read_note(r: Random) -> Step:
    title = phrase(r)
    return step("read_note", {"title": title}, f"read the note {title}", {"text": phrase(r, 3)})


def _delete_note(r: Random) -> Step:
    title = phrase(r)
    return step("delete_note", {"title": title}, f"delete the note {title}")


def _todo(r: Random) -> Step:
    task, priority = phrase(r), r.choice(("low", "normal", "high"))
    return step("add_todo", {"task": task, "priority": priority}, f"add a task with {priority} priority called {task}")


def _balance(r: Random) -> Step:
    account = key(r)
    found = {"account": account, "balance": r.randrange(10, 1000)}
    return step("get_balance", {"account": account}, f"get the balance of the account {account}", found)


def _transfer(r: Random) -> Step:
    source, target, amount = key(r), key(r), r.randrange(10, 1000)
    args = {"source": source, "target": target, "amount": amount}
    return step("transfer_money", args, f"transfer {amount} from {source} to {target}")


def _temperature(r: Random) -> Step:
    where = room(r)
    found = {"room": where, "degrees": r.randrange(12, 30)}
    return step("get_temperature", {"room": where}, f"get the temperature of the {where}", found)


def _warm(r: Random) -> Step:
    where, degrees = room(r), r.randrange(5, 36)
    return step("set_temperature", {"room": where, "degrees": degrees}, f"set the {where} to {degrees} degrees")


def _switch(r: Random) -> Step:
    device, state = f"{r.choice(words.DEVICES)}-{r.randrange(10, 1000)}", r.choice(("on", "off"))
    return step("switch_device", {"device": device, "state": state}, f"switch the device {device} {state}")


SIMPLE: tuple[Callable[[Random], Step], ...] = (
    _send,
    _read_messages,
    _contact,
    _update,
    _create,
    _list_events,
    _move_event,
    _cancel,
    _read_file,
    _write,
    _move_file,
    _delete_file,
    _item,
    _order,
    _price,
    _note,
    _read_note,
    _delete_note,
    _todo,
    _balance,
    _transfer,
    _temperature,
    _warm,
    _switch,
)
"""One family a tool; all values are drawn."""


def simple_steps(r: Random, count: int) -> list[Step]:
    """Steps with different tools."""
    return [make(r) for make in r.sample(SIMPLE, count)]

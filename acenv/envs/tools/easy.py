"""Easy tasks: one or two calls, with values to copy from the request or from the first result."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from acenv.envs.tools import words
from acenv.envs.tools.domains.units import SIZES, tidy
from acenv.envs.tools.draft import Draft, Task, choose_tools
from acenv.envs.tools.scoring import as_text


def _phrase(r: Random, length: int = 2) -> str:
    return " ".join([r.choice(words.ADJECTIVES), *(r.choice(words.NOUNS) for _ in range(length - 1))])


def _person(d: Draft) -> str:
    """Two contacts, of whom the first is returned."""
    name, other = d.r.sample(words.NAMES, 2)
    for n in (name, other):
        phone = f"{d.r.randrange(10, 100)} {d.r.randrange(10, 100)} {d.r.randrange(10, 100)}"
        d.put("contacts", n, name=n, phone=phone, city=d.r.choice(words.CITIES))
    return name


def _path(d: Draft) -> tuple[str, str]:
    """A file and its text."""
    path = f"{d.r.choice(words.NOUNS)}/{d.r.choice(words.NOUNS)}.txt"
    text = _phrase(d.r, d.r.randrange(2, 4))
    d.put("files", path, path=path, text=text)
    return path, text


def _item(d: Draft) -> tuple[str, dict[str, Any]]:
    noun = d.r.choice(words.NOUNS)
    item = f"{noun}-{d.r.randrange(10, 100)}"
    name = f"{d.r.choice(words.ADJECTIVES)} {noun}"
    d.put("items", item, name=name, stock=d.r.randrange(1, 100), price=d.r.randrange(1, 100))
    return item, d.tables["items"][item]


def _account(d: Draft, least: int = 0) -> tuple[str, int]:
    account = f"{d.r.choice(words.NOUNS)}-{d.r.randrange(10, 100)}"
    balance = d.r.randrange(least + 10, least + 1000)
    d.put("accounts", account, owner=d.r.choice(words.NAMES), kind="current", balance=balance)
    return account, balance


def _room(d: Draft, count: int = 1) -> list[str]:
    rooms = [f"{d.r.choice(words.ADJECTIVES)} {room}" for room in d.r.sample(words.ROOMS, count + 1)]
    for room in rooms:
        d.put("rooms", room, degrees=d.r.randrange(12, 30))
    return rooms[:count]


def _day_time(r: Random) -> tuple[str, str]:
    return r.choice(
        words.DAYS
    ), f"{r.randrange(7, 21):02d}:{r.choice(('00', '10', '15', '20', '30', '40', '45', '50'))}"


# Easy: what each family returns is the request, and the answer where it asks for one ---------------------------------

_Family = Callable[[Draft], tuple[str, str | None]]


def _send(d: Draft) -> tuple[str, str | None]:
    name, text = _person(d), _phrase(d.r, d.r.randrange(2, 5))
    d.call("send_message", to=name, text=text)
    return d.r.choice((f"Send {name} the message: {text}", f"Tell {name}: {text}")), None


def _event(d: Draft) -> tuple[str, str | None]:
    title, (day, time) = _phrase(d.r, d.r.randrange(2, 4)), _day_time(d.r)
    d.call("create_event", title=title, day=day, time=time)
    return d.r.choice((f"Add the event {title} on {day} at {time}.", f"Plan {title} for {day} at {time}.")), None


def _cancel(d: Draft) -> tuple[str, str | None]:
    ids = [f"e{n}" for n in d.r.sample(range(10, 900), 2)]
    for key in ids:
        day, time = _day_time(d.r)
        d.put("events", key, title=_phrase(d.r), day=day, time=time)
    d.call("cancel_event", event=ids[0])
    return d.r.choice((f"Cancel event {ids[0]}.", f"Event {ids[0]} is off: cancel it.")), None


def _move_event(d: Draft) -> tuple[str, str | None]:
    key, (day, time) = f"e{d.r.randrange(10, 900)}", _day_time(d.r)
    new_day, new_time = _day_time(d.r)
    d.put("events", key, title=_phrase(d.r), day=day, time=time)
    if (new_day, new_time) == (day, time):
        new_day = words.DAYS[(words.DAYS.index(day) + 1) % 7]
    d.call("move_event", event=key, day=new_day, time=new_time)
    return d.r.choice(
        (f"Move event {key} to {new_day} at {new_time}.", f"Shift event {key} to {new_day} {new_time}.")
    ), None


def _write(d: Draft) -> tuple[str, str | None]:
    _path(d)
    path = f"{d.r.choice(words.NOUNS)}/{d.r.choice(words.NOUNS)}.md"
    text = _phrase(d.r, d.r.randrange(2, 5))
    d.call("write_file", path=path, text=text)
    return d.r.choice((f"Write to {path} the text: {text}", f"Make the file {path} with the text: {text}")), None


def _delete(d: Draft) -> tuple[str, str | None]:
    path, _ = _path(d)
    _path(d)
    d.call("delete_file", path=path)
    return d.r.choice((f"Delete the file {path}.", f"Remove {path} from the disk.")), None


def _move(d: Draft) -> tuple[str, str | None]:
    path, _ = _path(d)
    new = f"{d.r.choice(words.NOUNS)}/{d.r.choice(words.NOUNS)}.md"
    d.call("move_file", path=path, new_path=new)
    return d.r.choice((f"Move the file {path} to {new}.", f"Rename {path} to {new}.")), None


def _order(d: Draft) -> tuple[str, str | None]:
    (item, _), quantity = _item(d), d.r.randrange(2, 1000)
    d.call("order_item", item=item, quantity=quantity)
    return d.r.choice((f"Order {quantity} of {item}.", f"We need {quantity} more of {item}: order them.")), None


def _price(d: Draft) -> tuple[str, str | None]:
    item, record = _item(d)
    price = d.r.randrange(100, 1000)
    d.call("set_price", item=item, price=price)
    return d.r.choice((f"Set the price of {item} to {price}.", f"From now on {item} costs {price}: set it.")), None


def _note(d: Draft) -> tuple[str, str | None]:
    title, text = _phrase(d.r), _phrase(d.r, d.r.randrange(2, 5))
    d.call("add_note", title=title, text=text)
    return d.r.choice((f"Save a note titled {title} with the text: {text}", f"Note under {title}: {text}")), None


def _todo(d: Draft) -> tuple[str, str | None]:
    task, priority = _phrase(d.r, d.r.randrange(2, 4)), d.r.choice(("low", "normal", "high"))
    d.call("add_todo", task=task, priority=priority)
    return d.r.choice(
        (f"Add a task of {priority} priority: {task}", f"My list needs, with {priority} priority: {task}")
    ), None


def _transfer(d: Draft) -> tuple[str, str | None]:
    amount = d.r.randrange(10, 1000)
    (source, _), (target, _) = _account(d, amount), _account(d)
    if source == target:
        target = "savings-10"
        d.put("accounts", target, owner=d.r.choice(words.NAMES), kind="savings", balance=0)
    d.call("transfer_money", source=source, target=target, amount=amount)
    return d.r.choice(
        (f"Transfer {amount} from {source} to {target}.", f"Pay {amount} from {source} into {target}.")
    ), None


def _warm(d: Draft) -> tuple[str, str | None]:
    room = _room(d)[0]
    degrees = d.r.randrange(5, 36)
    if degrees == d.tables["rooms"][room]["degrees"]:
        degrees = degrees - 1
    d.call("set_temperature", room=room, degrees=degrees)
    return d.r.choice((f"Set the {room} to {degrees} degrees.", f"Make it {degrees} degrees in the {room}.")), None


def _switch(d: Draft) -> tuple[str, str | None]:
    device = f"{d.r.choice(words.DEVICES)}-{d.r.randrange(10, 1000)}"
    state = d.r.choice(("on", "off"))
    d.put("devices", device, kind="device", room=d.r.choice(words.ROOMS), state="off" if state == "on" else "on")
    d.call("switch_device", device=device, state=state)
    return d.r.choice((f"Switch {device} {state}.", f"Turn {state} the device {device}.")), None


def _ask_contact(d: Draft) -> tuple[str, str | None]:
    name, wanted = _person(d), d.r.choice(("phone", "city"))
    d.call("get_contact", name=name)
    request = f"What is the phone number of {name}?" if wanted == "phone" else f"Which city is {name} in?"
    return request, d.tables["contacts"][name][wanted]


def _ask_file(d: Draft) -> tuple[str, str | None]:
    path, text = _path(d)
    d.call("read_file", path=path)
    return d.r.choice((f"What does the file {path} say?", f"What is in {path}?")), text


def _ask_item(d: Draft) -> tuple[str, str | None]:
    item, record = _item(d)
    wanted = d.r.choice(("stock", "price"))
    d.call("get_item", item=item)
    return f"What is the {wanted} of {item}?", as_text(record[wanted])


def _ask_note(d: Draft) -> tuple[str, str | None]:
    title, text = _phrase(d.r), _phrase(d.r, d.r.randrange(2, 5))
    d.put("notes", "n11", title=title, text=text)
    d.call("read_note", title=title)
    return d.r.choice((f"What does the note {title} say?", f"Read me the note {title}.")), text


def _ask_balance(d: Draft) -> tuple[str, str | None]:
    account, balance = _account(d)
    d.call("get_balance", account=account)
    return d.r.choice((f"What is the balance of {account}?", f"How much money is on {account}?")), str(balance)


def _ask_units(d: Draft) -> tuple[str, str | None]:
    unit, to = d.r.choice(
        [(a, b) for a, (kind, size) in SIZES.items() for b, (k, s) in SIZES.items() if k == kind and size > s]
    )
    value = d.r.randrange(2, 1000)
    d.call("convert_units", value=value, unit=unit, to=to)
    return f"Convert {value} {unit} to {to}.", as_text(tidy(value * SIZES[unit][1] / SIZES[to][1]))


# A value that the first call gives goes into the second


def _file_to_message(d: Draft) -> tuple[str, str | None]:
    (path, text), name = _path(d), _person(d)
    d.call("read_file", path=path)
    d.call("send_message", to=name, text=text)
    return f"Read {path} and send its text to {name}.", None


def _note_to_file(d: Draft) -> tuple[str, str | None]:
    _, text = _ask_note(d)
    path = f"{d.r.choice(words.NOUNS)}/{d.r.choice(words.NOUNS)}.md"
    d.call("write_file", path=path, text=text)
    return f"Read the note {d.tables['notes']['n11']['title']} and write its text to {path}.", None


def _balance_to_note(d: Draft) -> tuple[str, str | None]:
    (account, balance), title = _account(d), _phrase(d.r)
    d.call("get_balance", account=account)
    d.call("add_note", title=title, text=str(balance))
    return f"Save the balance of {account} in a note titled {title}.", None


def _phone_to_message(d: Draft) -> tuple[str, str | None]:
    name = _person(d)
    other = list(d.tables["contacts"])[1]
    d.call("get_contact", name=name)
    d.call("send_message", to=other, text=d.tables["contacts"][name]["phone"])
    return f"Send {other} the phone number of {name}.", None


def _stock_to_order(d: Draft) -> tuple[str, str | None]:
    (item, record), (other, _) = _item(d), _item(d)
    if item == other:
        other = "spare-10"
        d.put("items", other, name="spare part", stock=1, price=1)
    d.call("get_item", item=item)
    d.call("order_item", item=other, quantity=record["stock"])
    return f"Order as many of {other} as there are of {item} in stock.", None


def _same_warmth(d: Draft) -> tuple[str, str | None]:
    room, other = _room(d, 2)
    if d.tables["rooms"][room]["degrees"] == d.tables["rooms"][other]["degrees"]:
        d.tables["rooms"][other]["degrees"] += 1
    degrees = d.tables["rooms"][room]["degrees"]
    d.call("get_temperature", room=room)
    d.call("set_temperature", room=other, degrees=degrees)
    return f"Make the {other} as warm as the {room}.", None


EASY: tuple[_Family, ...] = (
    _send,
    _event,
    _cancel,
    _move_event,
    _write,
    _delete,
    _move,
    _order,
    _price,
    _note,
    _todo,
    _transfer,
    _warm,
    _switch,
    _ask_contact,
    _ask_file,
    _ask_item,
    _ask_note,
    _ask_balance,
    _ask_units,
    _file_to_message,
    _note_to_file,
    _balance_to_note,
    _phone_to_message,
    _stock_to_order,
    _same_warmth,
)
EASY_TOOLS = (
    "get_contact",
    "send_message",
    "create_event",
    "cancel_event",
    "move_event",
    "read_file",
    "write_file",
    "delete_file",
    "move_file",
    "get_item",
    "order_item",
    "set_price",
    "add_note",
    "read_note",
    "add_todo",
    "get_balance",
    "transfer_money",
    "get_temperature",
    "set_temperature",
    "switch_device",
    "convert_units",
)


def easy(r: Random) -> Task:
    """A task of one or two calls, with three or four tools on offer."""
    draft = Draft(r)
    request, answer = r.choice(EASY)(draft)
    return draft.task(request, answer, choose_tools(r, draft, [EASY_TOOLS], r.randrange(3, 5)))

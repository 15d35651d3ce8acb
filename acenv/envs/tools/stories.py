"""Parts of medium and hard tasks: each looks things up, decides, and changes something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from acenv.envs.tools import words
from acenv.envs.tools.domains.units import tidy
from acenv.envs.tools.draft import Draft


@dataclass(frozen=True, slots=True)
class Part:
    """What a story asks for.

    Attributes:
        request: Sentences for the user's request.
        value: Something that one knows after the work; empty if there is no such thing.
        what: That something in words, to ask for it or to have it reported.
    """

    request: str
    value: str = ""
    what: str = ""


def person(d: Draft) -> str:
    """A contact's full name, beside one who shares the first name (and in hard tasks one with the surname too)."""
    first, last = d.fresh(words.NAMES), d.fresh(words.SURNAMES)
    names = [f"{first} {last}", f"{first} {d.fresh(words.SURNAMES)}"]
    if d.hard:
        names.append(f"{d.fresh(words.NAMES)} {last}")
    for name in names:
        city, team = d.fresh(words.CITIES), d.r.choice(words.TEAMS)
        d.put("contacts", name, name=name, phone=_phone(d), city=city, team=team)
    return names[0]


def described_person(d: Draft) -> tuple[str, str]:
    """A contact who has to be found by city and team, among others who share one of the two; name and description."""
    city, team = d.fresh(words.CITIES), d.fresh(words.TEAMS)
    other_city, other_team = d.fresh(words.CITIES), d.fresh(words.TEAMS)
    people = []
    for c, t in ((city, team), (city, other_team), (other_city, team)):
        name = f"{d.fresh(words.NAMES)} {d.fresh(words.SURNAMES)}"
        people.append((name, c, t))
    name = people[0][0]
    d.r.shuffle(people)
    for n, c, t in people:
        d.put("contacts", n, name=n, phone=_phone(d), city=c, team=t)
    d.look({"": name}, "search_contacts", field="city", value=city)
    # To search by team as well, and to take who is in both lists, is just as good.
    d.maybe("get_contact", name=name)
    return name, f"the colleague of the {team} team in {city}"


def _phone(d: Draft) -> str:
    return f"{d.r.randrange(10, 100)} {d.r.randrange(10, 100)} {d.r.randrange(10, 100)}"


def _noun(d: Draft) -> str:
    return d.fresh(words.NOUNS)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _items(d: Draft, stock: int, price: int) -> tuple[str, str, str]:
    """An item among similar ones: its name, its code, and the word that finds them all."""
    noun, adjective = _noun(d), d.fresh(words.ADJECTIVES)
    names = [f"{adjective} {noun}", f"{d.fresh(words.ADJECTIVES)} {noun}", f"{adjective} {noun} {_noun(d)}"]
    if d.hard:
        names += [f"{d.fresh(words.ADJECTIVES)} {adjective} {noun}", f"{adjective} {_noun(d)} {noun}"]
    codes = d.codes("items", "k", len(names))
    d.put("items", codes[0], name=names[0], stock=stock, price=price)
    for name, code in zip(names[1:], codes[1:], strict=True):
        d.put("items", code, name=name, stock=d.r.randrange(1, 120), price=d.r.randrange(5, 400))
    return names[0], codes[0], noun


def restock(d: Draft) -> Part:
    """Order what is missing."""
    stock = d.r.randrange(3, 60)
    target = stock + d.r.randrange(7, 90)
    name, code, word = _items(d, stock, d.r.randrange(5, 400))
    d.look({"item": code}, "search_items", word=word)
    d.look({"stock": stock}, "get_item", item=code)
    d.call("order_item", item=code, quantity=target - stock)
    return Part(
        f"We want {target} of the {name} in the shop. Check how many there are and order exactly the missing ones.",
        str(target - stock),
        f"the quantity of the {name} that you ordered",
    )


def restock_if(d: Draft) -> Part:
    """Order or change the price, depending on the stock."""
    limit, quantity, price = d.r.randrange(10, 50), d.r.randrange(11, 200), d.r.randrange(401, 900)
    stock = limit + d.r.choice((-4, -3, -2, -1, 0, 1, 2, 3))
    name, code, word = _items(d, stock, d.r.randrange(5, 400))
    d.look({"item": code}, "search_items", word=word)
    d.look({"stock": stock}, "get_item", item=code)
    if stock < limit:
        d.call("order_item", item=code, quantity=quantity)
    else:
        d.call("set_price", item=code, price=price)
    return Part(
        f"If fewer than {limit} of the {name} are in stock, order {quantity} of them; otherwise set their price to "
        f"{price}.",
        str(stock),
        f"the stock of the {name} that you found",
    )


def raise_price(d: Draft) -> Part:
    """Raise a price by a percentage."""
    percent = d.r.choice((5, 10, 15, 20, 25, 35, 40))
    price = 20 * d.r.randrange(2, 25)
    name, code, word = _items(d, d.r.randrange(1, 120), price)
    new = price * (100 + percent) // 100
    d.look({"item": code}, "search_items", word=word)
    d.look({"price": price}, "get_item", item=code)
    d.call("set_price", item=code, price=new)
    return Part(f"Raise the price of the {name} by {percent} percent.", str(new), f"the new price of the {name}")


def rebook(d: Draft) -> Part:
    """Put one event some time after another."""
    kind, day, other_day = _noun(d), d.fresh(words.DAYS), d.fresh(words.DAYS)
    first, second = f"{d.fresh(words.ADJECTIVES)} {kind} review", f"{_noun(d)} briefing"
    start, offset = 60 * d.r.randrange(8, 15) + 5 * d.r.randrange(12), 5 * d.r.randrange(5, 40)
    moved, anchor, decoy = d.codes("events", "e", 3)
    rows = [
        (moved, {"title": first, "day": day, "time": _clock(60 * d.r.randrange(8, 12))}),
        (anchor, {"title": second, "day": other_day, "time": _clock(start)}),
        (decoy, {"title": f"{d.fresh(words.ADJECTIVES)} {kind} review", "day": day, "time": "16:40"}),
    ]
    d.r.shuffle(rows)
    for key, event in rows:
        d.put("events", key, **event)
    new = _clock(start + offset)
    d.look({"id": moved}, "find_events", word=kind)
    d.look({"": second, "time": _clock(start)}, "find_events", word=second.split()[0])
    d.call("move_event", event=moved, day=other_day, time=new)
    return Part(
        f"Move the {first} to the day of the {second}, {offset} minutes after the {second} begins.",
        new,
        f"the new time of the {first}",
    )


def clear_afternoon(d: Draft) -> Part:
    """Cancel the events of a day after some time."""
    day = d.fresh(words.DAYS)
    times = sorted(d.r.sample(range(96, 228), 4 if not d.hard else 6))
    keys = d.codes("events", "e", len(times))
    titles = [f"{d.fresh(words.ADJECTIVES)} {_noun(d)}" for _ in times]
    for key, title, t in zip(keys, titles, times, strict=True):
        d.put("events", key, title=title, day=day, time=_clock(5 * t))
    limit = _clock(5 * times[-2] - 5 * d.r.randrange(0, min(2, times[-2] - times[-3])))
    d.look({"id": keys[-1], "": titles[-2]}, "list_events", day=day)
    d.call("cancel_event", event=keys[-2])
    d.call("cancel_event", event=keys[-1])
    return Part(
        f"Cancel every event on {day} that begins at {limit} or later, and no other.",
        titles[-3],
        f"the title of the event that is now the last on {day}",
    )


def _account(d: Draft, owner: str, kind: str, balance: int) -> str:
    code = d.codes("accounts", "a", 1)[0]
    d.put("accounts", code, owner=owner, kind=kind, balance=balance)
    return code


def pay_invoice(d: Draft) -> Part:
    """Read an invoice and pay it."""
    folder, company = f"invoices-{_noun(d)}", _noun(d)
    owner = f"{d.fresh(words.NAMES)} {d.fresh(words.SURNAMES)}"
    kinds = d.r.sample(("savings", "current", "travel", "rent"), 3 if not d.hard else 4)
    amount = d.r.randrange(41, 900)
    sources = [_account(d, owner, kind, amount + d.r.randrange(50, 2000)) for kind in kinds]
    payee = _account(d, f"{company} company", "current", d.r.randrange(100, 5000))
    reference = f"{d.fresh(words.ADJECTIVES)} {_noun(d)}"
    path = f"{folder}/{company}-{d.r.randrange(10, 100)}.txt"
    text = f"Invoice {reference}. Due: {amount}, to account {payee}. Before discount: {amount + d.r.randrange(5, 60)}."
    rows = [(path, text)]
    for _ in range(2 if not d.hard else 4):
        other = f"{folder}/{_noun(d)}-{d.r.randrange(10, 100)}.txt"
        text = f"Invoice {d.r.choice(words.ADJECTIVES)} {_noun(d)}. Due: {d.r.randrange(41, 900)}, to account {payee}."
        rows.append((other, text))
    text = rows[0][1]
    d.r.shuffle(rows)
    for p, t in rows:
        d.put("files", p, path=p, text=t)
    d.look({"": path}, "list_files", folder=folder)
    d.look({"text": text}, "read_file", path=path)
    d.look({"account": sources[0], "kind": kinds[0]}, "list_accounts", owner=owner)
    d.call("transfer_money", source=sources[0], target=payee, amount=amount)
    return Part(
        f"The folder {folder} holds an invoice of the {company} company. Pay what is due from the {kinds[0]} account "
        f"of {owner}.",
        reference,
        f"the name of the invoice of the {company} company (two words)",
    )


def top_up(d: Draft) -> Part:
    """Bring an account up to an amount."""
    owner = f"{d.fresh(words.NAMES)} {d.fresh(words.SURNAMES)}"
    twin = f"{owner.split()[0]} {d.fresh(words.SURNAMES)}"
    kinds = d.r.sample(("savings", "current", "travel", "rent"), 3)
    balance, missing = d.r.randrange(20, 900), d.r.randrange(15, 400)
    low = _account(d, owner, kinds[0], balance)
    _account(d, twin, kinds[0], d.r.randrange(20, 900))
    rich = _account(d, owner, kinds[1], missing + d.r.randrange(100, 3000))
    _account(d, owner, kinds[2], d.r.randrange(500, 3000))
    d.look({"account": low, "": rich}, "list_accounts", owner=owner)
    d.look({"balance": balance}, "get_balance", account=low)
    d.call("transfer_money", source=rich, target=low, amount=missing)
    return Part(
        f"Bring the {kinds[0]} account of {owner} to exactly {balance + missing} with money from the same person's "
        f"{kinds[1]} account.",
        str(missing),
        f"the amount that you moved to the {kinds[0]} account of {owner}",
    )


def pay_abroad(d: Draft) -> Part:
    """Convert an amount at the day's rate and pay it."""
    owner = f"{d.fresh(words.NAMES)} {d.fresh(words.SURNAMES)}"
    kinds = d.r.sample(("savings", "current", "travel", "rent"), 2)
    currency, other = d.fresh(words.CURRENCIES), d.fresh(words.CURRENCIES)
    rate, foreign = d.r.randrange(3, 40), d.r.randrange(11, 90)
    target = _account(d, owner, kinds[0], d.r.randrange(20, 900))
    _account(d, owner, kinds[1], d.r.randrange(20, 900))
    source = _account(d, f"{d.fresh(words.NAMES)} {d.fresh(words.SURNAMES)}", kinds[0], 5000)
    d.put("rates", f"{currency} to crowns", rate=rate)
    d.put("rates", f"{other} to crowns", rate=rate + d.r.randrange(1, 9))
    d.look({"account": target, "kind": kinds[0]}, "list_accounts", owner=owner)
    d.look({"crowns": foreign * rate}, "convert_money", amount=foreign, currency=currency)
    d.call("transfer_money", source=source, target=target, amount=foreign * rate)
    return Part(
        f"Accounts are in crowns. Transfer the worth of {foreign} {currency} from account {source} to the {kinds[0]} "
        f"account of {owner}.",
        str(foreign * rate),
        f"the amount in crowns that {owner} got",
    )


def switch_off(d: Draft) -> Part:
    """Switch off all devices of a kind in a room."""
    room = f"{d.fresh(words.ADJECTIVES)} {d.fresh(words.ROOMS)}"
    degrees = d.r.randrange(12, 30)
    d.put("rooms", room, degrees=degrees)
    kind, other = d.r.sample(words.DEVICES, 2)
    states = [(kind, "on"), (kind, "on"), (kind, "off"), (other, "on"), (other, "off")]
    if d.hard:
        states += [(kind, "off"), (other, "on")]
    d.r.shuffle(states)
    on = []
    for k, state in states:
        code = d.codes("devices", "d", 1)[0]
        d.put("devices", code, kind=k, room=room, state=state)
        if (k, state) == (kind, "on"):
            on.append(code)
    d.look({"device": on[0], "": on[1]}, "list_devices", room=room)
    for code in on:
        d.call("switch_device", device=code, state="off")
    left = sum(state == "on" for _, state in states) - 2
    return Part(
        f"In the {room}, switch off each {kind} that is on, and nothing else.",
        str(left),
        f"how many devices in the {room} are still on (a number)",
    )


def climate(d: Draft) -> Part:
    """Compare two rooms, and set a third by the result."""
    rooms = [f"{d.fresh(words.ADJECTIVES)} {d.fresh(words.ROOMS)}" for _ in range(3)]
    low, high = sorted(d.r.sample(range(9, 30), 2))
    degrees = [low, high] if d.r.random() < 0.5 else [high, low]
    warmer, offset = d.r.random() < 0.5, d.r.randrange(1, 4)
    target = (high if warmer else low) + offset
    for room, value in zip(rooms, [*degrees, target + (1 if target < 20 else -1)], strict=True):
        d.put("rooms", room, degrees=value)
    d.look({"degrees": degrees[0]}, "get_temperature", room=rooms[0])
    d.look({"degrees": degrees[1]}, "get_temperature", room=rooms[1])
    d.call("set_temperature", room=rooms[2], degrees=target)
    return Part(
        f"Set the {rooms[2]} {offset} {'degree' if offset == 1 else 'degrees'} warmer than the "
        f"{'warmer' if warmer else 'colder'} one of the {rooms[0]} and the {rooms[1]}.",
        str(target),
        f"the temperature that the {rooms[2]} now has",
    )


def plan_from_note(d: Draft) -> Part:
    """Find a plan among the notes and put it into the calendar."""
    topic, title = _noun(d), f"{d.fresh(words.ADJECTIVES)} {_noun(d)} meeting"
    day, other_day = d.fresh(words.DAYS), d.fresh(words.DAYS)
    start, delay = 60 * d.r.randrange(8, 17) + 5 * d.r.randrange(12), 5 * d.r.randrange(2, 12)
    name = f"{d.fresh(words.ADJECTIVES)} {_noun(d)}"
    text = f"The {topic} is planned for {day} at {_clock(start)}, not {other_day} as was said before."
    rows = [
        (name, text),
        (f"{topic} {_noun(d)}", f"Buy {d.r.randrange(2, 50)} of each before {other_day}."),
        (f"{d.fresh(words.ADJECTIVES)} {_noun(d)}", f"Think about {topic} and {_noun(d)}."),
    ]
    d.r.shuffle(rows)
    for i, (t, body) in enumerate(rows):
        d.put("notes", f"n{10 + i}{d.r.randrange(10)}", title=t, text=body)
    new = _clock(start + delay)
    d.look({"": name}, "search_notes", word=topic)
    d.look({"text": text}, "read_note", title=name)
    d.call("create_event", title=title, day=day, time=new)
    return Part(
        f"One of my notes says when the {topic} is planned. Add the event {title} to the calendar on that day, "
        f"{delay} minutes later.",
        day,
        f"the day of the {title}",
    )


def chores(d: Draft) -> Part:
    """Tick off two tasks of a list."""
    priority = d.fresh(("low", "normal", "high"))
    actions = ("paint", "clean", "repair", "sell", "measure")
    done = [f"{d.r.choice(actions)} the {d.fresh(words.ADJECTIVES)} {_noun(d)}" for _ in range(2)]
    noun = done[0].split()[-1]
    rows = [(t, priority) for t in done]
    rows.append((f"{d.r.choice(actions)} the {d.fresh(words.ADJECTIVES)} {noun}", priority))
    for _ in range(d.r.randrange(4)):
        rows.append((f"{d.r.choice(actions)} the {d.fresh(words.ADJECTIVES)} {_noun(d)}", priority))
    d.r.shuffle(rows)
    codes = dict(zip((task for task, _ in rows), d.codes("todos", "t", len(rows)), strict=True))
    for task, level in rows:
        d.put("todos", codes[task], task=task, priority=level, done=False)
    d.look({"todo": codes[done[0]], "": done[1]}, "list_todos", priority=priority)
    d.call("complete_todo", todo=codes[done[0]])
    d.call("complete_todo", todo=codes[done[1]])
    return Part(
        f'Two tasks of {priority} priority are done: "{done[0]}" and "{done[1]}". Mark them in the to-do list.',
        str(len(rows) - 2),
        f"how many tasks of {priority} priority are still open (a number)",
    )


def errand(d: Draft) -> Part:
    """Do what a message asks for."""
    sender = person(d)
    quantity = d.r.randrange(11, 300)
    name, code, word = _items(d, d.r.randrange(1, 120), d.r.randrange(5, 400))
    old = f"Please order {d.r.randrange(11, 300)} of the {_noun(d)}."
    text = f"Forget my last message. Order {quantity} of the {name} instead."
    d.put("inbox", "r11", **{"from": sender, "text": old})
    d.put("inbox", "r12", **{"from": list(d.tables["contacts"])[-1], "text": f"Order {quantity + 7} of the {name}."})
    d.put("inbox", "r13", **{"from": sender, "text": text})
    d.look({"": text}, "read_messages", sender=sender)
    d.look({"item": code}, "search_items", word=word)
    d.call("order_item", item=code, quantity=quantity)
    return Part(
        f"Do what {sender} wants according to the latest message (the last one of the list).",
        str(quantity),
        f"the quantity that {sender} wanted",
    )


def cover(d: Draft) -> Part:
    """Order enough pieces for a length given in another unit."""
    unit, to, factor = d.r.choice((("km", "m", 1000), ("m", "cm", 100), ("kg", "g", 1000), ("liter", "ml", 1000)))
    per = d.r.choice((4, 5, 20, 25, 50))
    count = d.r.randrange(21, 400)
    amount = tidy(count * per / factor)
    name, code, word = _items(d, d.r.randrange(1, 120), d.r.randrange(5, 400))
    d.maybe("convert_units", value=amount, unit=unit, to=to)
    d.look({"item": code}, "search_items", word=word)
    d.call("order_item", item=code, quantity=count)
    return Part(
        f"We need {amount} {unit} in all, and one {name} makes {per} {to}. Order as many of the {name} as that takes.",
        str(count),
        f"the quantity of the {name} that you ordered",
    )


STORIES: tuple[Callable[[Draft], Part], ...] = (
    restock,
    restock_if,
    raise_price,
    rebook,
    clear_afternoon,
    pay_invoice,
    top_up,
    pay_abroad,
    switch_off,
    climate,
    plan_from_note,
    chores,
    errand,
    cover,
)

"""Medium and hard plans of somebody who acts: in a house, in a shop, at a terminal."""

from __future__ import annotations

import numpy as np

from acenv.envs.base import pick
from acenv.envs.tools.words import SURNAMES
from acenv.envs.workflow.domains import LITERALS
from acenv.envs.workflow.plans import ALPHABETICAL, RULES, choose, listing, plan_task, sentences
from acenv.envs.workflow.task import WorkflowTask

_RULES = RULES.format(first=ALPHABETICAL)

Needs = dict[str, list[str]]

# Household -----------------------------------------------------------------------------------------------------------

_HOUSEHOLD = f"""\
You plan what a household robot does. You write the subgoals of its task and the order between them, as a graph.

Rules:
- The text of a node is an action of the list, with the right object and places filled in, in lower case.
- The robot takes an object from where it is, treats it in the order in which the task names the treatments, and puts \
it where it belongs. Each of these steps needs the one before it.
- A closed place is opened once, before anything is taken out of it or put into it: these steps need the opening.
- To slice anything, the robot must have taken the knife, also if the task does not mention it. The knife is not put \
back.
- Objects and places that the task does not need are left alone.
{_RULES}"""

_OBJECTS = "tomato potato apple egg lettuce lemon carrot onion pear mushroom cucumber peach"
_CLOSED = "cabinet drawer cupboard box safe"
_TREATMENTS = {
    "washed": "clean {} with sinkbasin",
    "heated": "heat {} with microwave",
    "cooled": "cool {} with fridge",
    "sliced": "slice {} with knife",
}
_HOUSEHOLD_ACTIONS = """\
Actions:
- take {object} from {place}
- put {object} in {place}
- open {place}
- clean {object} with sinkbasin
- heat {object} with microwave
- cool {object} with fridge
- slice {object} with knife"""


def household(rng: np.random.Generator, hard: bool) -> WorkflowTask | None:
    """Objects are taken, treated and put away; some places are closed, and slicing takes a knife."""
    closed = choose(rng, _CLOSED, 2 + hard)
    places = [*closed, *choose(rng, "countertop diningtable shelf sidetable stove windowsill", 3)]
    objects = choose(rng, _OBJECTS, 4 + 2 * hard)
    where = {thing: pick(rng, places) for thing in [*objects, "knife"]}
    needs: Needs = {}

    def fetch(thing: str) -> str:
        step = f"take {thing} from {where[thing]}"
        needs[step] = opened(where[thing])
        return step

    def opened(place: str) -> list[str]:
        return [step for step in (f"open {place}",) if place in closed and needs.setdefault(step, []) is not None]

    wishes = []
    for thing in objects[: 1 + int(rng.integers(1, 2 + hard))]:
        target = pick(rng, [place for place in places if place != where[thing]])
        treatments = pick(rng, list(_TREATMENTS), int(rng.integers(0, 3)))
        step = fetch(thing)
        for treatment in treatments:
            before, step = step, _TREATMENTS[treatment].format(thing)
            needs[step] = [before, *([fetch("knife")] if treatment == "sliced" else [])]
        needs[f"put {thing} in {target}"] = [step, *opened(target)]
        state = f"{', then '.join(treatments)} and brought" if treatments else "brought"
        wishes.append(f"I want the {thing} {state} to the {target}.")
    treated = any(" with " in step for step in needs)
    starts = [step for step, before in needs.items() if not before]
    if not (6 <= len(needs) <= 7 if hard else 5 <= len(needs) <= 6) or len(starts) < 2 or not treated:
        return None
    facts = sentences(rng, [f"The {thing} is in the {place}." for thing, place in where.items()])
    user = f"{facts} Closed: {listing(pick(rng, closed, len(closed)))}.\n\nYour task: {sentences(rng, wishes)}"
    return plan_task(_HOUSEHOLD, f"{user}\n\n{_HOUSEHOLD_ACTIONS}", needs, "household")


# Shopping ------------------------------------------------------------------------------------------------------------

_SHOPPING = f"""\
You plan how somebody shops in a web shop. You write the actions and the order between them, as a graph.

Rules:
- The text of a node is an action of the list, with the values filled in, as in search[tent].
- Every product is searched; the rest of what is done with it needs that search.
- Where several sellers offer a product, the offer of the cheapest one whose rating is at least the wished one is \
opened after the search. What is chosen and added needs that opening then, instead of the search.
- Every wished option is chosen, each by an action of its own; the choices of one product do not need each other.
- A product is added to the cart after all that is chosen for it.
- The checkout comes last, and needs every product to be in the cart.
{_RULES}"""

_SHOPPING_ACTIONS = """\
Actions:
- search[product]
- open[product, seller]
- choose[product, option]
- add[product]
- checkout[city]"""

_OPTIONS = (
    "red|blue|green|black|white|grey",
    "small|medium|large|extra large",
    "cotton|steel|wooden|leather|bamboo",
    "gift wrap|express delivery|extended warranty",
)


def shopping(rng: np.random.Generator, hard: bool) -> WorkflowTask | None:
    """One product with options, or two; of several offers the cheapest with a sufficient rating is right."""
    products = pick(rng, LITERALS["product"], 1 + hard)
    city = pick(rng, LITERALS["city"])
    needs: Needs = {}
    wishes, pages = [], []
    for k, product in enumerate(products):
        base = f"search[{product}]"
        needs[base] = []
        wish = f"I need a {product}"
        if k == 0 and (hard or rng.integers(2)):
            sellers = pick(rng, SURNAMES, 3 + hard)
            prices = pick(rng, range(15, 95), len(sellers))
            ratings = [int(rating) for rating in rng.integers(2, 6, len(sellers))]
            wished = pick(rng, [3, 4])
            good = [i for i, rating in enumerate(ratings) if rating >= wished]
            if not 0 < len(good) < len(sellers):
                return None
            best = min(good, key=lambda i: prices[i])
            offers = [f"{s} at {p} euros, rated {r}" for s, p, r in zip(sellers, prices, ratings, strict=True)]
            pages.append(f"Offers of the {product}: {'; '.join(offers)}.")
            needs[f"open[{product}, {sellers[best]}]"] = [base]
            base = f"open[{product}, {sellers[best]}]"
            wish += f" from a seller rated at least {wished}"
        count = int(rng.integers(0, 3)) if hard else 2
        chosen = [pick(rng, kind.split("|")) for kind in pick(rng, _OPTIONS, count)]
        choices = [f"choose[{product}, {option}]" for option in chosen]
        needs |= {choice: [base] for choice in choices}
        needs[f"add[{product}]"] = choices or [base]
        wishes.append(f"{wish}, with these options: {listing(chosen)}." if chosen else f"{wish}.")
        other = [o for kind in _OPTIONS for o in kind.split("|")]
        pages.append(f"Options of the {product}: {', '.join(sorted({*chosen, *pick(rng, other, 4)}))}.")
    needs[f"checkout[{city}]"] = [f"add[{product}]" for product in products]
    if hard and len(needs) < 6:
        return None
    user = f"{sentences(rng, [*wishes, f'Everything goes to {city}.'])}\n\n{sentences(rng, pages)}"
    return plan_task(_SHOPPING, f"{user}\n\n{_SHOPPING_ACTIONS}", needs, "shopping")


# Terminal ------------------------------------------------------------------------------------------------------------

_TERMINAL = f"""\
You plan the commands that answer a question about files. You write the commands and the order between them, as a graph.

Rules:
- The text of a node is a command of the list, with the values filled in.
- The task describes what each file holds. A command needs the commands that make the files which it reads.
- The last command answers with the file that is asked for. Make only the files that this answer depends on, and no \
others.
{_RULES}"""

_TERMINAL_ACTIONS = """\
Commands:
- find FOLDER -name *.KIND > OUT
- grep WORD IN > OUT
- sort IN > OUT
- uniq IN > OUT
- head IN > OUT
- cat IN IN > OUT
- answer IN"""

_FROM_ONE = (
    ("grep {word} {a} > {out}", "{out} holds the lines of {a} with the word {word}."),
    ("sort {a} > {out}", "{out} holds the sorted lines of {a}."),
    ("uniq {a} > {out}", "{out} is {a} without repeated lines."),
    ("head {a} > {out}", "{out} holds the first lines of {a}."),
)

_WORDS = "error user backup token retry failed"
_TOP_FOLDERS = "srv var opt home data"
_FOLDERS = "app web mail shop test"


def terminal(rng: np.random.Generator, hard: bool) -> WorkflowTask | None:
    """Files are made from files, up to the one that is asked for; some that are described are not needed."""
    names = choose(rng, "all part list left names mixed found picked clean rest early short", 6 + 3 * hard)
    kinds = choose(rng, "log txt csv conf md json", 2)
    makers: dict[str, tuple[str, list[str], str]] = {}
    for k, name in enumerate(names):
        out = f"{name}.out"
        made = list(makers)
        values = {"out": out, "word": choose(rng, _WORDS, 1)[0]}
        if k < 2:
            folder = "/".join(["", *choose(rng, _TOP_FOLDERS, 1), *choose(rng, _FOLDERS, 1)])
            command, inputs = f"find {folder} -name *.{kinds[k]} > {out}", []
            sentence = f"{out} lists the .{kinds[k]} files under {folder}."
        elif rng.random() < 0.3:
            inputs = pick(rng, made, 2)
            command = f"cat {inputs[0]} {inputs[1]} > {out}"
            sentence = f"{out} holds the lines of {inputs[0]}, followed by those of {inputs[1]}."
        else:
            inputs = [pick(rng, made[-3:])]
            command, sentence = (text.format(a=inputs[0], **values) for text in pick(rng, _FROM_ONE))
        makers[out] = (command, inputs, sentence)
    wanted = list(makers)[-1]
    needs: Needs = {f"answer {wanted}": [makers[wanted][0]]}
    waiting = [wanted]
    while waiting:
        command, inputs, _ = makers[waiting.pop()]
        needs[command] = [makers[name][0] for name in inputs]
        waiting += inputs
    joins = sum(len(before) > 1 for before in needs.values())
    if not (6 <= len(needs) <= 7 if hard else 4 <= len(needs) <= 6) or not joins:
        return None
    described = [sentence for *_, sentence in makers.values()]
    user = f"{sentences(rng, described)}\n\nQuestion: What is in {wanted}?\n\n{_TERMINAL_ACTIONS}"
    return plan_task(_TERMINAL, user, needs, "terminal")


EMBODIED = (household, shopping, terminal)

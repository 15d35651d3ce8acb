"""Tasks that examples explain: types of questions, questions about passages, dialogues with their summaries."""

from __future__ import annotations

import numpy as np

from acenv.envs.base import pick
from acenv.envs.longcontext.longbench.drafts import Draft, Size, bury, facts, shuffled, things
from acenv.envs.longcontext.words import NAMES, WHAT, WHEN

QUESTIONS: dict[str, tuple[str, str]] = {
    "Maker": ("Who made the {thing}?", "By whom was the {thing} built?"),
    "Owner": ("Whose is the {thing}?", "To whom does the {thing} belong?"),
    "Place": ("Where does {name} keep the {thing}?", "In which room did {name} leave the {thing}?"),
    "Date": ("On which day did {name} buy the {thing}?", "When was the {thing} sold to {name}?"),
    "Duration": ("How long did {name} work on the {thing}?", "How many hours did {name} need for the {thing}?"),
    "Amount": ("How many like the {thing} does {name} have?", "How often did {name} paint something like the {thing}?"),
    "Price": ("What did {name} pay for the {thing}?", "How much does the {thing} cost?"),
    "Weight": ("How heavy is the {thing}?", "How many pounds does the {thing} weigh?"),
    "Distance": ("How far did {name} carry the {thing}?", "How many miles is it from {name} to the {thing}?"),
    "Age": ("How old is the {thing}?", "How many years has the {thing} been there?"),
    "Colour": ("In which colour did {name} paint the {thing}?", "What colour is the {thing}?"),
    "Material": ("What is the {thing} made of?", "Of what did {name} build the {thing}?"),
    "Reason": ("Why did {name} hide the {thing}?", "What made {name} sell the {thing}?"),
    "Method": ("How did {name} mend the {thing}?", "In what way does {name} clean the {thing}?"),
    "Meaning": ("What does it mean that {name} is called a {thing}?", "What is meant by the word for a {thing}?"),
    "Spelling": (
        "How does {name} write the word for the {thing}?",
        "With which letter does the word for {thing} begin?",
    ),
    "Temperature": ("How hot does the {thing} get?", "How cold was the {thing} when {name} found it?"),
    "Speed": ("How fast does the {thing} turn?", "At what speed did {name} pull the {thing}?"),
    "Animal": ("Which animal is painted on the {thing}?", "What beast sleeps beside the {thing} of {name}?"),
    "Purpose": ("What does {name} use the {thing} for?", "What is the {thing} good for?"),
    "Language": ("In which tongue did {name} ask for the {thing}?", "What language is written on the {thing}?"),
    "Size": ("How tall is the {thing}?", "How wide is the {thing} of {name}?"),
    "Sound": ("What noise does the {thing} make?", "Which tone did {name} hear from the {thing}?"),
    "Successor": ("Who had the {thing} after {name}?", "Who got the {thing} from {name}?"),
}
"""Types of questions, none of which is part of the name of another, with two ways to ask each."""

PLACES = ("at the mill", "by the river", "in the square", "under the bridge", "beside the church", "at the harbor")


def question_types(rng: np.random.Generator, size: Size) -> Draft:
    """The type of a question, of many."""
    types = shuffled(rng, tuple(QUESTIONS))[: size.items + size.items // 2]

    def ask(kind: str) -> str:
        return str(pick(rng, QUESTIONS[kind])).format(thing=things(rng, 1)[0], name=pick(rng, NAMES))

    shown = [kind for kind in types for _ in range(max(2, size.words // len(types) // 12))]
    text = "\n".join(f"Question: {ask(kind)}\nType: {kind}" for kind in shuffled(rng, shown))
    kind = str(pick(rng, types))
    return Draft(
        f"Say the type of the last question, as in the examples.\n\n{text}\nQuestion: {ask(kind)}\nType:",
        (kind,),
        tuple(types),
    )


def trivia(rng: np.random.Generator, size: Size) -> Draft:
    """Passages with a question and its answer; the last one lacks the answer."""
    number = size.items // 2
    parts = []
    for _ in range(number):
        stated = facts(rng, size.items)
        asked = pick(rng, stated)
        passage = bury(rng, list(map(str, stated)), size.words // number).replace("\n\n", " ")
        question = f"What is the {asked.kind} of the {asked.thing}?"
        if size.hops > 2:
            question = f"Which thing has the {asked.kind} {asked.value}?"
            parts.append((f"Passage:\n{passage}\nQuestion:\n{question}\nAnswer:\n", f"the {asked.thing}"))
        else:
            parts.append((f"Passage:\n{passage}\nQuestion:\n{question}\nAnswer:\n", asked.value))
    text = "\n\n".join(f"{passage}{answer}" for passage, answer in parts[:-1])
    return Draft(
        f"Answer the last question with what its passage says, as in the examples.\n\n{text}\n\n{parts[-1][0]}",
        (parts[-1][1],),
    )


def dialogues(rng: np.random.Generator, size: Size) -> Draft:
    """Two people agree on something and change it; the examples show how it is summed up."""
    rule = "Write the summary of the last dialogue in the form of the examples."
    text, words = "", 0
    while True:
        dialogue, summary = _dialogue(rng, size.hops)
        words += len(dialogue.split()) + len(summary.split())
        if words > size.words:
            return Draft(f"{rule}\n\n{text}Dialogue:\n{dialogue}\nSummary:", (summary,))
        text += f"Dialogue:\n{dialogue}\nSummary: {summary}\n\n"


def _dialogue(rng: np.random.Generator, changes: int) -> tuple[str, str]:
    first, second = pick(rng, NAMES, 2)
    plan = {"place": str(pick(rng, PLACES)), "hour": int(rng.integers(1, 12)), "what": str(pick(rng, WHAT))}
    lines = [
        f"{first}: Shall we meet {plan['place']} at {plan['hour']}?",
        f"{second}: Yes. You bring {plan['what']}, will you?",
        f"{first}: I will.",
    ]
    for _ in range(changes):
        speaker, other = shuffled(rng, (first, second))
        part = str(pick(rng, tuple(plan)))
        if part == "place":
            plan["place"] = str(pick(rng, [place for place in PLACES if place != plan["place"]]))
            lines.append(f"{speaker}: I cannot get there {pick(rng, WHEN)}. Let us meet {plan['place']} instead.")
        elif part == "hour":
            plan["hour"] = int(pick(rng, [hour for hour in range(1, 12) if hour != plan["hour"]]))
            lines.append(f"{speaker}: The hour does not suit me. I can come at {plan['hour']}.")
        else:
            plan["what"] = str(pick(rng, [what for what in WHAT if what != plan["what"]]))
            lines.append(f"{speaker}: We need {plan['what']}, nothing else.")
        lines.append(f"{other}: {pick(rng, ('All right.', 'That is fine.', 'Good, I agree.'))}")
    summary = f"{first} and {second} meet {plan['place']} at {plan['hour']} and {first} brings {plan['what']}."
    return "\n".join(lines), summary

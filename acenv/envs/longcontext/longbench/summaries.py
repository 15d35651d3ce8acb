"""Summaries with one right text: the prompt says what must be said, in which words and in which order."""

from __future__ import annotations

import numpy as np

from acenv.envs.base import pick
from acenv.envs.longcontext.longbench.drafts import (
    Draft,
    Size,
    bury,
    capitalised,
    filler,
    numbered,
    people,
    shuffled,
    things,
    value,
)
from acenv.envs.longcontext.words import KINDS


def conclusions(rng: np.random.Generator, size: Size) -> Draft:
    """What the sections of a report conclude, without what is withdrawn later."""
    sections, kept = [], []
    each = size.words // size.items
    withdrawn = set(pick(rng, range(size.items - 1), size.hops))
    due: dict[int, list[str]] = {}
    for gone in sorted(withdrawn):
        later = int(rng.integers(gone + 1, size.items))
        due.setdefault(later, []).append(f"The conclusion of section {gone + 1} is withdrawn.")
    for i in range(size.items):
        sentence = filler(rng, 1)[0]
        told = [f"This section concludes that {sentence[0].lower()}{sentence[1:]}", *due.get(i, [])]
        sections.append(bury(rng, shuffled(rng, told), each))
        if i not in withdrawn:
            kept.append(sentence)
    rule = (
        "The summary repeats, word for word and in the order of the sections, what each section concludes, one "
        "sentence a section, without the sections whose conclusion is withdrawn. It leaves out the words 'This section "
        "concludes that', and says nothing else."
    )
    return Draft(
        f"Write a summary of the report.\n\nReport:\n{numbered(sections, 'Section')}\n\n{rule}\n\nSummary:",
        (" ".join(kept),),
    )


def meeting(rng: np.random.Generator, size: Size) -> Draft:
    """All that one person says about one subject, over a whole meeting."""
    speakers = [name.split()[0] for name in people(rng, 156)]
    speakers = list(dict.fromkeys(speakers))[: 3 + size.hops]
    topics = things(rng, size.items)
    lines: list[tuple[str, str, str]] = []
    words = 0
    while words < size.words:
        said = " ".join(filler(rng, int(rng.integers(1, 4))))
        lines.append((str(pick(rng, speakers)), str(pick(rng, topics)), said))
        words += len(said.split()) + 5
    speaker, topic, _ = pick(rng, lines)
    answers = [said for who, what, said in lines if (who, what) == (speaker, topic)]
    text = "\n".join(f"{who}: About the {what}. {said}" for who, what, said in lines)
    return Draft(
        f"Read the minutes of the meeting and answer the question about them.\n\nMinutes:\n{text}\n\n"
        "Answer with the speaker's own sentences, all of them and in their order, and nothing else; leave out the "
        f"words that name the subject.\n\nQuestion: What does {speaker} say about the {topic}?\nAnswer:",
        (" ".join(answers),),
    )


def news(rng: np.random.Generator, size: Size) -> Draft:
    """The latest state of several things that many articles change."""
    subjects = things(rng, size.items)
    kinds = {thing: str(pick(rng, KINDS)) for thing in subjects}
    latest: dict[str, str] = {}
    days = []
    number = size.items * size.hops
    each = size.words // number
    order = [*shuffled(rng, subjects), *(str(pick(rng, subjects)) for _ in range(number - len(subjects)))]
    for thing in order:
        latest[thing] = value(rng)
        days.append(bury(rng, [f"The {kinds[thing]} of the {thing} is now {latest[thing]}."], each))
    rule = (
        "The summary says for each thing what is true after the last article, in the order in which the things are "
        'first named, in sentences like "The label of the iron gate is calm fox 12." It says nothing else.'
    )
    summary = " ".join(
        f"{capitalised('the')} {kinds[thing]} of the {thing} is {what}." for thing, what in latest.items()
    )
    return Draft(
        f"Write a summary of the news, which are in the order of their dates.\n\n{numbered(days, 'Article')}\n\n{rule}"
        "\n\nSummary:",
        (summary,),
    )

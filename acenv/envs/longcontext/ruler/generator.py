"""RULER's thirteen tasks in our own words, of any length."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import repeat

import numpy as np

from acenv.envs.base import Difficulty, pick
from acenv.envs.longcontext.haystack import fill, generated_sentences, hide
from acenv.envs.longcontext.ruler.documents import joining, reading
from acenv.envs.longcontext.ruler.drawing import NAMED, ONE, SEVERAL, WORDS, Count, Draw, Sample, Sizes, distinct, frame
from acenv.envs.longcontext.words import KINDS

SIZES: dict[Difficulty, Sizes] = {
    "easy": Sizes(100, False, 4, 3, 2, 2, 2, 2, 2, 5, 1, 6),
    "medium": Sizes(4000, True, 7, 4, 4, 4, 2, 4, 10, 30, 3, 4000),
    "hard": Sizes(16000, True, 7, 12, 8, 8, 6, 8, 20, 30, 5, 4000),
}


def generate(task: str, rng: np.random.Generator, sizes: Sizes, count: Count) -> Sample:
    """Draw a sample.

    Args:
        task: A key of :data:`GENERATORS`.
        rng: All randomness comes from it.
        sizes: How much there is of everything.
        count: Counts tokens. Where a task's least content is longer than the length, the prompt is longer.
    """
    return GENERATORS[task](Draw(rng, sizes, count))


def _scatter(draw: Draw, hidden: Sequence[str], filler: Iterator[str], room: int) -> str:
    """The sentences in filler that takes what they leave of the room; they keep their order."""
    depths = sorted(float(depth) for depth in draw.rng.uniform(0, 100, size=len(hidden)))
    haystack = fill(filler, room - sum(map(draw.count, hidden)), draw.count)
    # hide() puts a later sentence before an earlier one of the same place.
    return " ".join(hide(haystack, list(zip(depths, hidden, strict=True))[::-1], draw.count))


def _filler(draw: Draw, same: bool = False) -> Iterator[str]:
    sentences = generated_sentences(draw.rng)
    return repeat(next(sentences)) if same else sentences


def _retrieval(
    draw: Draw, *, keys: int = 1, values: int = 1, queries: int = 1, ids: bool = False, same: bool = False
) -> Sample:
    """Sentences that give a thing a value, among filler; asked for by thing."""
    kind = pick(draw.rng, KINDS)
    things = distinct(draw.thing, keys)
    drawn = distinct(draw.identifier if ids else draw.number, keys * values)
    of = {thing: drawn[i * values : (i + 1) * values] for i, thing in enumerate(things)}
    article = "The" if values == 1 else "One"
    hidden = [f"{article} {kind} of the {thing} is {value}." for thing in things for value in of[thing]]
    asked = pick(draw.rng, things, queries)
    question = f"What is {'the' if values == 1 else 'every'} {kind} of the {' and of the '.join(asked)}?"
    ask = ONE if values * queries == 1 else SEVERAL
    order = draw.rng.permutation(len(hidden)) if values == 1 else range(len(hidden))
    room = draw.room(frame(ask, "", question))
    text = _scatter(draw, [hidden[int(i)] for i in order], _filler(draw, same), room)
    return Sample(frame(ask, text, question), tuple(value for thing in asked for value in of[thing]))


def _crowd(draw: Draw, *, ids: bool) -> Sample:
    """Nothing but sentences that give a key a value; one of them is asked for."""
    kind = pick(draw.rng, KINDS)

    def key() -> str:
        if not draw.sizes.coded:
            return draw.thing()
        # With its owner, since there are too few adjectives and nouns for a text of any length.
        return draw.identifier() if ids else f"{draw.thing()} of {draw.person()}"

    of: dict[str, str] = {}

    def sentence() -> str:
        while (thing := key()) in of:
            pass
        of[thing] = draw.identifier() if ids else draw.number()
        return f"The {kind} of the {thing} is {of[thing]}."

    first = sentence()
    question = f"What is the {kind} of the {next(iter(of))}?"
    lines = [first, *fill(iter(sentence, ""), draw.room(frame(ONE, first, question)), draw.count)]
    asked = pick(draw.rng, list(of)[: len(lines)])
    return Sample(frame(ONE, "\n".join(lines), f"What is the {kind} of the {asked}?"), (of[asked],))


def _tracing(draw: Draw) -> Sample:
    """A number is put in a name and copied from name to name; asked for are all names that hold it."""
    chains, hops = draw.sizes.chains, draw.sizes.hops
    names = distinct(partial(draw.code, string.ascii_uppercase, 5), chains * (hops + 1))
    numbers = distinct(draw.number, chains)
    steps: list[list[str]] = []
    for i, number in enumerate(numbers):
        chain = names[i * (hops + 1) : (i + 1) * (hops + 1)]
        copies = [f"Copy {a} to {b}." for a, b in zip(chain, chain[1:], strict=False)]
        steps.append([f"Put {number} in {chain[0]}.", *copies])
    # Chains are interleaved; within a chain the order is kept, since a name must hold a number before it is copied.
    turns = draw.rng.permutation(np.repeat(np.arange(chains), hops + 1))
    waiting = [iter(chain) for chain in steps]
    hidden = [next(waiting[int(i)]) for i in turns]
    question = f"Which names hold {numbers[0]}?"
    text = _scatter(draw, hidden, _filler(draw, same=True), draw.room(frame(NAMED, "", question)))
    return Sample(frame(NAMED, text, question), tuple(names[: hops + 1]))


def _common(draw: Draw) -> Sample:
    """A numbered list of words of which a few occur far more often than the others."""
    sizes = draw.sizes
    question = f"Which {sizes.common} words occur most often?"
    room = draw.room(frame(WORDS, "", question))
    per_word = draw.count("100. " + draw.word() + " ")
    entries = room // per_word
    # In a text that has room for more words than there are, each occurs more often.
    times = 1 + entries // (sizes.others * sizes.seldom) if sizes.coded else 1
    often, seldom = sizes.often * times, sizes.seldom * times
    others = min(sizes.others, max(2, (entries - sizes.common * often) // seldom))
    words = distinct(draw.word, sizes.common + others)
    items = words[: sizes.common] * often + words[sizes.common :] * seldom
    order = [items[int(i)] for i in draw.rng.permutation(len(items))]
    text = " ".join(f"{number}. {word}" for number, word in enumerate(order, 1))
    references = sorted(words[: sizes.common], key=order.index)
    return Sample(frame(WORDS, text, question), tuple(references))


def _frequent(draw: Draw) -> Sample:
    """Coded words whose frequencies fall steeply, between dots; asked for are the three most frequent ones."""
    question = "Which 3 words occur most often? Leave out the dots."
    room = draw.room(frame(WORDS, "", question))
    if draw.sizes.coded:
        code = draw.code(string.ascii_lowercase, 6)
        total = max(50, 5 * room // draw.count(f"{code} . {code} . ."))  # two words in five are not dots
        # Zipf's law with exponent 2, as in RULER, with the dots as the most frequent word.
        shares = 1 / np.arange(2, max(5, min(300, total // 50)) + 2) ** 2.0
        counts = np.maximum(1, np.round(total * shares / (np.pi**2 / 6))).astype(int).tolist()
        counts[:3] = [max(count, counts[3] + 3 - i) for i, count in enumerate(counts[:3])]
    else:
        counts, total = [9, 6, 4, 1, 1], 25
    words = distinct(partial(draw.code, string.ascii_lowercase, 6), len(counts))
    items = [word for word, count in zip(words, counts, strict=True) for _ in range(count)]
    items += ["."] * max(0, total - len(items))
    text = " ".join(items[int(i)] for i in draw.rng.permutation(len(items)))
    return Sample(frame(WORDS, text, question), tuple(words[:3]))


GENERATORS: dict[str, Callable[[Draw], Sample]] = {
    "niah_single_1": partial(_retrieval, same=True),
    "niah_single_2": _retrieval,
    "niah_single_3": partial(_retrieval, ids=True),
    "niah_multikey_1": lambda draw: _retrieval(draw, keys=draw.sizes.keys),
    "niah_multikey_2": partial(_crowd, ids=False),
    "niah_multikey_3": partial(_crowd, ids=True),
    "niah_multivalue": lambda draw: _retrieval(draw, values=draw.sizes.values),
    "niah_multiquery": lambda draw: _retrieval(draw, keys=draw.sizes.queries, queries=draw.sizes.queries),
    "vt": _tracing,
    "cwe": _common,
    "fwe": _frequent,
    "qa_1": reading,
    "qa_2": joining,
}
"""RULER's tasks, under the names of its ``synthetic.yaml``."""

TASKS = tuple(GENERATORS)

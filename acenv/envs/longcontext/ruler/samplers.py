"""How RULER's generator makes a sample of a given size: the same draws, in the same order."""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import zeta

from acenv.envs.longcontext.ruler.repository import Repository, Template
from acenv.envs.longcontext.ruler.words import all_words, word_pairs

Count = Callable[[str], int]

Made = tuple[str, list[str]]
"""A whole prompt, answer prefix included, and the references."""


@dataclass(frozen=True, slots=True)
class Chance:
    """The generators that RULER's scripts seed: Python's and NumPy's, and one that is seeded anew for every shuffle."""

    python: random.Random
    numpy: np.random.RandomState
    seed: int

    @classmethod
    def of(cls, seed: int) -> Chance:
        """Generators of a seed."""
        return cls(random.Random(seed), np.random.RandomState(seed), seed)

    def shuffle(self, items: list[str]) -> None:
        """Shuffle in place; lists of one length are always shuffled alike."""
        random.Random(self.seed).shuffle(items)

    def word(self, letters: str, length: int) -> str:
        """A word of random letters."""
        return "".join(self.python.choices(letters, k=length))

    def number(self) -> str:
        """A number of five digits."""
        return str(self.numpy.randint(10000, 99999))


@dataclass(frozen=True, slots=True)
class Sampler:
    """A task whose samples have a size, such as the number of sentences.

    Attributes:
        step: The smallest size, and by how much a sample that is too long is made smaller.
        probe: Makes the samples from which the size is found.
        sample: Makes sample ``index`` of a size.
        extra: Tokens that a sample has beyond a probe.
        guess: Size of the first probe, which tells how many tokens a unit has; None takes the step.
        bound: From the length and the tokens of a unit, the largest size to try.
    """

    step: int
    probe: Callable[[int], Made]
    sample: Callable[[int, int], Made]
    extra: int = 0
    guess: int | None = None
    bound: Callable[[int, float], int] = lambda length, per_unit: int(length / per_unit * 3)


@dataclass(frozen=True, slots=True)
class Needles:
    """A retrieval task as ``synthetic.yaml`` describes it."""

    haystack: str
    key: str = "words"
    value: str = "numbers"
    keys: int = 1
    values: int = 1
    queries: int = 1


NEEDLES = {
    "niah_single_1": Needles("noise"),
    "niah_single_2": Needles("essay"),
    "niah_single_3": Needles("essay", value="uuids"),
    "niah_multikey_1": Needles("essay", keys=4),
    "niah_multikey_2": Needles("needle"),
    "niah_multikey_3": Needles("needle", key="uuids", value="uuids"),
    "niah_multivalue": Needles("essay", values=4),
    "niah_multiquery": Needles("essay", keys=4, queries=4),
}
_DEPTHS = [int(depth) for depth in np.round(np.linspace(0, 100, num=40))]
_HOPS = 4
_EXAMPLE_VALUE = "12345"
"""Stands for the value in the worked example of ``vt`` until the example is put before a sample."""


def retrieval(
    task: str, texts: Repository, chance: Chance, length: int, split_sentences: Callable[[str], list[str]] | None
) -> Sampler:
    """``niah_*``: needles in noise, in essays, or among other needles."""
    settings = NEEDLES[task]
    template, needle = texts.template("niah").whole, texts.needle()
    noise = texts.noise() if settings.haystack == "noise" else ""
    essays = texts.essays() if settings.haystack == "essay" else []
    if essays and split_sentences is None:
        split_sentences = nltk_sentences()

    def draw(kind: str) -> str:
        if kind == "words":
            return chance.python.choice(word_pairs())
        if kind == "numbers":
            return str(chance.python.randint(10**6, 10**7 - 1))
        return str(uuid.UUID(int=chance.python.getrandbits(128), version=4))

    def sentence(key: str, value: str) -> str:
        return needle.format(type_needle_v=settings.value, key=key, value=value)

    def make(size: int) -> Made:
        keys: list[str] = []
        values: list[list[str]] = []
        for _ in range(settings.keys):
            keys.append(draw(settings.key))
            values.append([draw(settings.value) for _ in range(settings.values)])
        needles = [sentence(key, value) for key, own in zip(keys, values, strict=True) for value in own]
        chance.shuffle(needles)
        if split_sentences is not None and essays:
            sentences = split_sentences(" ".join((essays * -(-size // len(essays)))[:size]).strip())
            depths = chance.python.sample(_DEPTHS, len(needles))
            places = [0, *sorted(int(len(sentences) * (depth / 100)) for depth in depths), len(sentences)]
            parts: list[str] = []
            for i, hidden in enumerate([*needles, None]):
                parts.append(" ".join(sentences[places[i] : places[i + 1]]))
                if hidden is not None:
                    parts.append(hidden)
            context = " ".join(parts)
        else:
            if settings.haystack == "needle":
                lines = [sentence(draw(settings.key), draw(settings.value)) for _ in range(size)]
            else:
                lines = [noise] * size
            places = sorted(chance.python.sample(range(size), len(needles)), reverse=True)
            for place, hidden in zip(places, needles, strict=True):
                lines.insert(place, hidden)
            context = "\n".join(lines)
        asked = chance.python.sample(range(settings.keys), settings.queries)
        queries = [keys[i] for i in asked]
        query = ", ".join(queries[:-1]) + ", and " + queries[-1] if len(queries) > 1 else queries[0]
        form, kind = template, settings.value
        if settings.queries * settings.values == 1:
            # The official way to make the template singular; it also reaches into words that contain "are".
            for plural, singular in (("Some", "A"), ("are all", "is"), ("are", "is"), ("answers", "answer")):
                form = form.replace(plural, singular)
            kind = kind[:-1]
        text = form.format(type_needle_v=kind, context=context, query=query)
        return text, [value for i in asked for value in values[i]]

    step = 500 if essays else 25 if length >= 4096 else 5
    return Sampler(step, make, lambda index, size: make(size))


def tracing_example(template: str, noise: str, chance: Chance) -> Sampler:
    """The worked example that stands before the samples of ``vt``: a chain of names of three letters."""

    def make(size: int) -> Made:
        names = _distinct_names(chance, 3)
        return _trace(template, noise, chance, names, _EXAMPLE_VALUE, size)

    return Sampler(5, make, lambda index, size: make(size))


def tracing(template: Template, noise: str, chance: Chance, length: int, example: Made, count: Count) -> Sampler:
    """``vt``: a chain of assignments in noise, after the worked example with new names and a new value."""
    shown = f"{example[0]} {' '.join(example[1])}\n"

    def make(size: int) -> Made:
        names = _distinct_names(chance, 5)
        return _trace(template.whole, noise, chance, names, chance.number(), size)

    def sample(index: int, size: int) -> Made:
        del index
        text, names = make(size)
        fresh = shown
        for name in shown.strip().split()[-_HOPS - 1 :]:
            fresh = fresh.replace(name, chance.word(string.ascii_uppercase, len(name)))
        fresh = fresh.replace(_EXAMPLE_VALUE, chance.number())
        return f"{fresh}\n{text}", names

    return Sampler(10 if length >= 4096 else 5, make, sample, extra=count(shown))


def _distinct_names(chance: Chance, letters: int) -> list[str]:
    names = [chance.word(string.ascii_uppercase, letters) for _ in range(_HOPS + 1)]
    while len(set(names)) < _HOPS + 1:  # The official script keeps a repeated name and uses the first five.
        names.append(chance.word(string.ascii_uppercase, letters))
    return names[: _HOPS + 1]


def _trace(template: str, noise: str, chance: Chance, names: list[str], value: str, size: int) -> Made:
    chain = [f"VAR {names[0]} = {value}"]
    chain += [f"VAR {new} = VAR {old} " for old, new in zip(names, names[1:], strict=False)]
    lines = [noise] * size
    places = sorted(chance.python.sample(range(size), len(chain)))
    for offset, (place, statement) in enumerate(zip(places, chain, strict=True)):
        lines.insert(place + offset, statement)
    context = "\n".join(lines).replace(". \n", ".\n")
    return template.format(context=context, query=value, num_v=len(names)), names


def common(template: str, texts: Repository, chance: Chance, length: int) -> Sampler:
    """``cwe``: a list in which ten words occur often, after an example of the same form."""
    words = list(all_words())
    chance.shuffle(words)
    example, often, seldom = ((40, 10, 3), 30, 3) if length >= 4096 else ((20, 3, 1), 6, 1)

    def one(size: int, often: int, seldom: int) -> Made:
        chosen = chance.python.sample(words if size <= len(words) else texts.english_words(), size)
        items = chosen[:10] * often + chosen[10:] * seldom
        chance.shuffle(items)
        context = " ".join(f"{i}. {word}" for i, word in enumerate(items, 1))
        return template.format(num_cw=10, context=context, query=""), chosen[:10]

    def make(size: int) -> Made:
        shown, answers = one(*example)
        text, references = one(size, often, seldom)
        solved = " ".join(f"{i}. {word}" for i, word in enumerate(answers, 1))
        return f"{shown} {solved}\n{text}", references

    return Sampler(
        10,
        make,
        lambda index, size: make(size),
        guess=4096,
        bound=lambda length, per_unit: int(length // per_unit) * 2,
    )


def answering(task: str, template: str, texts: Repository, chance: Chance, count: int) -> Sampler:
    """``qa_1``, ``qa_2``: a question about one or two of many documents."""
    questions, documents = texts.questions(task)
    if count > len(questions):
        raise ValueError(f"{count} samples of {task} need as many questions, and its file has {len(questions)}")
    numbered = texts.document()

    def sample(index: int, size: int) -> Made:
        question = questions[index]
        if size < len(documents):
            spare = size - len(question.context)
            if spare > len(question.more):
                near = {*question.context, *question.more}
                far = [number for number in range(len(documents)) if number not in near]
                chosen = [*question.context, *question.more, *chance.python.sample(far, spare - len(question.more))]
            else:
                chosen = [*question.context, *chance.python.sample(question.more, spare)]
            pages = [documents[number] for number in chosen]
        else:
            pages = (documents * -(-size // len(documents)))[:size]
        chance.shuffle(pages)
        context = "\n\n".join(numbered.format(i=i, document=page) for i, page in enumerate(pages, 1))
        return template.format(context=context, query=question.query), question.outputs

    return Sampler(10, lambda size: sample(0, size), sample)


def frequent(template: Template, chance: Chance, room: int, count: Count) -> Iterator[Made]:
    """``fwe``: coded words whose frequencies fall with the square of their rank; the most frequent one is dots."""
    if room < 50:
        raise ValueError(f"RULER's fwe needs room for 50 tokens beside the answer, not {room}: take a larger length")
    step, size = room // 32, room // 6

    def vocabulary() -> list[str]:
        words = [chance.word(string.ascii_lowercase, 6) for _ in range(room // 50)]
        while len(set(words)) < room // 50:
            words.append(chance.word(string.ascii_lowercase, 6))
        words = sorted(set(words))
        chance.shuffle(words)
        return ["...", *words[1:]]

    def make(words: list[str], size: int) -> str:
        counts = (size * np.arange(1, len(words) + 1) ** -2.0 / zeta(2.0)).astype(int)
        items = [word for word, times in zip(words, counts.tolist(), strict=True) for _ in range(times)]
        chance.shuffle(items)
        return template.whole.format(context=" ".join(items), query="")

    words = vocabulary()
    while count(make(words, size)) < room:
        size += step
    size -= step
    while True:
        words = vocabulary()
        used = size
        while count(make(words, used)) > room:
            used -= step
        yield make(words, used), words[1:4]


def nltk_sentences() -> Callable[[str], list[str]]:
    """NLTK's splitter of English sentences.

    Raises:
        ModuleNotFoundError: NLTK is not installed.
        FileNotFoundError: Its model is not.
    """
    try:
        import nltk
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("RULER splits its essays with NLTK: pip install nltk") from error
    try:
        nltk.sent_tokenize("One. Two.")
    except LookupError as error:
        raise FileNotFoundError(
            "RULER splits its essays with a model of NLTK that is not here: python -m nltk.downloader punkt_tab"
        ) from error
    splitter: Callable[[str], list[str]] = nltk.sent_tokenize
    return splitter

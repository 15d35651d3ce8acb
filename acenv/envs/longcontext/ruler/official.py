"""RULER's official samples: what its generator draws, around texts that are read from its repository.

The steps are those of ``niah.py``, ``variable_tracking.py``, ``common_words_extraction.py``,
``freq_words_extraction.py`` and ``qa.py`` in ``scripts/data/synthetic`` of NVIDIA/RULER. Each of these scripts seeds
the global generators and draws both the search for the size and all its samples from them; here the generators are
objects of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count as numbers
from pathlib import Path
from typing import Any

from acenv.envs.longcontext.haystack import counter
from acenv.envs.longcontext.ruler import samplers
from acenv.envs.longcontext.ruler.repository import Repository, Template
from acenv.envs.longcontext.ruler.samplers import NEEDLES, Chance, Count, Made, Sampler

SEED = 42
SAMPLES = 500

KINDS = {
    **dict.fromkeys(NEEDLES, "niah"),
    "vt": "variable_tracking",
    "cwe": "common_words_extraction",
    "fwe": "freq_words_extraction",
    "qa_1": "qa",
    "qa_2": "qa",
}
"""Which script and which template belongs to a task."""

_RETRIES = 100
_EXAMPLE_LENGTH = 500


def official_samples(
    task: str,
    length: int,
    repository: Path | str,
    *,
    seed: int = SEED,
    count: int = SAMPLES,
    tokenizer: Any = None,
    split_sentences: Callable[[str], list[str]] | None = None,
) -> Iterator[dict[str, Any]]:
    """The records that RULER's generator writes, one after the other.

    Args:
        task: RULER's name, such as ``"niah_single_1"``.
        length: RULER's ``max_seq_length``: tokens of the prompt and of the answer together, at most.
        repository: A copy of the RULER repository.
        seed: RULER's ``random_seed``.
        count: RULER's ``num_samples``.
        tokenizer: What decides the size: an object with ``tokenize(text)`` (of transformers; RULER counts without
            special tokens) or ``encode(text)`` (of tiktoken), or a function from text to a number. None counts words.
        split_sentences: Splits the essays; None takes NLTK's, as RULER does.

    Returns:
        Records with the fields ``index``, ``input``, ``outputs``, ``length``, ``length_w_model_temp``,
        ``answer_prefix``, and in retrieval ``token_position_answer``. As in RULER, ``index`` is the number of the
        sample except in retrieval, whose script overwrites it with the place of the first reference in ``input``.

    Raises:
        FileNotFoundError: The repository lacks what the task needs, or NLTK has no model.
        ModuleNotFoundError: The package wonderwords or NLTK is needed and not installed.
        ValueError: There is no such task, or (while iterating) no sample of it fits into the length.
    """
    if task not in KINDS:
        raise ValueError(f"task must be one of {', '.join(KINDS)}, not {task!r}")
    texts = Repository(Path(repository))
    template = texts.template(KINDS[task])
    chance, tokens = Chance.of(seed), token_counter(tokenizer)
    if task == "fwe":
        made = samplers.frequent(template, chance, length - template.answer_tokens, tokens)
    elif task == "vt":
        noise = texts.noise()
        example = next(_fitting(samplers.tracing_example(template.whole, noise, chance), _EXAMPLE_LENGTH, 0, tokens))
        sampler = samplers.tracing(template, noise, chance, length, example, tokens)
        made = _fitting(sampler, length, template.answer_tokens, tokens)
    else:
        if task in NEEDLES:
            sampler = samplers.retrieval(task, texts, chance, length, split_sentences)
        elif task == "cwe":
            sampler = samplers.common(template.whole, texts, chance, length)
        else:
            sampler = samplers.answering(task, template.whole, texts, chance, count)
        made = _fitting(sampler, length, template.answer_tokens, tokens)
    return (_record(task, template, index, sample, tokens) for index, sample in zip(range(count), made, strict=False))


def token_counter(tokenizer: Any) -> Count:
    """A function that counts tokens as RULER does; see :func:`official_samples`."""
    if hasattr(tokenizer, "tokenize"):  # without the special tokens that ``encode`` may add
        return lambda text: len(tokenizer.tokenize(text))
    return counter(tokenizer)


def _fitting(sampler: Sampler, length: int, answer_tokens: int, tokens: Count) -> Iterator[Made]:
    """Endless samples of at most so many tokens: first the largest size is searched, then each sample is shortened."""
    room = length - answer_tokens
    guess = sampler.guess or sampler.step
    per_unit = tokens(sampler.probe(guess)[0]) / guess
    low, high, size = sampler.step, max(sampler.bound(length, per_unit), sampler.step * 2), sampler.step
    while low <= high:
        middle = (low + high) // 2
        if tokens(sampler.probe(middle)[0]) + sampler.extra <= room:
            size, low = middle, middle + 1
        else:
            high = middle - 1
    for index in numbers():
        yield _fit(sampler, index, size, room, tokens)


def _fit(sampler: Sampler, index: int, size: int, room: int, tokens: Count) -> Made:
    tries = 0
    while tries < _RETRIES:
        try:
            made = sampler.sample(index, size)
        except ValueError:  # the size is smaller than what is hidden in it
            made = None
        if made is not None and tokens(made[0]) <= room:
            return made
        if size > sampler.step:
            size -= sampler.step
        else:  # The official generator goes on forever; another draw may still fit.
            tries += 1
    raise ValueError(f"no RULER sample of this task fits into {room} tokens beside the answer: take a larger length")


def _record(task: str, template: Template, index: int, made: Made, tokens: Count) -> dict[str, Any]:
    """A record as the scripts write it; they find the answer prefix by its first ten characters."""
    whole, references = made
    cut = whole.rfind(template.answer_prefix[:10])
    total = tokens(whole) + template.answer_tokens
    record: dict[str, Any] = {
        "index": index,
        "input": whole[:cut],
        "outputs": references,
        "length": total,
        "length_w_model_temp": total,
        "answer_prefix": whole[cut:],
    }
    if task in NEEDLES:
        record["index"] = record["input"].find(references[0])
        record["token_position_answer"] = tokens(record["input"][: record["index"]])
    return record

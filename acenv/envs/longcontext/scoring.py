"""How answers in long-context retrieval are scored."""

from __future__ import annotations


def word_recall(response: str, expected: str) -> float:
    """Share of the expected answer's distinct words that occur in the response.

    Words are what lower-casing and splitting at white space give, punctuation included. This is the score behind the
    heat maps of Needle-in-a-Haystack as ACBench draws them (``visualize.py`` of the KVCache-Factory scripts).

    Args:
        response: What the model answered.
        expected: The right answer; must hold at least one word.

    Returns:
        A value in [0, 1].

    Raises:
        ValueError: ``expected`` has no words.

    >>> word_recall("Eat a sandwich", "eat a sandwich on a bench")
    0.6
    """
    wanted = set(expected.lower().split())
    if not wanted:
        raise ValueError("the expected answer has no words to look for")
    return len(wanted & set(response.lower().split())) / len(wanted)


def rouge1_x10(response: str, expected: str) -> float:
    """ROUGE-1 F-measure with stemming, times ten: the score that ACBench's needle script stores per answer.

    An empty response scores 0.

    Raises:
        ModuleNotFoundError: The ``rouge-score`` package is not installed.
    """
    if not response:
        return 0.0
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the ROUGE score needs the rouge-score package: pip install 'acenv[rouge]'"
        ) from error
    scores = RougeScorer(["rouge1"], use_stemmer=True).score(expected, response)
    return float(scores["rouge1"].fmeasure) * 10.0

"""Chinese words, as the ``jieba`` package (0.42.1) finds them."""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib.util import find_spec
from typing import Any


@lru_cache(maxsize=64)
def words(text: str) -> tuple[str, ...]:
    """The words of a text, white space and punctuation included; kept, as a text is scored in several ways.

    Raises:
        ModuleNotFoundError: The ``jieba`` package is not installed.
    """
    return tuple(load().cut(text, cut_all=False))


def require() -> None:
    """Make sure that the package is there.

    Raises:
        ModuleNotFoundError: It is not.
    """
    if find_spec("jieba") is None:
        raise ModuleNotFoundError("Chinese words are found by the jieba package: pip install 'acenv[longbench]'")


@lru_cache(maxsize=1)
def load() -> Any:
    """The tokenizer with its dictionary, which takes about a second the first time.

    Its own start would write to the log, and read a cache out of the folder for temporary files.
    """
    require()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses pkg_resources where there is one
        import jieba
    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer

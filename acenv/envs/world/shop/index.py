"""A shop: its products, and a full-text search over them (SQLite's FTS5)."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from random import Random
from threading import Lock

from acenv.envs.base import Difficulty, Split
from acenv.envs.world.shop.catalogue import make_products
from acenv.envs.world.shop.scoring import Product

MAX_RESULTS = 50
"""What a search finds at most, as in WebShop."""

SHOPS = 4
"""Shops of each difficulty and split."""

_STOP_WORDS = """
    a an and are as at be but by for from has have i in is it me my need of on or that the this to want with"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

_WORD = re.compile(r"[^\W_]+")


class Shop:
    """The products of a shop and the index over their texts; safe to use from several threads.

    The search ranks by BM25, titles before categories before features and descriptions, after Porter's stemmer. Any of
    the words suffices to be found.
    """

    def __init__(self, products: Iterable[Product]) -> None:
        """Index the products."""
        self.products = {product.id: product for product in products}
        self._rows = tuple(self.products.values())
        self._rows_with: dict[str, set[int]] = {}
        self._of_kind: dict[str, list[Product]] = {}
        for row, product in enumerate(self._rows):
            self._of_kind.setdefault(product.kind, []).append(product)
            for attribute in product.attributes:
                self._rows_with.setdefault(attribute, set()).add(row)
        self._lock = Lock()
        # Environments may be stepped in worker threads; the lock sees to it that they query in turn.
        self._index = sqlite3.connect(":memory:", check_same_thread=False)
        self._index.execute(
            "CREATE VIRTUAL TABLE texts USING fts5(title, category, features, description, content='',"
            " tokenize='porter unicode61 remove_diacritics 2')"
        )
        self._index.executemany(
            "INSERT INTO texts(rowid, title, category, features, description) VALUES (?, ?, ?, ?, ?)",
            (
                (row, p.title, " ".join(p.category), " ".join(p.features), p.description)
                for row, p in enumerate(self._rows)
            ),
        )
        self._index.commit()
        self._index.execute("PRAGMA query_only = ON")
        self._ranked = lru_cache(maxsize=512)(self._rank)

    def of_kind(self, kind: str) -> Sequence[Product]:
        """All products of a kind."""
        return self._of_kind[kind]

    def with_all(self, attributes: Iterable[str]) -> list[Product]:
        """The products that have all of the attributes."""
        return [self._rows[row] for row in sorted(set.intersection(*(self._rows_with[a] for a in attributes)))]

    def draw(self, rng: Random) -> Product:
        """A random product."""
        return rng.choice(self._rows)

    def search(self, text: str) -> tuple[str, ...]:
        """The ids of what fits the text best, best first; any text will do.

        Only words reach the index, each in quotes, so that no text is taken for a command of its language.
        """
        words = search_words(text)
        return self._ranked(" OR ".join(f'"{word}"' for word in words)) if words else ()

    def _rank(self, match: str) -> tuple[str, ...]:
        with self._lock:
            rows = self._index.execute(
                "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY bm25(texts, 4.0, 2.0, 1.0, 1.0), rowid LIMIT ?",
                (match, MAX_RESULTS),
            ).fetchall()
        return tuple(self._rows[row].id for (row,) in rows)


def search_words(text: str) -> list[str]:
    """The different words of a text, in order, without those that say nothing unless there are no others.

    >>> search_words('a red "lamp" OR (NEAR lamp*)')
    ['red', 'lamp', 'near']
    """
    words = list(dict.fromkeys(_WORD.findall(text.lower())))
    return [word for word in words if word not in STOP_WORDS] or words


@lru_cache(maxsize=12)
def open_shop(difficulty: Difficulty, split: Split, number: int) -> Shop:
    """Shop ``number`` of a split, the same in every process; the shops used last are kept."""
    rng = Random(f"shop {difficulty} {split} {number}")
    return Shop(make_products(difficulty, rng))

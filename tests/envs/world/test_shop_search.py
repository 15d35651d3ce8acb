from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.envs.world.shop.catalogue import make_products
from acenv.envs.world.shop.index import MAX_RESULTS, Shop, open_shop, search_words
from acenv.envs.world.shop.wares import DEPARTMENTS

NAMES = {attribute.name for department in DEPARTMENTS for attribute in department.attributes}


@pytest.fixture(scope="module")
def shop() -> Shop:
    return open_shop("medium", "test", 0)


ATTACKS = [
    '"',
    "'; DROP TABLE texts; --",
    "kettle' OR '1'='1",
    'title : kettle NOT "steel"',
    "kettle NEAR(steel, 2) AND ^red*",
    "kettle OR",
    "NOT",
    "{title category} : kettle",
    "-title: kettle +steel",
    "\x00kettle\x00",
    "кот 🫖 kettle café ﬁ İ ß",
    "_" * 50,
    "((((((",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_no_text_is_a_command_to_the_index(shop: Shop, text: str) -> None:
    before = shop.search("steel kettle")
    found = shop.search(text)
    assert len(found) <= MAX_RESULTS
    assert all(id_ in shop.products for id_ in found)
    assert shop.search("steel kettle") == before


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_text_can_be_searched_for(text: str) -> None:
    assert len(open_shop("easy", "test", 0).search(text)) <= MAX_RESULTS


def test_operators_are_words() -> None:
    assert search_words("kettle AND NOT steel") == ["kettle", "not", "steel"]
    assert search_words("the AND a") == ["the", "and", "a"]


def test_the_index_refuses_to_be_written(shop: Shop) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        shop._index.execute("INSERT INTO texts(rowid, title) VALUES (5000, 'x')")


def test_the_best_match_comes_first_and_word_forms_count(shop: Shop) -> None:
    titles = [shop.products[id_].title for id_ in shop.search("Steel KETTLES!")]
    assert all("Steel Kettle" in title for title in titles[:3])
    assert shop.search("kettle") == shop.search("kettles")
    assert shop.search("zzzz") == () == shop.search("...")


def test_threads_get_the_same_results(shop: Shop) -> None:
    queries = [f"{a} {b}" for a in ("steel", "oak", "wool", "nylon") for b in ("rug", "sofa", "kettle", "wallet")] * 4
    alone = [shop.search(query) for query in queries]
    fresh = Shop(shop.products.values())
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(fresh.search, queries)) == alone


@pytest.mark.parametrize(("difficulty", "count"), [("easy", 300), ("medium", 1024), ("hard", 3072)])
def test_a_shop_is_always_made_alike(difficulty: str, count: int) -> None:
    first, second = (make_products(difficulty, Random("x")) for _ in range(2))  # type: ignore[arg-type]
    assert first == second != make_products(difficulty, Random("y"))  # type: ignore[arg-type]
    assert len({p.id for p in first}) == len(first) >= count
    for product in first:
        values = [value.lower() for option in product.options for value in option.values]
        assert len(values) == len(set(values))
        assert all(option.extras[0] == 0 for option in product.options)


def test_the_texts_say_an_attribute_only_of_products_that_have_it() -> None:
    for product in (*make_products("medium", Random(1)), *make_products("hard", Random(1))):
        text = " ".join((*product.features, product.description)).lower()
        for other in NAMES:
            assert other not in text or other in product.attributes

"""The pages of a shop as texts, with their buttons in brackets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from acenv.envs.world.shop.scoring import Product

BACK, NEXT, PREVIOUS, BUY, DESCRIPTION, FEATURES = (
    *("Back to Search", "Next >", "< Prev", "Buy Now", "Description", "Features"),
)
"""The buttons of WebShop, beside products and the values of options."""


def bar(names: Sequence[str], easy: bool = False) -> str:
    """Buttons side by side.

    >>> bar(["Buy Now", "< Prev"])
    '[Buy Now] [< Prev]'
    """
    text = " ".join(f"[{name}]" for name in names)
    return text.lower() if easy else text


def money(cents: int, easy: bool = False) -> str:
    """An amount in dollars; easy ones are whole.

    >>> money(3490), money(3000, easy=True)
    ('$34.90', '30')
    """
    return str(cents // 100) if easy else f"${cents // 100}.{cents % 100:02}"


def results_page(
    products: Sequence[Product], number: int, count: int, total: int, moves: Sequence[str], easy: bool
) -> str:
    """Page ``number`` of ``count``, with some of the ``total`` products that were found, and the buttons ``moves``."""
    head = [] if easy else [f"Page {number} of {count}, {total} products found"]
    if not products:
        head = ["nothing found" if easy else "Nothing was found."]
    lines = [f"[{p.id}] {p.title} {money(p.price, easy)}" for p in products]
    return "\n".join((*head, *lines, bar(moves, easy)))


def item_page(product: Product, chosen: Mapping[str, str], moves: Sequence[str], easy: bool) -> str:
    """A product with its options, the chosen values in double brackets, and what it costs with them."""
    price = money(product.price_with(chosen), easy)
    head = [f"{product.title} {price}"] if easy else [product.title, f"Category: {' > '.join(product.category)}"]
    options = [
        f"{option.name}: {' '.join(f'[[{v}]]' if chosen.get(option.name) == v else f'[{v}]' for v in option.values)}"
        for option in product.options
    ]
    return "\n".join((*head, *options, *([] if easy else [f"Price: {price}"]), bar(moves, easy)))


def text_page(product: Product, name: str, moves: Sequence[str]) -> str:
    """The description or the features of a product."""
    lines = [product.description] if name == DESCRIPTION else [f"- {line}" for line in product.features]
    return "\n".join((f"{name} of {product.title}", *lines, bar(moves)))

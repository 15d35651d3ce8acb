"""The stock of a shop, its prices, and orders to its suppliers."""

from __future__ import annotations

from typing import Annotated, Any

from acenv.envs.tools.tooling import Record, ToolError, World, tool

Quantity = Annotated[int, {"minimum": 1, "maximum": 10_000}]
Price = Annotated[float, {"minimum": 0, "maximum": 1_000_000}]


def _find(world: World, item: str) -> Record:
    record = world.table("items").get(item)
    if record is None:
        raise ToolError(f"no item {item[:60]}. Items have codes: see search_items.")
    return record


def search_items(world: World, word: str) -> Any:
    """Find items by a word of their name."""
    wanted = word.lower()
    return {
        "items": [
            {"item": key, "name": r["name"]} for key, r in world.table("items").items() if wanted in r["name"].lower()
        ]
    }


def get_item(world: World, item: str) -> Any:
    """Look up the stock and price of an item."""
    record = _find(world, item)
    return {"name": record["name"], "stock": record["stock"], "price": record["price"]}


def order_item(world: World, item: str, quantity: Quantity) -> Any:
    """Order more of an item from its supplier."""
    _find(world, item)
    world.add("orders", "o", {"item": item, "quantity": quantity})
    return {"ok": True}


def set_price(world: World, item: str, price: Price) -> Any:
    """Set the price of an item."""
    _find(world, item)["price"] = price
    return {"ok": True}


TOOLS = (tool(search_items), tool(get_item), tool(order_item, writes=True), tool(set_price, writes=True))

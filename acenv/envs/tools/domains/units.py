"""Conversion of units and of money; nothing can be changed here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from acenv.envs.tools.tooling import ToolError, World, tool

Unit = Literal["mm", "cm", "m", "km", "g", "kg", "second", "minute", "hour", "day", "ml", "liter"]
Amount = Annotated[int, {"minimum": 1, "maximum": 1_000_000}]
Value = Annotated[float, {"minimum": -1e12, "maximum": 1e12}]

SIZES: dict[str, tuple[str, int]] = {
    "mm": ("length", 1),
    "cm": ("length", 10),
    "m": ("length", 1000),
    "km": ("length", 1_000_000),
    "g": ("mass", 1),
    "kg": ("mass", 1000),
    "second": ("time", 1),
    "minute": ("time", 60),
    "hour": ("time", 3600),
    "day": ("time", 86_400),
    "ml": ("volume", 1),
    "liter": ("volume", 1000),
}
"""Unit to its kind and its size in the smallest unit of that kind."""


def tidy(value: float) -> int | float:
    """At most six decimals, and no ``.0``.

    >>> tidy(4.0), tidy(2 / 3)
    (4, 0.666667)
    """
    value = round(value, 6)
    return int(value) if value == int(value) else value


def convert_units(world: World, value: Value, unit: Unit, to: Unit) -> Any:
    """Convert a value from one unit to another."""
    kind, size = SIZES[unit]
    to_kind, to_size = SIZES[to]
    if kind != to_kind:
        raise ToolError(f"{unit} measures {kind} and {to} measures {to_kind}.")
    return {"value": tidy(value * size / to_size)}


def convert_money(world: World, amount: Amount, currency: str) -> Any:
    """Convert an amount of a foreign currency to crowns at today's rate."""
    rate = world.table("rates").get(f"{currency} to crowns")
    if rate is None:
        known = ", ".join(key.split(" ", 1)[0] for key in world.table("rates"))
        raise ToolError(f"no rate for {currency[:60]}. There are rates for: {known or 'no currency'}.")
    return {"crowns": amount * rate["rate"]}


TOOLS = (tool(convert_units), tool(convert_money))

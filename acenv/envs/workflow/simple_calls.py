"""What easy workflow tasks are made of: APIs with one parameter and a phrase in plain words, and the order of steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from acenv.envs.workflow.graph import Edge


@dataclass(frozen=True, slots=True)
class SimpleCall:
    """An API with one parameter.

    Attributes:
        name: Name of the API.
        parameter: Name of its parameter, and of the kind of values that it takes.
        phrase: What it does, with ``{}`` where the value goes.
    """

    name: str
    parameter: str
    phrase: str

    @property
    def listing(self) -> str:
        """The API as a task lists it."""
        article = "an" if self.parameter[0] in "aeiou" else "a"
        phrase = self.phrase.replace("the {}", "{}").format(f"{article} {self.parameter}")
        return f"{self.name}({self.parameter}): {phrase}"


VALUES: dict[str, tuple[str, ...]] = {
    "city": (
        *("Paris", "Rome", "Oslo", "Lima", "Cairo", "Tokyo", "Madrid", "Berlin", "Dublin", "Vienna", "Athens", "Delhi"),
        *("Boston", "Prague", "Lisbon", "Quito", "Seoul", "Nairobi", "Warsaw", "Havana"),
    ),
    "person": (
        *("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Ivan", "Julia", "Karim", "Laura"),
        *("Maria", "Nora", "Oscar", "Paul", "Rosa", "Simon", "Tara", "Victor"),
    ),
    "item": (
        *("lamp", "desk", "chair", "phone", "camera", "bike", "tent", "clock", "sofa", "guitar", "kettle", "mirror"),
        *("laptop", "printer", "carpet", "helmet"),
    ),
    "dish": ("soup", "pasta", "salad", "pizza", "curry", "bread", "cake", "rice", "stew", "tacos", "sushi", "risotto"),
    "file": ("report", "budget", "invoice", "letter", "contract", "poster", "diary", "recipe", "survey", "manual"),
    "room": ("kitchen", "bedroom", "office", "garage", "garden", "cellar", "library", "studio"),
    "topic": ("music", "history", "chess", "robots", "birds", "physics", "cinema", "football", "poetry", "climate"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
"""The values of each kind: one plain word each."""

SIMPLE_CALLS: tuple[SimpleCall, ...] = tuple(
    SimpleCall(*row)
    for row in (
        ("get_weather", "city", "check the weather in {}"),
        ("find_flight", "city", "find a flight to {}"),
        ("book_hotel", "city", "book a hotel in {}"),
        ("rent_car", "city", "rent a car in {}"),
        ("get_map", "city", "load a map of {}"),
        ("find_museum", "city", "find a museum in {}"),
        ("get_time", "city", "get the local time in {}"),
        ("buy_ticket", "city", "buy a train ticket to {}"),
        ("send_message", "person", "send a message to {}"),
        ("call_person", "person", "call {}"),
        ("invite_guest", "person", "invite {}"),
        ("pay_person", "person", "pay {}"),
        ("get_address", "person", "look up the address of {}"),
        ("greet_user", "person", "greet {}"),
        ("add_contact", "person", "add {} to the contacts"),
        ("get_price", "item", "look up the price of the {}"),
        ("order_item", "item", "order the {}"),
        ("repair_item", "item", "repair the {}"),
        ("sell_item", "item", "sell the {}"),
        ("track_package", "item", "track the package with the {}"),
        ("compare_shops", "item", "compare shops for the {}"),
        ("find_recipe", "dish", "find a recipe for {}"),
        ("cook_dish", "dish", "cook the {}"),
        ("count_calories", "dish", "count the calories of the {}"),
        ("rate_dish", "dish", "rate the {}"),
        ("open_file", "file", "open the {}"),
        ("print_file", "file", "print the {}"),
        ("delete_file", "file", "delete the {}"),
        ("translate_file", "file", "translate the {}"),
        ("share_file", "file", "share the {}"),
        ("sign_file", "file", "sign the {}"),
        ("clean_room", "room", "clean the {}"),
        ("heat_room", "room", "heat the {}"),
        ("lock_room", "room", "lock the {}"),
        ("light_room", "room", "turn on the light in the {}"),
        ("search_news", "topic", "search the news about {}"),
        ("write_post", "topic", "write a post about {}"),
        ("play_podcast", "topic", "play a podcast about {}"),
        ("join_course", "topic", "join a course about {}"),
        ("set_alarm", "day", "set an alarm for {}"),
        ("plan_meeting", "day", "plan a meeting on {}"),
        ("cancel_class", "day", "cancel the class on {}"),
    )
)


def in_stages(stages: Sequence[int], phrases: Sequence[str]) -> tuple[list[str], set[Edge]]:
    """Steps that come stage by stage: those of one at the same time, each after all of the stage before.

    Args:
        stages: How many steps each stage has.
        phrases: What the steps are, in their order.

    Returns:
        What a task says of each stage, and the edges between the steps, which are numbered from 1.

    >>> clauses, edges = in_stages((2, 1), ("pay Ben", "call Ann", "rest"))
    >>> clauses, sorted(edges)
    (['at the same time pay Ben and call Ann', 'rest'], [(1, 3), (2, 3)])
    """
    edges: set[Edge] = set()
    clauses: list[str] = []
    before: list[int] = []
    first = 1
    for size in stages:
        present = list(range(first, first + size))
        edges |= {(a, b) for a in before for b in present}
        said = [phrases[i - 1] for i in present]
        clauses.append(f"at the same time {' and '.join(said)}" if size > 1 else said[0])
        before, first = present, first + size
    return clauses, edges

"""Medium and hard plans that solve a problem: a question with parts, or a question to the tables of a database."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acenv.envs.base import pick
from acenv.envs.workflow.domains import LITERALS
from acenv.envs.workflow.plans import ALPHABETICAL, RULES, plan_task
from acenv.envs.workflow.task import WorkflowTask

_RULES = RULES.format(first=ALPHABETICAL)

# Questions -----------------------------------------------------------------------------------------------------------

_QUESTION = f"""\
You split a question into operations that are carried out one by one. You write them and the order between them, as a \
graph.

Rules:
- Somebody who is only described, such as the doctor of the sister of Mei Zhang, is found link by link: find the \
sister of Mei Zhang, then find the doctor of the sister of Mei Zhang. Each link needs the one before it; the first \
link, which starts from a name, needs nothing.
- Whoever is described in several parts of the question, or whose description is part of a longer one, is found once.
- A value of somebody is looked up after that person is found: look up the age of the sister of Mei Zhang.
- One last operation answers the question from the values: average the ages, compare the ages, add the ages, or list \
the ages, as the question asks. It needs all values that were looked up.
- The text of a node is an operation of the list, filled in as in these examples, in the words of the question.
{_RULES}"""

_OPERATIONS = """\
Operations:
- find the {relation} of {person}
- look up the {value} of {person}
- average the {values}
- compare the {values}
- add the {values}
- list the {values}"""

_RELATIONS = ("boss", "doctor", "sister", "brother", "teacher", "neighbour", "landlord", "trainer", "lawyer", "cousin")
_VALUES = {"age": "ages", "salary": "salaries", "height": "heights", "weight": "weights", "income": "incomes"}
_ASKED = {
    "average": "What is the average {value} of {people}?",
    "compare": "Who has the highest {value} of {people}?",
    "add": "What does the {value} come to in total, taking {people} together?",
    "list": "What is the {value} of each of these: {people}?",
}


def question(rng: np.random.Generator, hard: bool) -> WorkflowTask | None:
    """A value of several people, who are described by their relations to people with names."""
    value = pick(rng, list(_VALUES))
    names = pick(rng, LITERALS["person"], 2)
    needs: dict[str, list[str]] = {}
    people: list[str] = []
    for k in range(2 + (hard and int(rng.integers(2)))):
        # The second description may go on where the first one ended, so that they share a link.
        person = people[-1] if people and rng.random() < 0.4 else names[k % 2]
        known = person in people
        links = pick(rng, _RELATIONS, 1 if known else int(rng.integers(1, 3 + hard)))
        before = [f"find {person}"] if known else []
        for relation in links:
            person = f"the {relation} of {person}"
            needs[f"find {person}"] = before
            before = [f"find {person}"]
        needs[f"look up the {value} of {person}"] = before
        people.append(person)
    if len(set(people)) < len(people):
        return None
    verb = pick(rng, list(_ASKED))
    needs[f"{verb} the {_VALUES[value]}"] = [f"look up the {value} of {person}" for person in people]
    if not (6 <= len(needs) <= 7 if hard else 5 <= len(needs) <= 6):
        return None
    described = (" and " if len(people) == 2 else "; ").join(pick(rng, people, len(people)))
    asked = _ASKED[verb].format(value=value, people=described)
    return plan_task(_QUESTION, f"Question: {asked}\n\n{_OPERATIONS}", needs, "question")


# Tables --------------------------------------------------------------------------------------------------------------

_TABLE = f"""\
You plan how a question to a database is answered. You write the steps and the order between them, as a graph.

Rules:
- A condition filters the table that has its column: filter orders where status is paid. It is the first step with \
that table. There is at most one condition a table.
- Only the tables that the question needs are used: those with a condition, those with a column that it names, and \
those that link them. Tables are joined in the order in which they are listed: join orders to customers is the step \
that adds orders to customers; where customers was joined to another table before, it needs that join. A join also \
needs the filter of each of its two tables, unless the filter was needed by the join before.
- After all joins, a number is computed for each group: compute the total price per category. This needs the last join.
- If the question wants an order: sort by total price, largest first (or smallest first). This needs the number.
- If it wants only some groups: keep the first 3. This needs the sorting.
- The text of a node is written as in these examples, with the words of the question and the tables.
{_RULES}"""


@dataclass(frozen=True, slots=True)
class _Database:
    """Tables in a line, each linked to the one before it.

    Attributes:
        tables: Names, in the order of the list.
        columns: Of each table: those to group by, each with values for a condition.
        numbers: Of each table: columns with numbers.
    """

    tables: tuple[str, str, str]
    columns: tuple[dict[str, tuple[str, ...]], ...]
    numbers: tuple[tuple[str, ...], ...]


_DATABASES = (
    _Database(
        ("customers", "orders", "products"),
        (
            {"city": LITERALS["city"], "language": LITERALS["language"]},
            {"status": ("paid", "open", "returned", "cancelled"), "channel": ("web", "phone", "shop", "partner")},
            {"category": LITERALS["product"], "supplier": LITERALS["company"]},
        ),
        (("age",), ("amount", "discount"), ("price", "weight")),
    ),
    _Database(
        ("schools", "students", "exams"),
        (
            {"town": LITERALS["city"], "sponsor": LITERALS["company"]},
            {"mother tongue": LITERALS["language"], "tutor": LITERALS["person"]},
            {"subject": LITERALS["topic"], "result": ("passed", "failed", "absent", "excused")},
        ),
        (("budget",), ("age", "height"), ("points", "duration")),
    ),
    _Database(
        ("branches", "readers", "loans"),
        (
            {"place": LITERALS["city"], "manager": LITERALS["person"]},
            {"membership": ("junior", "student", "family", "senior"), "employer": LITERALS["company"]},
            {"theme": LITERALS["topic"], "state": ("lent", "late", "lost", "reserved")},
        ),
        (("rent",), ("age", "income"), ("fee", "days")),
    ),
    _Database(
        ("airports", "flights", "bookings"),
        (
            {"location": LITERALS["city"], "operator": LITERALS["company"]},
            {"captain": LITERALS["person"], "delay": ("none", "weather", "strike", "repair")},
            {"class": ("economy", "business", "first", "crew"), "product": LITERALS["product"]},
        ),
        (("area",), ("distance", "seats"), ("fare", "luggage")),
    ),
)


def table(rng: np.random.Generator, hard: bool) -> WorkflowTask | None:
    """Tables are filtered and joined, a number is computed for each group, and perhaps sorted and cut."""
    database = pick(rng, _DATABASES)
    used = [0, 1, 2] if hard or rng.random() < 0.3 else pick(rng, ([0, 1], [1, 2]))
    conditions: dict[int, tuple[str, str]] = {}
    for k in sorted(pick(rng, used, int(rng.integers(1 + hard, len(used) + 1)))):
        column = pick(rng, list(database.columns[k]))
        conditions[k] = (column, pick(rng, database.columns[k][column]))
    last, first = pick(rng, [used[0], used[-1]], 2)  # both ends are named, so that all tables between them are needed
    group = pick(rng, [c for c in database.columns[first] if conditions.get(first, ("",))[0] != c])
    number = pick(rng, database.numbers[last])
    needs: dict[str, list[str]] = {}
    filters = {}
    for k, (column, value) in conditions.items():
        filters[k] = f"filter {database.tables[k]} where {column} is {value}"
        needs[filters[k]] = []
    before = [filters[used[0]]] if used[0] in filters else []
    for a, b in zip(used, used[1:], strict=False):
        join = f"join {database.tables[b]} to {database.tables[a]}"
        needs[join] = [*before, *([filters[b]] if b in filters else [])]
        before = [join]
    measure = pick(rng, ("total", "average", "largest", "smallest"))
    compute = f"compute the {measure} {number} per {group}"
    needs[compute] = before
    asked = f"What is the {measure} {number} per {group}"
    where = [f"whose {column} is {value} ({database.tables[k]})" for k, (column, value) in conditions.items()]
    asked += f", counting only rows {' and '.join(pick(rng, where, len(where)))}?"
    ending = int(rng.integers(hard, 3))
    if ending:
        way = pick(rng, ("largest", "smallest"))
        needs[f"sort by {measure} {number}, {way} first"] = [compute]
        asked += f" Put the {way} first."
    if ending > 1:
        some = int(rng.integers(3, 10))
        needs[f"keep the first {some}"] = [f"sort by {measure} {number}, {way} first"]
        asked += f" Show only {some} of them."
    if not (6 <= len(needs) <= 7 if hard else 4 <= len(needs) <= 6) or len(conditions) < 2:
        return None
    schema = []
    for k, name in enumerate(database.tables):
        columns = [*database.columns[k], *database.numbers[k]]
        link = [f"{database.tables[k - 1]} id"] if k else []
        schema.append(f"- {name}: id, {', '.join([*pick(rng, columns, len(columns)), *link])}")
    lines = "\n".join(schema)
    return plan_task(_TABLE, f"Tables:\n{lines}\n\nQuestion: {asked}", needs, "table")


PROBLEMS = (question, table)

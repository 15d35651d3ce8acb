"""Made-up papers and their authors as two graphs, behind AgentBoard's academia tools."""

from __future__ import annotations

from random import Random
from typing import Any, Literal

from acenv.envs.tools.calls import Call
from acenv.envs.tools.services import wording
from acenv.envs.tools.services.academia_tasks import TEMPLATES
from acenv.envs.tools.services.database import Rows
from acenv.envs.tools.services.querying import QueryService, Session
from acenv.envs.tools.services.service import CHECK, FINISH, Refusal, Reply
from acenv.envs.tools.tooling import tool
from acenv.envs.tools.words import NOUNS

SCHEMA = """
CREATE TABLE paper (id INTEGER PRIMARY KEY, title TEXT UNIQUE, year INTEGER, venue TEXT, n_citation INTEGER,
    doc_type TEXT);
CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT UNIQUE, org TEXT);
CREATE TABLE wrote (paper INTEGER, author INTEGER, PRIMARY KEY (paper, author));
CREATE INDEX wrote_author ON wrote (author);
CREATE TABLE keyword (paper INTEGER, name TEXT);
CREATE TABLE cites (paper INTEGER, cited INTEGER, weight INTEGER, PRIMARY KEY (paper, cited));
"""

_NEEDS = {
    "paperNodeCheck": "PaperNet",
    "paperEdgeCheck": "PaperNet",
    "authorNodeCheck": "AuthorNet",
    "authorEdgeCheck": "AuthorNet",
}


# Tools ---------------------------------------------------------------------------------------------------------------


def loadPaperNet(s: Session) -> Any:
    """Load PaperNet: its nodes are papers, and an edge leads from a paper to one that it cites."""
    s.loaded.add("PaperNet")
    return "PaperNet is loaded."


def loadAuthorNet(s: Session) -> Any:
    """Load AuthorNet: its nodes are authors, and an edge joins two who wrote papers together."""
    s.loaded.add("AuthorNet")
    return "AuthorNet is loaded."


def neighbourCheck(s: Session, graph: Literal["PaperNet", "AuthorNet"], node: str) -> Any:
    """List the neighbours of a node: the papers that a paper cites, or those who wrote papers with an author."""
    if graph == "PaperNet":
        return s.data.column(
            "SELECT title FROM cites JOIN paper ON cited = id WHERE paper = ? ORDER BY cites.rowid", _paper(s, node)
        )
    return s.data.column(
        "SELECT name FROM author WHERE id IN (SELECT b.author FROM wrote a JOIN wrote b ON a.paper = b.paper "
        "WHERE a.author = ?1 AND b.author != ?1) ORDER BY id",
        _author(s, node),
    )


def paperNodeCheck(s: Session, node: str) -> Any:
    """Get the authors, year, venue, number of citations, keywords and type of a paper by its title."""
    number = _paper(s, node)
    row = s.data.first("SELECT year, venue, n_citation, doc_type FROM paper WHERE id = ?", number)
    assert row is not None
    return {
        "authors": s.data.column(
            "SELECT name FROM wrote JOIN author ON author = id WHERE paper = ? ORDER BY wrote.rowid", number
        ),
        "year": row[0],
        "venue": row[1],
        "n_citation": row[2],
        "keywords": s.data.column("SELECT name FROM keyword WHERE paper = ? ORDER BY rowid", number),
        "doc_type": row[3],
    }


def authorNodeCheck(s: Session, node: str) -> Any:
    """Get the name and organisation of an author by the name."""
    number = _author(s, node)
    row = s.data.first("SELECT name, org FROM author WHERE id = ?", number)
    assert row is not None
    return {"name": row[0], "org": row[1]}


def authorEdgeCheck(s: Session, node1: str, node2: str) -> Any:
    """Get the papers that two authors wrote together, and how many."""
    first, second = _author(s, node1), _author(s, node2)
    titles = s.data.column(
        "SELECT title FROM paper WHERE id IN (SELECT a.paper FROM wrote a JOIN wrote b ON a.paper = b.paper "
        "WHERE a.author = ? AND b.author = ?) ORDER BY id",
        first,
        second,
    )
    if first == second or not titles:
        raise Refusal(f"There is no edge between {node1} and {node2}.")
    return {"weight": len(titles), "collaborative_papers": titles}


def paperEdgeCheck(s: Session, node1: str, node2: str) -> Any:
    """Get how many times the first paper cites the second one in its text."""
    row = s.data.first("SELECT weight FROM cites WHERE paper = ? AND cited = ?", _paper(s, node1), _paper(s, node2))
    if row is None:
        raise Refusal(f"There is no edge from {node1} to {node2}.")
    return {"weight": row[0]}


def _paper(s: Session, title: str) -> int:
    row = s.data.first("SELECT id FROM paper WHERE title = ?", title)
    if row is None:
        raise Refusal(f"There is no node named {title[:80]} in the PaperNet.")
    return int(row[0])


def _author(s: Session, name: str) -> int:
    row = s.data.first("SELECT id FROM author WHERE name = ?", name)
    if row is None:
        raise Refusal(f"There is no node named {name[:80]} in the AuthorNet.")
    return int(row[0])


# The service ---------------------------------------------------------------------------------------------------------


class AcademiaService(QueryService):
    """A graph of papers that cite each other, and a graph of authors who write together."""

    name = "academia"
    notes = "A graph must be loaded before its nodes and edges can be looked at: loadPaperNet, loadAuthorNet."
    schema = SCHEMA
    own = frozenset({"loadPaperNet", "loadAuthorNet"})
    easy_tools = ("loadPaperNet", "loadAuthorNet", "paperNodeCheck", "authorNodeCheck", "authorEdgeCheck")
    templates = TEMPLATES
    tools = {
        spec.name: spec
        for spec in (
            tool(loadPaperNet),
            tool(loadAuthorNet),
            tool(neighbourCheck),
            tool(paperNodeCheck),
            tool(authorNodeCheck),
            tool(authorEdgeCheck),
            tool(paperEdgeCheck),
            CHECK,
            FINISH,
        )
    }

    def respond(self, world: Session, call: Call) -> Reply:
        """As every query service, once the graph is loaded."""
        graph = _NEEDS.get(call.name) or call.arguments.get("graph")
        if call.name not in self.own and call.name != FINISH.name and graph not in world.loaded:
            raise Refusal(f"Please load the {graph} first.")
        return super().respond(world, call)

    def fill(self, r: Random, *, plain: bool) -> Rows:
        """Groups of authors who mostly write with each other, and papers that cite older ones of their field."""
        count = 40 if plain else 60
        titles = wording.distinct(r, wording.plain_title if plain else wording.paper, count)
        names = wording.distinct(r, wording.plain_person if plain else wording.person, 40)
        orgs = wording.distinct(r, wording.plain_town if plain else wording.organisation, 40 if plain else 7)
        venues = r.sample(NOUNS, 20) if plain else wording.distinct(r, wording.venue, 7)
        keywords = r.sample(NOUNS, 14)
        rows: dict[str, list[tuple[Any, ...]]] = {"paper": [], "wrote": [], "keyword": [], "cites": []}
        rows["author"] = [(i, name, r.choice(orgs)) for i, name in enumerate(names, 1)]
        groups = [list(range(1 + i, len(names) + 1, 5)) for i in range(5)]
        for number, title in enumerate(titles, 1):
            year = 1990 + number * 33 // count + r.randrange(2)
            kind = r.choice(("Journal", "Conference", "Workshop"))
            rows["paper"].append((number, title, year, r.choice(venues), r.randrange(1, 400), kind))
            group = r.choice(groups)
            authors = r.sample(group, 2 if plain else r.randrange(2, 5))
            if not plain and r.random() < 0.4:
                authors.append(r.choice([a for a in range(1, len(names) + 1) if a not in authors]))
            r.shuffle(authors)
            rows["wrote"] += [(number, a) for a in authors]
            rows["keyword"] += [(number, k) for k in r.sample(keywords, 1 if plain else r.randrange(2, 5))]
            older = range(max(1, number - 16), number)
            cited = r.sample(older, min(len(older), 1 if plain else r.randrange(3, 9)))
            rows["cites"] += [(number, c, r.randrange(1, 8)) for c in cited]
        return rows

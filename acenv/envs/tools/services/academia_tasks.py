"""Questions about papers and authors: each writes the calls that answer it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from acenv.envs.base import Difficulty
from acenv.envs.tools.services.querying import Script, Template, only, require
from acenv.envs.tools.services.wording import listed


def papers(s: Script, count: int) -> list[str]:
    """Titles of different papers."""
    return list(s.r.sample(s.data.column("SELECT title FROM paper ORDER BY id"), count))


def paper_citing(s: Script, fewest: int, most: int) -> str:
    """The title of a paper that cites so many others."""
    titles = s.data.column(
        "SELECT title FROM paper JOIN cites ON id = paper GROUP BY id HAVING COUNT(*) BETWEEN ? AND ? ORDER BY id",
        fewest,
        most,
    )
    require(titles)
    return str(s.r.choice(titles))


def coauthors(s: Script, fewest: int, most: int) -> tuple[str, str]:
    """Two who wrote so many papers together."""
    rows = s.data.rows(
        "SELECT p.name, q.name FROM wrote a JOIN wrote b ON a.paper = b.paper AND a.author != b.author "
        "JOIN author p ON p.id = a.author JOIN author q ON q.id = b.author "
        "GROUP BY p.id, q.id HAVING COUNT(*) BETWEEN ? AND ? ORDER BY p.id, q.id",
        fewest,
        most,
    )
    require(rows)
    first, second = s.r.choice(rows)
    return str(first), str(second)


def author_with(s: Script, fewest: int, most: int) -> str:
    """An author with so many coauthors."""
    names = s.data.column(
        "SELECT name FROM author JOIN (SELECT a.author AS one, COUNT(DISTINCT b.author) AS others FROM wrote a "
        "JOIN wrote b ON a.paper = b.paper AND a.author != b.author GROUP BY a.author) ON id = one "
        "WHERE others BETWEEN ? AND ? ORDER BY id",
        fewest,
        most,
    )
    require(names)
    return str(s.r.choice(names))


def cited_by(s: Script, title: str) -> list[str]:
    """Load the graph of papers, and list what a paper cites."""
    s.ask("loadPaperNet")
    return list(s.ask("neighbourCheck", graph="PaperNet", node=title))


def colleagues_of(s: Script, name: str) -> list[str]:
    """Load the graph of authors, and list those who wrote with an author."""
    s.ask("loadAuthorNet")
    return list(s.ask("neighbourCheck", graph="AuthorNet", node=name))


def nodes(s: Script, titles: Sequence[str]) -> list[dict[str, Any]]:
    """Look at papers, one after the other."""
    return [s.ask("paperNodeCheck", node=title) for title in titles]


def quoted(titles: Sequence[str]) -> str:
    """Titles as a list in a question."""
    return listed([f'"{title}"' for title in titles])


# Easy: a value of the last result is the answer ----------------------------------------------------------------------


def _easy_paper(s: Script) -> str:
    title = papers(s, 1)[0]
    word, field = s.r.choice((("year", "year"), ("venue", "venue"), ("type", "doc_type")))
    s.ask("loadPaperNet")
    s.answer(s.ask("paperNodeCheck", node=title)[field])
    return f"Find the {word} of the paper {title}."


def _easy_org(s: Script) -> str:
    name = str(s.r.choice(s.data.column("SELECT name FROM author ORDER BY id")))
    s.ask("loadAuthorNet")
    s.answer(s.ask("authorNodeCheck", node=name)["org"])
    return f"Find the organisation of {name}."


def _easy_together(s: Script) -> str:
    pair = coauthors(s, 1, 1)
    s.ask("loadAuthorNet")
    s.answer(s.ask("authorEdgeCheck", node1=pair[0], node2=pair[1])["collaborative_papers"][0])
    return f"Find the paper of {pair[0]} and {pair[1]}."


# Medium --------------------------------------------------------------------------------------------------------------


def _shared_colleagues(s: Script) -> str:
    pair = coauthors(s, 1, 9)
    found = [colleagues_of(s, name) for name in pair]
    count = len(set(found[0]) & set(found[1]))
    require(count)
    s.answer(count)
    return f"How many people have written papers both with {pair[0]} and with {pair[1]}? Answer with a number."


def _more_cited(s: Script) -> str:
    pair = papers(s, 2)
    s.ask("loadPaperNet")
    counts = [node["n_citation"] for node in nodes(s, pair)]
    s.answer(pair[only(counts, max(counts))])
    return f"Which of the papers {quoted(pair)} has more citations? Answer with the title."


def _venue_of_joint_paper(s: Script) -> str:
    pair = coauthors(s, 1, 1)
    word, field = s.r.choice((("At which venue", "venue"), ("In which year", "year")))
    s.ask("loadAuthorNet")
    title = s.ask("authorEdgeCheck", node1=pair[0], node2=pair[1])["collaborative_papers"][0]
    s.ask("loadPaperNet")
    s.answer(nodes(s, [title])[0][field])
    form = "the venue" if field == "venue" else "a number"
    return f"{word} did the only paper appear that {pair[0]} and {pair[1]} wrote together? Answer with {form}."


def _colleagues_at(s: Script) -> str:
    name = author_with(s, 2, 4)
    orgs = [s.ask("authorNodeCheck", node=other)["org"] for other in colleagues_of(s, name)]
    wanted = s.r.choice(sorted(orgs))
    s.answer(orgs.count(wanted))
    return f"How many of those who wrote papers with {name} work at {wanted}? Answer with a number."


def _most_cited_reference(s: Script) -> str:
    title = paper_citing(s, 3, 4)
    cited = cited_by(s, title)
    counts = [node["n_citation"] for node in nodes(s, cited)]
    s.answer(cited[only(counts, max(counts))])
    return f'Of the papers that "{title}" cites, which has the most citations? Answer with the title.'


def _cited_more_often(s: Script) -> str:
    title = paper_citing(s, 3, 9)
    cited = s.data.column(
        "SELECT title FROM paper WHERE id IN (SELECT cited FROM cites JOIN paper p "
        "ON p.id = cites.paper WHERE p.title = ?) ORDER BY id",
        title,
    )
    three = s.r.sample(cited, 3)
    s.ask("loadPaperNet")
    times = [s.ask("paperEdgeCheck", node1=title, node2=other)["weight"] for other in three]
    s.answer(three[only(times, max(times))])
    return f'Which of {quoted(three)} does the paper "{title}" cite most often in its text? Answer with the title.'


def _shared_references(s: Script) -> str:
    rows = s.data.rows(
        "SELECT p.title, q.title FROM cites a JOIN cites b ON a.cited = b.cited AND a.paper < b.paper "
        "JOIN paper p ON p.id = a.paper JOIN paper q ON q.id = b.paper GROUP BY 1, 2 ORDER BY 1, 2"
    )
    pair = list(s.r.choice(rows))
    found = [cited_by(s, title) for title in pair]
    shared = sorted(set(found[0]) & set(found[1]))
    if len(shared) == 1:
        s.answer(shared[0])
        return f"Which paper is cited both by {quoted(pair)}? Answer with the title."
    s.answer(len(shared))
    return f"How many papers are cited both by {quoted(pair)}? Answer with a number."


def _closer_colleague(s: Script) -> str:
    name = author_with(s, 2, 20)
    others = s.r.sample(
        s.data.column(
            "SELECT DISTINCT q.name FROM wrote a JOIN wrote b ON a.paper = b.paper AND a.author != b.author "
            "JOIN author p ON p.id = a.author JOIN author q ON q.id = b.author WHERE p.name = ? ORDER BY q.name",
            name,
        ),
        2,
    )
    s.ask("loadAuthorNet")
    weights = [s.ask("authorEdgeCheck", node1=name, node2=other)["weight"] for other in others]
    s.answer(others[only(weights, max(weights))])
    return f"With whom did {name} write more papers, with {others[0]} or with {others[1]}? Answer with the name."


def _oldest_paper(s: Script) -> str:
    three = papers(s, 3)
    s.ask("loadPaperNet")
    years = [node["year"] for node in nodes(s, three)]
    s.answer(three[only(years, min(years))])
    return f"Which of the papers {quoted(three)} is the oldest? Answer with the title."


# Hard ----------------------------------------------------------------------------------------------------------------


def _closest_colleague(s: Script) -> str:
    name = author_with(s, 4, 9)
    others = colleagues_of(s, name)
    weights = [s.ask("authorEdgeCheck", node1=name, node2=other)["weight"] for other in others]
    s.answer(others[only(weights, max(weights))])
    return f"With whom did {name} write most papers? Answer with the name."


def _shared_colleagues_at(s: Script) -> str:
    pair = coauthors(s, 1, 9)
    found = [colleagues_of(s, name) for name in pair]
    shared = [name for name in found[0] if name in found[1]]
    require(len(shared) >= 2)
    orgs = [s.ask("authorNodeCheck", node=name)["org"] for name in shared]
    wanted = s.r.choice(sorted(orgs))
    s.answer(orgs.count(wanted))
    return (
        f"How many of those who wrote papers both with {pair[0]} and with {pair[1]} work at {wanted}? "
        "Answer with a number."
    )


def _oldest_reference(s: Script) -> str:
    title = paper_citing(s, 4, 8)
    cited = cited_by(s, title)
    found = nodes(s, cited)
    years = [node["year"] for node in found]
    s.answer(found[only(years, min(years))]["venue"])
    return f'Where did the oldest of the papers appear that "{title}" cites? Answer with the venue.'


def _citations_together(s: Script) -> str:
    pair = coauthors(s, 2, 7)
    s.ask("loadAuthorNet")
    titles = s.ask("authorEdgeCheck", node1=pair[0], node2=pair[1])["collaborative_papers"]
    s.ask("loadPaperNet")
    s.answer(sum(node["n_citation"] for node in nodes(s, titles)))
    return (
        f"How many citations do the papers that {pair[0]} and {pair[1]} wrote together have in total? "
        "Answer with a number."
    )


def _references_at(s: Script) -> str:
    title = paper_citing(s, 4, 8)
    found = nodes(s, cited_by(s, title))
    word, field = s.r.choice((("at", "venue"), ("as", "doc_type")))
    values = [node[field] for node in found]
    wanted = s.r.choice(sorted(values))
    s.answer(values.count(wanted))
    where = f"at the venue {wanted!r}" if word == "at" else f"as document type {wanted!r}"
    return f'How many of the papers that "{title}" cites appeared {where}? Answer with a number.'


def _home_of_the_first_author(s: Script) -> str:
    title = paper_citing(s, 3, 7)
    found = nodes(s, cited_by(s, title))
    counts = [node["n_citation"] for node in found]
    first = found[only(counts, max(counts))]["authors"][0]
    s.ask("loadAuthorNet")
    s.answer(s.ask("authorNodeCheck", node=first)["org"])
    return (
        f'Of the papers that "{title}" cites, take the one with the most citations. Where does its first author work? '
        "Answer with the organisation."
    )


def _newest_shared_reference(s: Script) -> str:
    rows = s.data.rows(
        "SELECT p.title, q.title FROM cites a JOIN cites b ON a.cited = b.cited AND a.paper < b.paper "
        "JOIN paper p ON p.id = a.paper JOIN paper q ON q.id = b.paper GROUP BY 1, 2 "
        "HAVING COUNT(*) BETWEEN 2 AND 6 ORDER BY 1, 2"
    )
    require(rows)
    pair = list(s.r.choice(rows))
    found = [cited_by(s, title) for title in pair]
    shared = [title for title in found[0] if title in found[1]]
    years = [node["year"] for node in nodes(s, shared)]
    s.answer(shared[only(years, max(years))])
    return f"Which is the newest of the papers that are cited both by {quoted(pair)}? Answer with the title."


def _references_with_keyword(s: Script) -> str:
    title = paper_citing(s, 4, 8)
    keywords = [node["keywords"] for node in nodes(s, cited_by(s, title))]
    wanted = s.r.choice(sorted({k for several in keywords for k in several}))
    s.answer(sum(wanted in several for several in keywords))
    return f'How many of the papers that "{title}" cites have the keyword {wanted!r}? Answer with a number.'


TEMPLATES: dict[Difficulty, tuple[Template, ...]] = {
    "easy": (_easy_paper, _easy_paper, _easy_org, _easy_together),
    "medium": (
        *(_shared_colleagues, _more_cited, _venue_of_joint_paper, _colleagues_at, _most_cited_reference),
        *(_cited_more_often, _shared_references, _closer_colleague, _oldest_paper),
    ),
    "hard": (
        *(_closest_colleague, _shared_colleagues_at, _oldest_reference, _citations_together, _references_at),
        *(_home_of_the_first_author, _newest_shared_reference, _references_with_keyword),
    ),
}

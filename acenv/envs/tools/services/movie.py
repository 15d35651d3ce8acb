"""Made-up films and the people who made them, behind AgentBoard's movie tools."""

from __future__ import annotations

from random import Random
from typing import Any

from acenv.envs.tools.services import wording
from acenv.envs.tools.services.database import Rows
from acenv.envs.tools.services.movie_tasks import TEMPLATES
from acenv.envs.tools.services.querying import QueryService, Session
from acenv.envs.tools.services.service import CHECK, FINISH, Refusal
from acenv.envs.tools.tooling import ToolError, tool
from acenv.envs.tools.words import ADJECTIVES, NOUNS

SHOWN = 10
"""AgentBoard's tools show the first ten of a cast, of a crew, and of a person's films."""

_NOT_COMPARED = ("overview", "biography", "vote_average", "genres", "revenue", "budget", "release_date")
_GENRES = (
    "Adventure",
    "Comedy",
    "Crime",
    "Drama",
    "Family",
    "Fantasy",
    "History",
    "Music",
    "Mystery",
    "Romance",
    "War",
)
_LANGUAGES = (
    ("NL", "nl", "Nederlands", "Dutch"),
    ("CN", "zh", "Zhongwen", "Chinese"),
    ("US", "en", "English", "English"),
    ("DE", "de", "Deutsch", "German"),
)
_LEADING = ("Director", "Producer", "Writer")
_OTHERS = ("Editor", "Composer", "Costume Designer", "Sound Designer")

SCHEMA = """
CREATE TABLE movie (id INTEGER PRIMARY KEY, title TEXT, overview TEXT, budget INTEGER, revenue INTEGER,
    vote_average REAL, release_date TEXT);
CREATE TABLE genre (movie INTEGER, name TEXT);
CREATE TABLE company (id INTEGER PRIMARY KEY, name TEXT, country TEXT);
CREATE TABLE movie_company (movie INTEGER, company INTEGER);
CREATE TABLE movie_country (movie INTEGER, code TEXT);
CREATE TABLE keyword (movie INTEGER, name TEXT);
CREATE TABLE other_title (movie INTEGER, code TEXT, title TEXT, type TEXT);
CREATE TABLE translation (movie INTEGER, code TEXT, language TEXT, name TEXT, english_name TEXT, tagline TEXT);
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, biography TEXT, birthday TEXT, place_of_birth TEXT,
    imdb_id TEXT, facebook_id TEXT, instagram_id TEXT, twitter_id TEXT);
CREATE TABLE part (movie INTEGER, person INTEGER, character TEXT);
CREATE TABLE job (movie INTEGER, person INTEGER, job TEXT);
CREATE INDEX part_movie ON part (movie);
CREATE INDEX part_person ON part (person);
CREATE INDEX job_movie ON job (movie);
CREATE INDEX job_person ON job (person);
"""

Id = int | str
"""AgentBoard's tools take ids as text, and show them as numbers."""


# Tools ---------------------------------------------------------------------------------------------------------------


def get_search_movie(s: Session, movie_name: str) -> Any:
    """Find the film that fits a name best, with its id."""
    found = _search(s, "SELECT id, overview, title FROM movie WHERE title", "title", movie_name)
    if found is None:
        raise ToolError(f"No film fits {movie_name[:80]!r}.")
    return [{"id": found[0], "overview": found[1], "title": found[2]}]


def get_search_person(s: Session, person_name: str) -> Any:
    """Find the person that fits a name best, with the person's id."""
    found = _search(s, "SELECT id, name FROM person WHERE name", "name", person_name)
    return [] if found is None else [{"id": found[0], "name": found[1]}]


def get_movie_details(s: Session, movie_id: Id) -> Any:
    """Get the title, budget, genres, revenue, average vote and release date of a film."""
    number = _movie(s, movie_id)
    row = s.data.first("SELECT title, budget, revenue, vote_average, release_date FROM movie WHERE id = ?", number)
    assert row is not None
    genres = [{"name": name} for name in s.data.column("SELECT name FROM genre WHERE movie = ? ORDER BY rowid", number)]
    return {
        "title": row[0],
        "budget": row[1],
        "genres": genres,
        "revenue": row[2],
        "vote_average": row[3],
        "release_date": row[4],
    }


def get_movie_production_companies(s: Session, movie_id: Id) -> Any:
    """Get the companies that produced a film."""
    rows = s.data.rows(
        "SELECT id, name, country FROM movie_company JOIN company ON company = id WHERE movie = ? "
        "ORDER BY movie_company.rowid",
        _movie(s, movie_id),
    )
    return {"production_companies": [{"id": i, "name": n, "origin_country": c} for i, n, c in rows]}


def get_movie_production_countries(s: Session, movie_id: Id) -> Any:
    """Get the countries that a film was produced in."""
    codes = s.data.column("SELECT code FROM movie_country WHERE movie = ? ORDER BY rowid", _movie(s, movie_id))
    return {"production_countries": [{"iso_3166_1": c, "name": wording.COUNTRIES[c]} for c in codes]}


def get_movie_cast(s: Session, movie_id: Id) -> Any:
    """Get the actors of a film and whom they play."""
    rows = s.data.rows(
        "SELECT id, name, character FROM part JOIN person ON person = id WHERE movie = ? ORDER BY part.rowid LIMIT ?",
        _movie(s, movie_id),
        SHOWN,
    )
    return {"cast": [{"id": i, "name": n, "character": c} for i, n, c in rows]}


def get_movie_crew(s: Session, movie_id: Id) -> Any:
    """Get the director, producer, writer and others who made a film."""
    rows = s.data.rows(
        "SELECT id, name, job FROM job JOIN person ON person = id WHERE movie = ? ORDER BY job.rowid LIMIT ?",
        _movie(s, movie_id),
        SHOWN,
    )
    return {"crew": [{"id": i, "name": n, "job": j} for i, n, j in rows]}


def get_movie_keywords(s: Session, movie_id: Id) -> Any:
    """Get the keywords of a film."""
    return {"keywords": s.data.column("SELECT name FROM keyword WHERE movie = ? ORDER BY rowid", _movie(s, movie_id))}


def get_person_details(s: Session, person_id: Id) -> Any:
    """Get the name, biography, birthday and place of birth of a person."""
    return _person_fields(s, person_id, ("name", "biography", "birthday", "place_of_birth"))


def get_person_cast(s: Session, person_id: Id) -> Any:
    """Get the films that a person plays in."""
    rows = s.data.rows(
        "SELECT id, title, character FROM part JOIN movie ON movie = id WHERE person = ? ORDER BY part.rowid LIMIT ?",
        _person(s, person_id),
        SHOWN,
    )
    return {"cast": [{"id": i, "title": t, "character": c} for i, t, c in rows]}


def get_person_crew(s: Session, person_id: Id) -> Any:
    """Get the films that a person worked on behind the camera, and the jobs."""
    rows = s.data.rows(
        "SELECT id, title, job FROM job JOIN movie ON movie = id WHERE person = ? ORDER BY job.rowid LIMIT ?",
        _person(s, person_id),
        SHOWN,
    )
    return {"crew": [{"id": i, "title": t, "job": j} for i, t, j in rows]}


def get_person_external_ids(s: Session, person_id: Id) -> Any:
    """Get the ids of a person at other sites."""
    return _person_fields(s, person_id, ("imdb_id", "facebook_id", "instagram_id", "twitter_id"))


def get_movie_alternative_titles(s: Session, movie_id: Id) -> Any:
    """Get the titles of a film in other countries."""
    number = _movie(s, movie_id)
    rows = s.data.rows("SELECT code, title, type FROM other_title WHERE movie = ? ORDER BY rowid", number)
    return {"id": number, "titles": [{"iso_3166_1": c, "title": t, "type": k} for c, t, k in rows]}


def get_movie_translation(s: Session, movie_id: Id) -> Any:
    """Get what is said about a film in other languages."""
    number = _movie(s, movie_id)
    rows = s.data.rows(
        "SELECT code, language, name, english_name, tagline FROM translation WHERE movie = ? ORDER BY rowid", number
    )
    translations = [
        {"iso_3166_1": c, "iso_639_1": i, "name": n, "english_name": e, "data": {"tagline": t}}
        for c, i, n, e, t in rows
    ]
    return {"id": number, "translations": translations}


def _search(s: Session, select: str, column: str, name: str) -> tuple[Any, ...] | None:
    """The exact name; else the first one that starts with the text, or else holds it."""
    name = name.strip()
    if not name:
        return None
    pattern = name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    found = s.data.first(f"{select} = ? COLLATE NOCASE ORDER BY id", name)
    for like in (f"{pattern}%", f"%{pattern}%"):
        found = found or s.data.first(f"{select} LIKE ? ESCAPE '\\' ORDER BY length({column}), id", like)
    return found


def _number(given: Id) -> int:
    """An id as a number; 0, which is nobody's, where it is none."""
    if isinstance(given, str):
        given = given.strip()
        return int(given) if given.isascii() and given.isdigit() and len(given) < 16 else 0
    return int(given) if 0 < given < 2**53 else 0  # JSON Schema counts 7.0 as an integer.


def _movie(s: Session, given: Id) -> int:
    number = _number(given)
    if s.data.first("SELECT id FROM movie WHERE id = ?", number) is None:
        raise Refusal(f"There is no film with the id {str(given)[:40]}.")
    return number


def _person(s: Session, given: Id) -> int:
    number = _number(given)
    if s.data.first("SELECT id FROM person WHERE id = ?", number) is None:
        raise Refusal(f"There is no person with the id {str(given)[:40]}.")
    return number


def _person_fields(s: Session, given: Id, fields: tuple[str, ...]) -> dict[str, Any]:
    row = s.data.first(f"SELECT {', '.join(fields)} FROM person WHERE id = ?", _person(s, given))
    assert row is not None
    return dict(zip(fields, row, strict=True))


# The service ---------------------------------------------------------------------------------------------------------


class MovieService(QueryService):
    """Films with casts, crews, companies, countries, keywords and titles, and people with their films."""

    name = "movie"
    notes = "Films and people have ids: get_search_movie and get_search_person find them."
    schema = SCHEMA
    own = frozenset()
    easy_tools = (
        *("get_search_movie", "get_movie_details", "get_movie_cast", "get_movie_crew", "get_movie_keywords"),
        *("get_search_person", "get_person_details"),
    )
    templates = TEMPLATES
    tools = {
        spec.name: spec
        for spec in (
            tool(get_search_movie),
            tool(get_movie_details),
            tool(get_movie_production_companies),
            tool(get_movie_production_countries),
            tool(get_movie_cast),
            tool(get_movie_crew),
            tool(get_movie_keywords),
            tool(get_search_person),
            tool(get_person_details),
            tool(get_person_cast),
            tool(get_person_crew),
            tool(get_person_external_ids),
            tool(get_movie_alternative_titles),
            tool(get_movie_translation),
            CHECK,
            FINISH,
        )
    }

    def fill(self, r: Random, *, plain: bool) -> Rows:
        """Films in which the same few people turn up again and again, so that their work overlaps."""
        titles = wording.distinct(r, wording.plain_title if plain else wording.film, 40)
        names = wording.distinct(r, wording.plain_person if plain else wording.person, 40)
        ids = r.sample(range(100, 1000) if plain else range(1000, 100_000), len(titles) + len(names))
        movies, people = ids[: len(titles)], ids[len(titles) :]
        companies = r.sample(range(100, 1000), 9)
        codes = list(wording.COUNTRIES)
        rows: dict[str, list[tuple[Any, ...]]] = {
            "company": [
                (i, name, r.choice(codes))
                for i, name in zip(companies, wording.distinct(r, wording.company, 9), strict=True)
            ],
            "person": [self._person_row(r, i, name, plain) for i, name in zip(people, names, strict=True)],
        }
        for table in ("movie", "genre", "movie_company", "movie_country", "keyword", "other_title", "translation"):
            rows[table] = []
        rows["part"], rows["job"] = [], []
        keywords = r.sample(NOUNS, 24)
        circles = [people[i::4] for i in range(4)]  # People mostly work with those of their own circle.
        for movie, title in zip(movies, titles, strict=True):
            pool = r.choice(circles) + r.sample(people, 3)
            several = 1 if plain else None
            budget, revenue = r.randrange(10, 1500) * 100_000, r.randrange(10, 4000) * 100_000
            overview = f"The story of the {r.choice(ADJECTIVES)} {r.choice(NOUNS)} and the {r.choice(NOUNS)}."
            rows["movie"].append(
                (
                    movie,
                    title,
                    r.choice(ADJECTIVES) if plain else overview,
                    budget // 100_000 if plain else budget,
                    revenue // 100_000 if plain else revenue,
                    r.randrange(31, 93) / 10,
                    wording.day(r, 1970, 2023),
                )
            )
            rows["genre"] += [(movie, g) for g in r.sample(_GENRES, several or r.randrange(1, 4))]
            rows["movie_company"] += [(movie, c) for c in r.sample(companies, several or r.randrange(1, 4))]
            rows["movie_country"] += [(movie, c) for c in r.sample(codes, several or r.randrange(1, 4))]
            rows["keyword"] += [(movie, k) for k in r.sample(keywords, several or r.randrange(3, 7))]
            rows["other_title"] += [
                (movie, c, wording.film(r), r.choice(("", "working title"))) for c in r.sample(codes, r.randrange(2, 5))
            ]
            rows["translation"] += [
                (
                    movie,
                    *language,
                    f"{r.choice(ADJECTIVES)} {r.choice(NOUNS)}, {r.choice(ADJECTIVES)} {r.choice(NOUNS)}",
                )
                for language in r.sample(_LANGUAGES, r.randrange(2, 5))
            ]
            rows["part"] += [
                (movie, p, r.choice(NOUNS) if plain else wording.person(r))
                for p in r.sample(sorted(set(pool)), several or r.randrange(3, 8))
            ]
            jobs = _LEADING[:1] if plain else _LEADING + tuple(r.sample(_OTHERS, r.randrange(1, 3)))
            rows["job"] += [(movie, r.choice(pool), job) for job in jobs]
        return rows

    def subgoal(self, result: Any) -> Any:
        """A result without what changes over time (``clean_observation`` in AgentBoard's movie tools)."""
        if isinstance(result, list):
            return [_clean(item) for item in result]
        return _clean(result)

    @staticmethod
    def _person_row(r: Random, number: int, name: str, plain: bool) -> tuple[Any, ...]:
        place = wording.plain_town(r) if plain else f"{wording.town(r)}, {r.choice(list(wording.COUNTRIES.values()))}"
        biography = r.choice(ADJECTIVES) if plain else f"Known for the {r.choice(ADJECTIVES)} {r.choice(NOUNS)}."
        handle = name.lower().replace(" ", r.choice((".", "_", "")))
        ids = (f"nm{r.randrange(10**6, 10**7)}", f"{handle}{r.randrange(100)}", handle, f"the_{handle}")
        return (number, name, biography, wording.day(r, 1930, 2000), place, *ids)


def _clean(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if key not in _NOT_COMPARED}

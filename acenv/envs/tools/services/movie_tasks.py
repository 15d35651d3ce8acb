"""Questions about films: each writes the calls that answer it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from acenv.envs.base import Difficulty
from acenv.envs.tools.services.querying import Script, Template, only, require
from acenv.envs.tools.services.wording import COUNTRIES, listed

FIELDS = {"budget": "budget", "revenue": "revenue", "average vote": "vote_average"}


def films(s: Script, count: int) -> list[str]:
    """Titles of different films."""
    return list(s.r.sample(s.data.column("SELECT title FROM movie ORDER BY id"), count))


def film(s: Script, title: str) -> int:
    """Find a film; its id."""
    return int(s.ask("get_search_movie", movie_name=title)[0]["id"])


def person(s: Script, name: str) -> int:
    """Find a person; the id."""
    return int(s.ask("get_search_person", person_name=name)[0]["id"])


def busy(s: Script, table: str, fewest: int, most: int) -> str:
    """The name of somebody with so many films, by parts or by jobs."""
    names = s.data.column(
        f"SELECT name FROM person JOIN (SELECT person, COUNT(*) AS jobs, COUNT(DISTINCT movie) AS movies FROM {table} "
        "GROUP BY person) ON person = id WHERE movies BETWEEN ? AND ? AND jobs = movies ORDER BY id",
        fewest,
        most,
    )
    require(names)
    return str(s.r.choice(names))


def colleagues(s: Script) -> tuple[str, str]:
    """Two who play in exactly one film together."""
    pairs = s.data.rows(
        "SELECT p.name, q.name FROM part a JOIN part b ON a.movie = b.movie AND a.person < b.person "
        "JOIN person p ON p.id = a.person JOIN person q ON q.id = b.person "
        "GROUP BY p.id, q.id HAVING COUNT(*) = 1 ORDER BY p.id, q.id"
    )
    first, second = s.r.choice(pairs)
    return str(first), str(second)


def shared(results: Sequence[dict[str, Any]], key: str = "cast") -> set[int]:
    """Ids that occur in all results."""
    return set.intersection(*({item["id"] for item in result[key]} for result in results))


def common_film(s: Script, pair: Sequence[str]) -> dict[str, Any]:
    """The one film that both play in."""
    casts = [s.ask("get_person_cast", person_id=person(s, name)) for name in pair]
    ids = shared(casts)
    require(len(ids) == 1)
    return next(item for item in casts[0]["cast"] if item["id"] in ids)


def who(s: Script, movie: int, job: str) -> dict[str, Any]:
    """Whoever had a job, once, in the crew of a film."""
    crew = [c for c in s.ask("get_movie_crew", movie_id=movie)["crew"] if c["job"] == job]
    require(len(crew) == 1)
    return dict(crew[0])


def details(s: Script, movie: int) -> dict[str, Any]:
    """The details of a film."""
    return dict(s.ask("get_movie_details", movie_id=movie))


# Easy: a value of the last result is the answer ----------------------------------------------------------------------


def _easy_id(s: Script) -> str:
    title = films(s, 1)[0]
    s.answer(film(s, title))
    return f"Find the id of {title}."


def _easy_director(s: Script) -> str:
    title = films(s, 1)[0]
    s.answer(who(s, film(s, title), "Director")["name"])
    return f"Find the director of {title}."


def _easy_actor(s: Script) -> str:
    title = films(s, 1)[0]
    s.answer(s.ask("get_movie_cast", movie_id=film(s, title))["cast"][0]["name"])
    return f"Find the actor of {title}."


def _easy_keyword(s: Script) -> str:
    title = films(s, 1)[0]
    s.answer(s.ask("get_movie_keywords", movie_id=film(s, title))["keywords"][0])
    return f"Find the keyword of {title}."


def _easy_detail(s: Script) -> str:
    title = films(s, 1)[0]
    word, field = s.r.choice((("budget", "budget"), ("revenue", "revenue"), ("release date", "release_date")))
    s.answer(details(s, film(s, title))[field])
    return f"Find the {word} of {title}."


def _easy_birth(s: Script) -> str:
    name = str(s.r.choice(s.data.column("SELECT name FROM person ORDER BY id")))
    word, field = s.r.choice((("birthday", "birthday"), ("place of birth", "place_of_birth")))
    s.answer(s.ask("get_person_details", person_id=person(s, name))[field])
    return f"Find the {word} of {name}."


def _easy_person_id(s: Script) -> str:
    name = str(s.r.choice(s.data.column("SELECT name FROM person ORDER BY id")))
    s.answer(person(s, name))
    return f"Find the id of {name}."


def _easy_character(s: Script) -> str:
    title = films(s, 1)[0]
    s.answer(s.ask("get_movie_cast", movie_id=film(s, title))["cast"][0]["character"])
    return f"Find the character of {title}."


# Medium --------------------------------------------------------------------------------------------------------------


def _larger_of_two(s: Script) -> str:
    pair = films(s, 2)
    word, field = s.r.choice(list(FIELDS.items()))
    values = [details(s, film(s, title))[field] for title in pair]
    s.answer(pair[only(values, max(values))])
    return f"Which has the larger {word}, the film {pair[0]!r} or the film {pair[1]!r}? Answer with the title."


def _birthday_of_maker(s: Script) -> str:
    title, job = films(s, 1)[0], s.r.choice(("Director", "Producer", "Writer"))
    s.answer(s.ask("get_person_details", person_id=who(s, film(s, title), job)["id"])["birthday"])
    return f"When was the {job.lower()} of the film {title!r} born? Answer with the date."


def _film_of_both(s: Script) -> str:
    pair = colleagues(s)
    s.answer(common_film(s, pair)["title"])
    return f"Which film do {pair[0]} and {pair[1]} both play in? Answer with the title."


def _maker_of_common_film(s: Script) -> str:
    pair, job = colleagues(s), s.r.choice(("director", "producer", "writer"))
    s.answer(who(s, common_film(s, pair)["id"], job.capitalize())["name"])
    return f"Who was the {job} of the film that {pair[0]} and {pair[1]} both play in? Answer with the name."


def _shared_cast(s: Script) -> str:
    pair = films(s, 2)
    count = len(shared([s.ask("get_movie_cast", movie_id=film(s, title)) for title in pair]))
    require(count)
    s.answer(count)
    return f"How many actors play both in {pair[0]!r} and in {pair[1]!r}? Answer with a number."


def _shared_company(s: Script) -> str:
    pair = films(s, 2)
    results = [s.ask("get_movie_production_companies", movie_id=film(s, title)) for title in pair]
    ids = shared(results, "production_companies")
    require(len(ids) == 1)
    s.answer(next(c["name"] for c in results[0]["production_companies"] if c["id"] in ids))
    return f"Which company produced both {pair[0]!r} and {pair[1]!r}? Answer with its name."


def _id_of_character(s: Script) -> str:
    title = films(s, 1)[0]
    part = s.r.choice(s.ask("get_movie_cast", movie_id=film(s, title))["cast"])
    site = s.r.choice(("imdb", "facebook", "instagram", "twitter"))
    s.answer(s.ask("get_person_external_ids", person_id=part["id"])[f"{site}_id"])
    return f"What is the {site} id of whoever plays {part['character']} in the film {title!r}? Answer with the id."


def _oldest_of_three(s: Script) -> str:
    three = films(s, 3)
    dates = [details(s, film(s, title))["release_date"] for title in three]
    s.answer(three[only(dates, min(dates))])
    return f"Which of the films {listed([repr(title) for title in three])} came out first? Answer with the title."


def _foreign_title(s: Script) -> str:
    name = busy(s, "job", 1, 6)
    crew = s.ask("get_person_crew", person_id=person(s, name))["crew"]
    jobs = [item["job"] for item in crew]
    item = crew[only(jobs, s.r.choice(jobs))]
    other = s.r.choice(s.ask("get_movie_alternative_titles", movie_id=item["id"])["titles"])
    s.answer(other["title"])
    return (
        f"{name} worked as {item['job'].lower()} on one film. What is the title of that film in "
        f"{COUNTRIES[other['iso_3166_1']]} ({other['iso_3166_1']})? Answer with the title."
    )


def _tagline(s: Script) -> str:
    pair = colleagues(s)
    found = s.r.choice(s.ask("get_movie_translation", movie_id=common_film(s, pair)["id"])["translations"])
    s.answer(found["data"]["tagline"])
    return (
        f"What is the tagline in {found['english_name']} of the film that {pair[0]} and {pair[1]} both play in? "
        "Answer with the tagline."
    )


# Hard ----------------------------------------------------------------------------------------------------------------


def _best_of_career(s: Script) -> str:
    name = busy(s, "part", 4, 8)
    cast = s.ask("get_person_cast", person_id=person(s, name))["cast"]
    word, field = s.r.choice(list(FIELDS.items()))
    values = [details(s, item["id"])[field] for item in cast]
    s.answer(cast[only(values, max(values))]["title"])
    return f"Of all films that {name} plays in, which has the largest {word}? Answer with the title."


def _home_of_director(s: Script) -> str:
    pair = colleagues(s)
    director = who(s, common_film(s, pair)["id"], "Director")
    s.answer(s.ask("get_person_details", person_id=director["id"])["place_of_birth"])
    return (
        f"{pair[0]} and {pair[1]} both play in one film. Where was its director born? "
        "Answer with the place as it is given."
    )


def _films_of_country(s: Script) -> str:
    name = busy(s, "part", 4, 8)
    cast = s.ask("get_person_cast", person_id=person(s, name))["cast"]
    countries = [
        [c["name"] for c in s.ask("get_movie_production_countries", movie_id=item["id"])["production_countries"]]
        for item in cast
    ]
    wanted = s.r.choice(sorted({c for several in countries for c in several}))
    s.answer(sum(wanted in several for several in countries))
    return (
        f"How many of the films that {name} plays in were produced in {wanted}, alone or "
        "with others? Answer with a number."
    )


def _cast_of_all_three(s: Script) -> str:
    rows = s.data.rows(
        "SELECT x.title, y.title, z.title FROM part a JOIN part b ON a.person = b.person AND a.movie < b.movie "
        "JOIN part c ON c.person = a.person AND b.movie < c.movie JOIN movie x ON x.id = a.movie "
        "JOIN movie y ON y.id = b.movie JOIN movie z ON z.id = c.movie GROUP BY 1, 2, 3 "
        "HAVING COUNT(*) = 1 ORDER BY 1, 2, 3"
    )
    require(rows)
    three = list(s.r.choice(rows))
    s.r.shuffle(three)
    casts = [s.ask("get_movie_cast", movie_id=film(s, title)) for title in three]
    ids = shared(casts)
    require(len(ids) == 1)
    s.answer(next(item["name"] for item in casts[0]["cast"] if item["id"] in ids))
    return f"Who plays in all three of the films {listed([repr(title) for title in three])}? Answer with the name."


def _youngest_actor(s: Script) -> str:
    title = films(s, 1)[0]
    cast = s.ask("get_movie_cast", movie_id=film(s, title))["cast"]
    days = [s.ask("get_person_details", person_id=item["id"])["birthday"] for item in cast]
    youngest = s.r.random() < 0.5
    s.answer(cast[only(days, max(days) if youngest else min(days))]["name"])
    return (
        f"Who is the {'youngest' if youngest else 'oldest'} of the actors of the film {title!r}? Answer with the name."
    )


def _total_budget(s: Script) -> str:
    name = busy(s, "job", 4, 8)
    crew = s.ask("get_person_crew", person_id=person(s, name))["crew"]
    budgets = [details(s, item["id"])["budget"] for item in crew]
    s.answer(sum(budgets))
    return f"What is the sum of the budgets of all films that {name} worked on behind the camera? Answer with a number."


def _company_of_most(s: Script) -> str:
    name = busy(s, "part", 4, 8)
    cast = s.ask("get_person_cast", person_id=person(s, name))["cast"]
    companies = [
        c["name"]
        for item in cast
        for c in s.ask("get_movie_production_companies", movie_id=item["id"])["production_companies"]
    ]
    names = sorted(set(companies))
    counts = [companies.count(c) for c in names]
    s.answer(names[only(counts, max(counts))])
    return f"Which company produced most of the films that {name} plays in? Answer with its name."


def _keyword_count(s: Script) -> str:
    name = busy(s, "part", 4, 8)
    cast = s.ask("get_person_cast", person_id=person(s, name))["cast"]
    keywords = [s.ask("get_movie_keywords", movie_id=item["id"])["keywords"] for item in cast]
    wanted = s.r.choice(sorted({k for several in keywords for k in several}))
    s.answer(sum(wanted in several for several in keywords))
    return f"How many of the films that {name} plays in have the keyword {wanted!r}? Answer with a number."


def _gains_of_three(s: Script) -> str:
    three = films(s, 3)
    found = [details(s, film(s, title)) for title in three]
    gains = [d["revenue"] - d["budget"] for d in found]
    at = only(gains, max(gains))
    s.answer([three[at], who(s, film(s, three[at]), "Director")["name"]])
    return (
        f"Which of the films {listed([repr(title) for title in three])} earned most, counting revenue less budget, "
        "and who directed it? Answer with a list of the title and the name."
    )


TEMPLATES: dict[Difficulty, tuple[Template, ...]] = {
    "easy": (
        *(_easy_id, _easy_director, _easy_actor, _easy_keyword, _easy_detail, _easy_birth, _easy_person_id),
        _easy_character,
    ),
    "medium": (
        *(_larger_of_two, _birthday_of_maker, _film_of_both, _maker_of_common_film, _shared_cast, _shared_company),
        *(_id_of_character, _oldest_of_three, _foreign_title, _tagline),
    ),
    "hard": (
        *(_best_of_career, _home_of_director, _films_of_country, _cast_of_all_three, _youngest_actor, _total_budget),
        *(_company_of_most, _keyword_count, _gains_of_three),
    ),
}

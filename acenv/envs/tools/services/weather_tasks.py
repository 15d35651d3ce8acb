"""Questions about the weather: each writes the calls that answer it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from acenv.envs.base import Difficulty
from acenv.envs.tools.services.querying import Script, Template, only, require
from acenv.envs.tools.services.wording import listed

HIGH, LOW, MEAN = "temperature_2m_max", "temperature_2m_min", "temperature_2m_mean"

Place = dict[str, Any]
"""A result of ``get_latitude_longitude``."""


def cities(s: Script, count: int) -> list[tuple[str, str]]:
    """Names and countries of different cities, the user's not among them; names may be shared with other cities."""
    rows = s.data.rows("SELECT name, country FROM city WHERE name != ? ORDER BY id", s.session.place)
    chosen: dict[str, tuple[str, str]] = {row[0]: row for row in s.r.sample(rows, 2 * count)}
    require(len(chosen) >= count)
    return list(chosen.values())[:count]


def say(s: Script, city: tuple[str, str]) -> str:
    """A city as questions name it: with its country, where there are several of the name."""
    count = s.data.column("SELECT COUNT(*) FROM city WHERE name = ?", city[0])[0]
    return city[0] if count == 1 else f"{city[0]} ({city[1]})"


def listing(s: Script, chosen: Sequence[tuple[str, str]]) -> str:
    """Cities as a list in a question."""
    return listed([say(s, city) for city in chosen])


def find(s: Script, city: tuple[str, str]) -> Place:
    """Look up a city; the one of the right country."""
    results = s.ask("get_latitude_longitude", name=city[0])["results"]
    place = next(p for p in results if p["country"] == city[1])
    return {"latitude": place["latitude"], "longitude": place["longitude"]}


def here(s: Script) -> Place:
    """Where the user is."""
    name = s.ask("get_user_current_location")
    return find(s, (name, s.data.column("SELECT country FROM city WHERE name = ?", name)[0]))


def today(s: Script) -> date:
    """Ask for the date."""
    return date.fromisoformat(s.ask("get_user_current_date"))


def span(now: date, first: int, last: int) -> dict[str, str]:
    """The dates of a span, counted in days from today."""
    return {
        "start_date": (now + timedelta(first)).isoformat(),
        "end_date": (now + timedelta(last)).isoformat(),
    }


def between(a: Place, b: Place) -> dict[str, float]:
    """The arguments of ``get_distance``."""
    return {
        "latitude1": a["latitude"],
        "longitude1": a["longitude"],
        "latitude2": b["latitude"],
        "longitude2": b["longitude"],
    }


# Easy: a value of the last result is the answer ----------------------------------------------------------------------


def _easy_elevation(s: Script) -> str:
    city = cities(s, 1)[0]
    s.answer(s.ask("get_elevation", **find(s, city))["elevation"][0])
    return f"Find the elevation of {city[0]}."


def _easy_elevation_at(s: Script) -> str:
    (latitude, longitude), *_ = s.r.sample(s.data.rows("SELECT latitude, longitude FROM city ORDER BY id"), 1)
    s.answer(s.ask("get_elevation", latitude=latitude, longitude=longitude)["elevation"][0])
    return f"Find the elevation at latitude {latitude} and longitude {longitude}."


def _easy_country(s: Script) -> str:
    city = cities(s, 1)[0]
    find(s, city)
    s.answer(city[1])
    return f"Find the country of {city[0]}."


def _easy_level(s: Script) -> str:
    index = s.r.randrange(3, 130)
    s.answer(s.ask("get_air_quality_level", air_quality_index=index))
    return f"Find the air quality level for {index}."


def _easy_location(s: Script) -> str:
    s.answer(s.ask("get_user_current_location"))
    return "Find my current location."


def _easy_date(s: Script) -> str:
    s.answer(s.ask("get_user_current_date"))
    return "Find the current date."


def _easy_latitude_here(s: Script) -> str:
    s.answer(s.ask("get_latitude_longitude", name=s.ask("get_user_current_location"))["results"][0]["latitude"])
    return "Find the latitude of my current location."


def _easy_latitude(s: Script) -> str:
    city = cities(s, 1)[0]
    s.answer(find(s, city)["latitude"])
    return f"Find the latitude of {city[0]}."


# Medium --------------------------------------------------------------------------------------------------------------


def _coldest_day(s: Script) -> str:
    days = s.r.randrange(4, 11)
    daily = s.ask("get_historical_temp", **_here_and_now(s, -days, -1))["daily"]
    s.answer(daily["time"][only(daily[LOW], min(daily[LOW]))])
    return f"On which of the last {days} days was it coldest in the city I am in, by the minimum? Answer with the date."


def _warmest_day_ahead(s: Script) -> str:
    days = s.r.randrange(4, 11)
    daily = s.ask("get_temp_forecast", **_here_and_now(s, 1, days))["daily"]
    s.answer(daily["time"][only(daily[HIGH], max(daily[HIGH]))])
    return (
        f"On which of the next {days} days will it be warmest in the city I am in, by the maximum? "
        "Answer with the date."
    )


def _rainy_days(s: Script) -> str:
    days, city = s.r.randrange(5, 15), cities(s, 1)[0]
    now = today(s)
    rain = s.ask("get_historical_rain", **find(s, city), **span(now, -days, -1))["daily"]["rain_sum"]
    require(any(rain))
    s.answer(sum(amount > 0 for amount in rain))
    return f"On how many of the last {days} days did it rain in {say(s, city)}? Answer with a number."


def _wetter_tomorrow(s: Script) -> str:
    pair, now = cities(s, 2), today(s)
    places = [find(s, city) for city in pair]
    rain = [s.ask("get_rain_forecast", **p, **span(now, 1, 1))["daily"]["rain_sum"][0] for p in places]
    s.answer(pair[only(rain, max(rain))][0])
    return (
        f"Where will it rain more tomorrow, in {say(s, pair[0])} or in {say(s, pair[1])}? Answer with the city's name."
    )


def _farther(s: Script) -> str:
    pair, home = cities(s, 2), here(s)
    places = [find(s, city) for city in pair]
    far = [s.ask("get_distance", **between(home, p)) for p in places]
    s.answer(pair[only(far, max(far))][0])
    return (
        f"Which is farther away from the city I am in, {say(s, pair[0])} or {say(s, pair[1])}? "
        "Answer with the city's name."
    )


def _highest(s: Script) -> str:
    three = cities(s, 3)
    places = [find(s, city) for city in three]
    heights = [s.ask("get_elevation", **p)["elevation"][0] for p in places]
    s.answer(three[only(heights, max(heights))][0])
    return f"Which of {listing(s, three)} lies highest? Answer with the city's name."


def _air_level(s: Script) -> str:
    now = today(s)
    index = s.ask("get_current_air_quality_index", **here(s), current_date=now.isoformat())["daily"]
    s.answer(s.ask("get_air_quality_level", air_quality_index=index["european_aqi_pm2_5"][0]))
    return "What is the air quality level today in the city I am in? Answer with the level in words."


def _warmer_than_yesterday(s: Script) -> str:
    city, now = cities(s, 1)[0], today(s)
    place = find(s, city)
    current = s.ask("get_current_temp", **place, current_date=now.isoformat())["daily"][HIGH][0]
    before = s.ask("get_historical_temp", **place, **span(now, -1, -1))["daily"][HIGH][0]
    require(current > before)
    s.answer(round(current - before, 1))
    return (
        f"It is warmer in {say(s, city)} today than it was yesterday. By how many degrees did the maximum rise? "
        "Answer with a number with one decimal."
    )


def _snow_ahead(s: Script) -> str:
    days, city = s.r.randrange(4, 11), cities(s, 1)[0]
    now = today(s)
    daily = s.ask("get_snow_forecast", **find(s, city), **span(now, 1, days))["daily"]
    require(any(daily["snowfall_sum"]))
    s.answer(daily["time"][only(daily["snowfall_sum"], max(daily["snowfall_sum"]))])
    return f"On which of the next {days} days will most snow fall in {say(s, city)}? Answer with the date."


def _here_and_now(s: Script, first: int, last: int) -> dict[str, Any]:
    now = today(s)
    return {**here(s), **span(now, first, last)}


# Hard ----------------------------------------------------------------------------------------------------------------


def _wettest_of_four(s: Script) -> str:
    four, days, now = cities(s, 4), s.r.randrange(8, 21), today(s)
    sums = [
        round(sum(s.ask("get_historical_rain", **find(s, city), **span(now, -days, -1))["daily"]["rain_sum"]), 1)
        for city in four
    ]
    s.answer(four[only(sums, max(sums))][0])
    return (
        f"In which of {listing(s, four)} did most rain fall in the last {days} days taken together? "
        "Answer with the city's name."
    )


def _air_of_the_nearest(s: Script) -> str:
    three, now, home = cities(s, 3), today(s), here(s)
    places = [find(s, city) for city in three]
    far = [s.ask("get_distance", **between(home, p)) for p in places]
    nearest = places[only(far, min(far))]
    index = s.ask("get_current_air_quality_index", **nearest, current_date=now.isoformat())["daily"]
    s.answer(index["european_aqi_pm2_5"][0])
    return (
        f"Of {listing(s, three)}, take the city nearest to the one I am in. What is its air quality index "
        "today? Answer with a number."
    )


def _days_warmer(s: Script) -> str:
    pair, days, now = cities(s, 2), s.r.randrange(9, 21), today(s)
    daily = [s.ask("get_historical_temp", **find(s, city), **span(now, -days, -1))["daily"] for city in pair]
    count = sum(a > b for a, b in zip(daily[0][HIGH], daily[1][HIGH], strict=True))
    require(0 < count < days)
    s.answer(count)
    return (
        f"On how many of the last {days} days was the maximum in {say(s, pair[0])} above the maximum in "
        f"{say(s, pair[1])}? Answer with a number."
    )


def _rain_at_the_top(s: Script) -> str:
    three, days, now = cities(s, 3), s.r.randrange(6, 15), today(s)
    places = [find(s, city) for city in three]
    heights = [s.ask("get_elevation", **p)["elevation"][0] for p in places]
    top = places[only(heights, max(heights))]
    rain = s.ask("get_historical_rain", **top, **span(now, -days, -1))["daily"]["rain_sum"]
    require(any(rain))
    s.answer(sum(amount > 0 for amount in rain))
    return (
        f"Take the highest of {listing(s, three)}. On how many of the last {days} days did it rain there? "
        "Answer with a number."
    )


def _three_days_of_rain(s: Script) -> str:
    now, home = today(s), here(s)
    amounts = [
        s.ask("get_historical_rain", **home, **span(now, -1, -1)),
        s.ask("get_current_rain", **home, current_date=now.isoformat()),
        s.ask("get_rain_forecast", **home, **span(now, 1, 1)),
    ]
    total = round(sum(a["daily"]["rain_sum"][0] for a in amounts), 1)
    require(total)
    s.answer(total)
    return (
        "How many millimeters of rain fall in the city I am in on three days: yesterday, today and tomorrow? "
        "Answer with a number with one decimal."
    )


def _bad_air(s: Script) -> str:
    three, days, now = cities(s, 3), s.r.randrange(5, 11), today(s)
    worst = [
        max(
            s.ask("get_historical_air_quality_index", **find(s, city), **span(now, -days, -1))["daily"][
                "european_aqi_pm2_5"
            ]
        )
        for city in three
    ]
    at = only(worst, max(worst))
    s.answer([three[at][0], s.ask("get_air_quality_level", air_quality_index=worst[at])])
    return (
        f"Which of {listing(s, three)} had the highest air quality index on any of the last {days} days, and what "
        "level is that? Answer with a list of the city's name and the level in words."
    )


def _snow_of_three(s: Script) -> str:
    three, days, now = cities(s, 3), s.r.randrange(5, 13), today(s)
    snow = [
        sum(s.ask("get_snow_forecast", **find(s, city), **span(now, 1, days))["daily"]["snowfall_sum"])
        for city in three
    ]
    require(any(snow))
    s.answer(sum(amount > 0 for amount in snow))
    return f"In how many of {listing(s, three)} will it snow at all in the next {days} days? Answer with a number."


def _round_trip(s: Script) -> str:
    three = cities(s, 3)
    home = here(s)
    places = [home, *(find(s, city) for city in three), home]
    legs = [s.ask("get_distance", **between(a, b)) for a, b in zip(places, places[1:], strict=False)]
    s.answer(round(sum(legs), 1))
    said = [say(s, city) for city in three]
    return (
        f"I travel from the city I am in to {said[0]}, on to {said[1]}, then to {said[2]}, and home again. How many "
        "kilometers are that, with every leg as the tool gives it? Answer with a number with one decimal."
    )


def _cold_and_far(s: Script) -> str:
    three, days, now, home = cities(s, 3), s.r.randrange(4, 10), today(s), here(s)
    places = [find(s, city) for city in three]
    lows = [min(s.ask("get_temp_forecast", **p, **span(now, 1, days))["daily"][LOW]) for p in places]
    coldest = places[only(lows, min(lows))]
    s.answer(s.ask("get_distance", **between(home, coldest)))
    return (
        f"Which of {listing(s, three)} will have the lowest minimum in the next {days} days? Answer with its distance "
        "from the city I am in, in kilometers, as the tool gives it."
    )


TEMPLATES: dict[Difficulty, tuple[Template, ...]] = {
    "easy": (
        *(_easy_elevation, _easy_elevation, _easy_elevation_at, _easy_country, _easy_level, _easy_latitude),
        *(_easy_location, _easy_date, _easy_latitude_here),
    ),
    "medium": (
        *(_coldest_day, _warmest_day_ahead, _rainy_days, _wetter_tomorrow, _farther, _highest, _air_level),
        *(_warmer_than_yesterday, _snow_ahead),
    ),
    "hard": (
        *(_wettest_of_four, _air_of_the_nearest, _days_warmer, _rain_at_the_top, _three_days_of_rain, _bad_air),
        *(_snow_of_three, _round_trip, _cold_and_far),
    ),
}

"""Weather of made-up cities, behind AgentBoard's weather tools."""

from __future__ import annotations

import math
from datetime import date, timedelta
from random import Random
from typing import Annotated, Any

from acenv.envs.tools.services import wording
from acenv.envs.tools.services.database import Rows
from acenv.envs.tools.services.querying import QueryService, Script, Session
from acenv.envs.tools.services.service import CHECK, FINISH, Refusal
from acenv.envs.tools.services.weather_tasks import TEMPLATES
from acenv.envs.tools.tooling import ToolError, tool

SAME_PLACE_KM = 50.0
"""Coordinates closer than this are one place (``is_same_location`` in AgentBoard's ``utils/tool/helpers.py``)."""

EARTH_KM = 6371.0
MOST_DAYS = 31
"""Days of one request: AgentBoard takes spans of up to 30 days between the first and the last."""

HISTORY, FORECAST = 40, 14
"""Days before and after today for which there is weather."""

_UNITS = {"temperature_2m_max": "C", "temperature_2m_min": "C", "temperature_2m_mean": "C", "rain_sum": "mm"}
_UNITS |= {"snowfall_sum": "cm", "european_aqi_pm2_5": "EAQI"}
_TEMPERATURES = ("temperature_2m_max", "temperature_2m_min", "temperature_2m_mean")

Latitude = Annotated[float, {"minimum": -90, "maximum": 90}]
Longitude = Annotated[float, {"minimum": -180, "maximum": 180}]

SCHEMA = """
CREATE TABLE today (date TEXT);
CREATE TABLE city (id INTEGER PRIMARY KEY, name TEXT, country TEXT, latitude NUMERIC, longitude NUMERIC,
    elevation INTEGER);
CREATE INDEX city_name ON city (name COLLATE NOCASE);
CREATE TABLE weather (city INTEGER, date TEXT, temperature_2m_max REAL, temperature_2m_min REAL,
    temperature_2m_mean REAL, rain_sum REAL, snowfall_sum REAL, european_aqi_pm2_5 INTEGER, PRIMARY KEY (city, date));
"""


def distance_km(latitude1: float, longitude1: float, latitude2: float, longitude2: float) -> float:
    """Length of the great circle between two places (haversine, radius 6371 km), in km.

    >>> round(distance_km(0, 0, 0, 90))
    10008
    """
    p1, p2 = math.radians(latitude1), math.radians(latitude2)
    half = math.sin((p2 - p1) / 2) ** 2
    half += math.cos(p1) * math.cos(p2) * math.sin(math.radians(longitude2 - longitude1) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(half)))


# Tools ---------------------------------------------------------------------------------------------------------------


def get_user_current_date(s: Session) -> Any:
    """Get today's date."""
    return _today(s).isoformat()


def get_user_current_location(s: Session) -> Any:
    """Get the city that the user is in."""
    return s.place


def get_latitude_longitude(s: Session, name: str) -> Any:
    """Get the coordinates of a city by its name; up to three cities of that name."""
    rows = s.data.rows(
        "SELECT name, latitude, longitude, country FROM city WHERE name = ? COLLATE NOCASE ORDER BY id LIMIT 3",
        name.strip(),
    )
    if not rows:
        raise ToolError(f"There is no city named {name[:80]!r}.")
    return {"results": [{"name": n, "latitude": a, "longitude": o, "country": c} for n, a, o, c in rows]}


def get_elevation(s: Session, latitude: Latitude, longitude: Longitude) -> Any:
    """Get the elevation of a place in meters."""
    return {"elevation": [_city(s, latitude, longitude)[1]]}


def get_distance(
    s: Session, latitude1: Latitude, longitude1: Longitude, latitude2: Latitude, longitude2: Longitude
) -> Any:
    """Get the distance between two places in kilometers."""
    return round(distance_km(latitude1, longitude1, latitude2, longitude2), 1)


def get_historical_temp(s: Session, latitude: Latitude, longitude: Longitude, start_date: str, end_date: str) -> Any:
    """Get the temperatures of the days from start_date to end_date (YYYY-MM-DD), all before today."""
    return _past(s, latitude, longitude, start_date, end_date, _TEMPERATURES)


def get_historical_rain(s: Session, latitude: Latitude, longitude: Longitude, start_date: str, end_date: str) -> Any:
    """Get the rain of the days from start_date to end_date (YYYY-MM-DD), all before today."""
    return _past(s, latitude, longitude, start_date, end_date, ("rain_sum",))


def get_historical_snow(s: Session, latitude: Latitude, longitude: Longitude, start_date: str, end_date: str) -> Any:
    """Get the snowfall of the days from start_date to end_date (YYYY-MM-DD), all before today."""
    return _past(s, latitude, longitude, start_date, end_date, ("snowfall_sum",))


def get_historical_air_quality_index(
    s: Session, latitude: Latitude, longitude: Longitude, start_date: str, end_date: str
) -> Any:
    """Get the air quality index of the days from start_date to end_date (YYYY-MM-DD), all before today."""
    return _past(s, latitude, longitude, start_date, end_date, ("european_aqi_pm2_5",))


def get_temp_forecast(s: Session, latitude: Latitude, longitude: Longitude, start_date: str, end_date: str) -> Any:
    """Get the temperatures expected from start_date to end_date (YYYY-MM-DD), all after today."""
    return _future(s, latitude, longitude, start_date, end_date, _TEMPERATURES)


def get_rain_forecast(s: Session, latitude: Latitude, longitude: Longitude, start_date: str, end_date: str) -> Any:
    """Get the rain expected from start_date to end_date (YYYY-MM-DD), all after today."""
    return _future(s, latitude, longitude, start_date, end_date, ("rain_sum",))


def get_snow_forecast(s: Session, latitude: Latitude, longitude: Longitude, start_date: str, end_date: str) -> Any:
    """Get the snowfall expected from start_date to end_date (YYYY-MM-DD), all after today."""
    return _future(s, latitude, longitude, start_date, end_date, ("snowfall_sum",))


def get_current_temp(s: Session, latitude: Latitude, longitude: Longitude, current_date: str) -> Any:
    """Get the temperatures of a day (YYYY-MM-DD), by default meant for today."""
    return _weather(s, latitude, longitude, current_date, current_date, _TEMPERATURES)


def get_current_rain(s: Session, latitude: Latitude, longitude: Longitude, current_date: str) -> Any:
    """Get the rain of a day (YYYY-MM-DD), by default meant for today."""
    return _weather(s, latitude, longitude, current_date, current_date, ("rain_sum",))


def get_current_snow(s: Session, latitude: Latitude, longitude: Longitude, current_date: str) -> Any:
    """Get the snowfall of a day (YYYY-MM-DD), by default meant for today."""
    return _weather(s, latitude, longitude, current_date, current_date, ("snowfall_sum",))


def get_current_air_quality_index(s: Session, latitude: Latitude, longitude: Longitude, current_date: str) -> Any:
    """Get the air quality index of a day (YYYY-MM-DD), by default meant for today."""
    return _weather(s, latitude, longitude, current_date, current_date, ("european_aqi_pm2_5",))


def get_air_quality_level(s: Session, air_quality_index: float) -> Any:
    """Get the level in words of an air quality index."""
    # The European index's bands. AgentBoard's toolkit lets 21, 41, 61 and 81 fall through to the worst level.
    levels = ((20, "good"), (40, "fair"), (60, "moderate"), (80, "poor"), (100, "very poor"))
    return next((level for most, level in levels if air_quality_index <= most), "extremely poor")


def _today(s: Session) -> date:
    (text,) = s.data.column("SELECT date FROM today")
    return date.fromisoformat(text)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ToolError(f"{text[:40]!r} is no date of the form YYYY-MM-DD.") from None


def _city(s: Session, latitude: float, longitude: float) -> tuple[int, int]:
    """Number and elevation of the city at a place."""
    reach = math.degrees(SAME_PLACE_KM / EARTH_KM)
    rows = s.data.rows(
        "SELECT id, elevation, latitude, longitude FROM city WHERE latitude BETWEEN ? AND ?",
        latitude - reach,
        latitude + reach,
    )
    near = [(distance_km(latitude, longitude, row[2], row[3]), row[0], row[1]) for row in rows]
    if not near or min(near)[0] >= SAME_PLACE_KM:
        raise Refusal(f"There is no station within {SAME_PLACE_KM:g} km of ({latitude:g}, {longitude:g}).")
    return min(near)[1:]


def _past(s: Session, latitude: float, longitude: float, start: str, end: str, fields: tuple[str, ...]) -> Any:
    if max(_date(start), _date(end)) >= _today(s):
        raise Refusal("start_date and end_date must be before today.")
    return _weather(s, latitude, longitude, start, end, fields)


def _future(s: Session, latitude: float, longitude: float, start: str, end: str, fields: tuple[str, ...]) -> Any:
    if min(_date(start), _date(end)) <= _today(s):
        raise Refusal("start_date and end_date must be after today.")
    return _weather(s, latitude, longitude, start, end, fields)


def _weather(s: Session, latitude: float, longitude: float, start: str, end: str, fields: tuple[str, ...]) -> Any:
    first, last = _date(start), _date(end)
    if last < first:
        raise Refusal("end_date must not be before start_date.")
    days = (last - first).days + 1
    if days > MOST_DAYS:
        raise Refusal(f"At most {MOST_DAYS} days can be asked for at once.")
    number, _ = _city(s, latitude, longitude)
    rows = s.data.rows(
        f"SELECT date, {', '.join(fields)} FROM weather WHERE city = ? AND date BETWEEN ? AND ? ORDER BY date",
        number,
        first.isoformat(),
        last.isoformat(),
    )
    if len(rows) < days:
        oldest, newest = s.data.rows("SELECT MIN(date), MAX(date) FROM weather")[0]
        raise Refusal(f"There is weather from {oldest} to {newest} only.")
    columns = list(zip(*rows, strict=True))
    return {
        "latitude": latitude,
        "longitude": longitude,
        "daily_units": {field: _UNITS[field] for field in fields},
        "daily": {"time": list(columns[0])} | {f: list(c) for f, c in zip(fields, columns[1:], strict=True)},
    }


# The service ---------------------------------------------------------------------------------------------------------


class WeatherService(QueryService):
    """Cities with coordinates, elevation, weather of 40 days past and 14 days to come, and air quality."""

    name = "weather"
    notes = (
        "Coordinates of a city come from get_latitude_longitude: look them up. Ask for all days of a span in one call. "
        "Today counts neither as past nor as to come."
    )
    schema = SCHEMA
    own = frozenset({"get_user_current_location"})
    easy_tools = (
        *("get_user_current_date", "get_user_current_location", "get_latitude_longitude", "get_elevation"),
        "get_air_quality_level",
    )
    templates = TEMPLATES
    tools = {
        spec.name: spec
        for spec in (
            tool(get_user_current_date),
            tool(get_user_current_location),
            tool(get_historical_temp),
            tool(get_historical_rain),
            tool(get_historical_snow),
            tool(get_snow_forecast),
            tool(get_current_snow),
            tool(get_current_temp),
            tool(get_latitude_longitude),
            tool(get_elevation),
            tool(get_temp_forecast),
            tool(get_rain_forecast),
            tool(get_current_rain),
            tool(get_distance),
            tool(get_historical_air_quality_index),
            tool(get_current_air_quality_index),
            tool(get_air_quality_level),
            CHECK,
            FINISH,
        )
    }

    def fill(self, r: Random, *, plain: bool) -> Rows:
        """Cities at least 120 km apart; above easy, some share their name with one or two in other countries."""
        names = wording.distinct(r, wording.plain_town if plain else wording.town, 40 if plain else 24)
        if not plain:
            names += names[:6] + names[:2]
            r.shuffle(names)
        places: list[tuple[float, float]] = []
        while len(places) < len(names):
            digits = 0 if plain else 2
            new = (round(r.uniform(-60, 60), digits), round(r.uniform(-170, 170), digits))
            if all(distance_km(*new, *old) > 120 for old in places):
                places.append(new)
        countries: dict[str, list[str]] = {}
        cities = []
        for i, (name, (latitude, longitude)) in enumerate(zip(names, places, strict=True), 1):
            left = countries.setdefault(name, r.sample(list(wording.COUNTRIES.values()), 3))
            cities.append((i, name, left.pop(), latitude, longitude, r.randrange(2, 2400)))
        today = date.fromisoformat(wording.day(r, 2019, 2024))
        days = range(0, 1) if plain else range(-HISTORY, FORECAST + 1)
        weather = [row for city in cities for row in _climate(r, city[0], [today + timedelta(d) for d in days])]
        return {"today": [(today.isoformat(),)], "city": cities, "weather": weather}

    def place(self, script: Script) -> str:
        """A city whose name is not shared."""
        names = script.data.column("SELECT name FROM city GROUP BY name HAVING COUNT(*) = 1 ORDER BY name")
        return str(script.r.choice(names))

    def subgoal(self, result: Any) -> Any:
        """A result without daily temperatures (``clean_observation`` in AgentBoard's weather tools)."""
        if isinstance(result, dict) and "temperature_2m_max" in result.get("daily", ()):
            kept = {key: value for key, value in result["daily"].items() if key not in _TEMPERATURES}
            return {**result, "daily": kept}
        return result

    def same(self, result: Any, gold: Any) -> bool:
        """Equal; of results with coordinates, equal but for these, and less than 50 km apart.

        ``check_equality`` in AgentBoard's ``environment/weather_env.py``.
        """
        if not _located(gold):
            return bool(result == gold)
        if not _located(result) or {**result, "latitude": 0, "longitude": 0} != {**gold, "latitude": 0, "longitude": 0}:
            return False
        here, there = (result["latitude"], result["longitude"]), (gold["latitude"], gold["longitude"])
        return here == there or distance_km(*here, *there) < SAME_PLACE_KM


def _located(result: Any) -> bool:
    return isinstance(result, dict) and "latitude" in result and "longitude" in result


def _climate(r: Random, city: int, days: list[date]) -> list[tuple[Any, ...]]:
    """Daily weather that drifts around what is usual in a city."""
    usual, wet, air = r.uniform(-8, 26), r.uniform(0.15, 0.7), r.uniform(12, 70)
    rows: list[tuple[Any, ...]] = []
    drift = 0.0
    for day in days:
        drift = 0.7 * drift + r.gauss(0, 2.2)
        mean = round(usual + drift, 1)
        low, high = round(mean - r.uniform(1.5, 6), 1), round(mean + r.uniform(1.5, 6), 1)
        falls = round(r.expovariate(1 / 5) + 0.1, 1) if r.random() < wet else 0.0
        rain, snow = (falls, 0.0) if mean > 1 else (0.0, falls)
        rows.append((city, day.isoformat(), high, low, mean, rain, snow, max(3, round(r.gauss(air, air / 4)))))
    return rows

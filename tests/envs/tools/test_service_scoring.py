"""AgentBoard's rules of scoring, on made-up cases."""

from __future__ import annotations

import random
from typing import Any

import pytest

from acenv.envs.tools.calls import Call
from acenv.envs.tools.services.environment import ServiceEnv
from acenv.envs.tools.services.movie import MovieService
from acenv.envs.tools.services.protocol import say
from acenv.envs.tools.services.service import CHECK, FINISH, Refusal, Service, ServiceTask, match
from acenv.envs.tools.services.weather import WeatherService
from acenv.envs.tools.tooling import ToolError, tool


def show(world: Any, text: str) -> Any:
    """Say something."""
    return text


def other(world: Any, text: str) -> Any:
    """Say something, too."""
    return text


def fail(world: Any, how: str) -> Any:
    """Do not work."""
    raise (Refusal if how == "refuse" else ToolError)("it does not work")


class Echo(Service):
    name = "echo"
    tools = {spec.name: spec for spec in (tool(show), tool(other), tool(fail), CHECK, FINISH)}

    def __init__(self, *wanted: Any) -> None:
        self.wanted = wanted

    def sample(self, rng: random.Random, difficulty: Any, split: Any) -> ServiceTask:
        plan = (*(Call("show", {"text": w}) for w in self.wanted[:-1]), Call("finish", {"answer": self.wanted[-1]}))
        return ServiceTask("echo", f"Echo {rng.random()}.", plan, self.wanted, None, "easy")

    def connect(self, task: ServiceTask) -> None:
        return None


def echo(*wanted: Any) -> ServiceEnv:
    env = type("EchoEnv", (ServiceEnv,), {"services": {"echo": Echo(*wanted)}})()
    env.reset(seed=0)
    return env


def act(env: ServiceEnv, name: str, **arguments: Any) -> tuple[str, float, bool, dict[str, float]]:
    messages, reward, over, _, info = env.step(say(Call(name, arguments)))
    return messages[-1]["content"], reward, over, info["metrics"]


def test_progress_is_the_share_of_results_found_in_any_order_from_any_tool() -> None:
    env = echo("a", "b", "c", "z")
    assert act(env, "other", text="c")[3]["progress"] == 0.25
    assert act(env, "show", text="a")[3]["progress"] == 0.5
    assert act(env, "show", text="nothing")[1] == 0
    assert act(env, "show", text="b")[3]["progress"] == 0.75
    _, _, over, metrics = act(env, "finish", answer="z")
    assert over
    assert metrics["progress"] == metrics["success"] == metrics["grounding"] == 1


def test_each_wanted_result_takes_one_result() -> None:
    env = echo("a", "a", "z")
    assert act(env, "show", text="a")[3]["progress"] == pytest.approx(1 / 3)
    assert act(env, "show", text="a")[3]["progress"] == pytest.approx(2 / 3)
    assert act(env, "show", text="a")[3]["progress"] == pytest.approx(2 / 3)


def test_the_wrong_answer_ends_without_success_but_keeps_the_progress() -> None:
    env = echo("a", "z")
    act(env, "show", text="a")
    _, reward, over, metrics = act(env, "finish", answer="y")
    assert (reward, over, metrics["progress"], metrics["success"]) == (0, True, 0.5, 0)


def test_the_answer_is_compared_exactly_and_leniently() -> None:
    for given, official, lenient in ((12, 1, 1), (12.0, 1, 1), ("12", 0, 1), ("It is 12.", 0, 1), (13, 0, 0)):
        metrics = act(echo(12), "finish", answer=given)[3]
        assert (metrics["success"], metrics["answer_correct"]) == (official, lenient)


def test_a_list_is_an_answer_in_any_order() -> None:
    assert act(echo(["a", "b"]), "finish", answer=["b", "a"])[3]["success"] == 1
    assert act(echo(["a", "b"]), "finish", answer=["a"])[3]["success"] == 0
    observation, _, over, metrics = act(echo(["a", "b"]), "finish", answer=["a", 1])
    assert observation.startswith("ERROR | ")
    assert not over
    assert metrics["grounding"] == 0


def test_an_observation_with_invalid_in_it_leaves_the_count_until_the_next_call() -> None:
    env = echo("Invalid", "z")
    assert act(env, "show", text="Invalid")[3]["progress"] == 0
    assert act(env, "show", text="more")[3]["progress"] == 0.5


def test_full_progress_without_finish_is_no_success() -> None:
    env = echo("a")
    *_, over, metrics = act(env, "show", text="a")
    assert (over, metrics["progress"], metrics["success"]) == (False, 1, 0)


def test_grounding_counts_errors_and_no_refusals() -> None:
    env = echo("a", "z")
    assert act(env, "fail", how="refuse")[0] == "it does not work"
    assert act(env, "fail", how="break")[0] == "ERROR | it does not work"
    assert act(env, "nothing")[0].startswith("ERROR | There is no tool named 'nothing'")
    assert act(env, "show")[0].startswith("ERROR | show: 'text' is a required property")
    assert env.step("what?")[0][-1]["content"].startswith("ERROR | No tool call found")
    assert "show" in act(env, "check_valid_actions")[0]
    metrics = act(env, "show", text="a")[3]
    assert metrics["grounding"] == pytest.approx(3 / 7)
    assert (metrics["parse_errors"], metrics["schema_errors"], metrics["tool_errors"]) == (1, 2, 2)


def test_what_failed_is_no_result() -> None:
    env = echo("it does not work", "z")
    act(env, "fail", how="refuse")
    assert act(env, "fail", how="break")[3]["progress"] == 0


# The services' own rules ---------------------------------------------------------------------------------------------

WEATHER = WeatherService()


def rain(latitude: float, longitude: float, amount: float = 2.5) -> dict[str, Any]:
    daily = {"time": ["2020-01-01"], "rain_sum": [amount]}
    return {"latitude": latitude, "longitude": longitude, "daily_units": {"rain_sum": "mm"}, "daily": daily}


def test_results_with_coordinates_are_the_same_within_50_km_if_the_rest_is_equal() -> None:
    # A degree of longitude on the equator is 111.19 km, so 50 km are 0.44966 degrees.
    assert match(WEATHER, [rain(0, 0.4496)], [rain(0, 0)]) == [True]
    assert match(WEATHER, [rain(0, 0.4497)], [rain(0, 0)]) == [False]
    assert match(WEATHER, [rain(60, 0.89)], [rain(60, 0)]) == [True]
    assert match(WEATHER, [rain(0, 179.9)], [rain(0, -179.9)]) == [True]
    assert match(WEATHER, [rain(0, 0, 2.6)], [rain(0, 0)]) == [False]
    assert match(WEATHER, ["x", {"latitude": 0}, rain(0, 0)], [rain(0, 0), rain(0, 0)]) == [True, False]


def test_a_wanted_result_takes_the_first_near_one_even_if_another_fits_better() -> None:
    found = [rain(0, 0.4), rain(0, 0)]
    assert match(WEATHER, found, [rain(0, 0), rain(0, 0.8)]) == [True, False]
    assert match(WEATHER, found, [rain(0, 0.8), rain(0, 0)]) == [True, True]


def test_coordinates_inside_of_a_result_are_compared_exactly() -> None:
    def city(longitude: float) -> dict[str, Any]:
        return {"results": [{"name": "x", "latitude": 1, "longitude": longitude}]}

    assert match(WEATHER, [city(0.01)], [city(0)]) == [False]
    assert match(WEATHER, [city(0)], [city(0)]) == [True]


def test_daily_temperatures_are_not_compared_but_their_dates_are() -> None:
    def temperatures(day: str, high: float) -> dict[str, Any]:
        daily = {
            "time": [day],
            "temperature_2m_max": [high],
            "temperature_2m_min": [1.0],
            "temperature_2m_mean": [2.0],
        }
        return WEATHER.subgoal({"latitude": 1, "longitude": 2, "daily_units": {}, "daily": daily})

    assert temperatures("2020-01-01", 3)["daily"] == {"time": ["2020-01-01"]}
    assert match(WEATHER, [temperatures("2020-01-01", 3)], [temperatures("2020-01-01", 4)]) == [True]
    assert match(WEATHER, [temperatures("2020-01-02", 3)], [temperatures("2020-01-01", 3)]) == [False]
    assert WEATHER.subgoal(rain(1, 2)) == rain(1, 2)


def test_what_changes_over_time_is_not_compared_of_films_and_people() -> None:
    service = MovieService()
    details = {"title": "x", "budget": 1, "genres": [], "revenue": 2, "vote_average": 3.0, "release_date": "2000-01-01"}
    assert service.subgoal(details) == {"title": "x"}
    assert service.subgoal([{"id": 1, "overview": "y", "title": "x"}]) == [{"id": 1, "title": "x"}]
    assert service.subgoal({"name": "x", "biography": "y", "birthday": "z"}) == {"name": "x", "birthday": "z"}
    assert service.subgoal("x") == "x"

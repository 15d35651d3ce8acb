from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from acenv.envs.tools.calls import Call
from acenv.envs.tools.services.protocol import parse_action, say
from acenv.envs.tools.services.query import ToolQueryEnv
from acenv.envs.tools.services.querying import MOST_EASY_SUBGOALS

DOMAINS = ("weather", "movie", "academia")
TOOLS = {
    "weather": """get_user_current_date get_user_current_location get_historical_temp get_historical_rain
        get_historical_snow get_snow_forecast get_current_snow get_current_temp get_latitude_longitude get_elevation
        get_temp_forecast get_rain_forecast get_current_rain get_distance get_historical_air_quality_index
        get_current_air_quality_index get_air_quality_level check_valid_actions finish""",
    "movie": """get_search_movie get_movie_details get_movie_production_companies get_movie_production_countries
        get_movie_cast get_movie_crew get_movie_keywords get_search_person get_person_details get_person_cast
        get_person_crew get_person_external_ids get_movie_alternative_titles get_movie_translation check_valid_actions
        finish""",
    "academia": """loadPaperNet loadAuthorNet neighbourCheck paperNodeCheck authorNodeCheck authorEdgeCheck
        paperEdgeCheck check_valid_actions finish""",
}


def run(env: ToolQueryEnv) -> dict[str, float]:
    over, metrics = False, {}
    while not over:
        _, _, terminated, truncated, info = env.step(env.expert_action())
        over, metrics = terminated or truncated, info["metrics"]
    return metrics


def ask(env: ToolQueryEnv, tool: str, /, **arguments: Any) -> Any:
    text = env.step(say(Call(tool, arguments)))[0][-1]["content"]
    return json.loads(text) if text[:1] in "[{" else text


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_tools_are_those_of_agentboard(domain: str) -> None:
    tools = ToolQueryEnv(domain=domain).reset(seed=0)[1]["tools"]
    assert {t["function"]["name"] for t in tools} == set(TOOLS[domain].split())


@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
@pytest.mark.parametrize("domain", DOMAINS)
def test_every_question_has_a_plan_of_the_right_length_that_finds_the_answer(domain: str, difficulty: Any) -> None:
    fewest, most = {"easy": (2, 3), "medium": (4, 7), "hard": (6, 12)}[difficulty]
    env = ToolQueryEnv(domain=domain, difficulty=difficulty)
    starts = set()
    for seed in range(80):
        _, info = env.reset(seed=seed)
        starts.add(" ".join(env.task.goal.split()[:2]))
        assert fewest <= len(env.task.plan) <= most
        assert info["labels"]["level"] == ("easy" if len(env.task.subgoals) <= MOST_EASY_SUBGOALS else "hard")
        if difficulty == "easy":
            assert 3 <= len(info["tools"]) <= 4
        metrics = run(env)
        assert metrics["progress"] == metrics["success"] == metrics["grounding"] == metrics["answer_correct"] == 1
    assert len(starts) >= (1 if difficulty == "easy" else 4)


@pytest.mark.parametrize("domain", DOMAINS)
def test_there_are_many_questions(domain: str) -> None:
    service = ToolQueryEnv.services[domain]
    for difficulty, templates in service.templates.items():  # type: ignore[attr-defined]
        assert len(set(templates)) >= (3 if difficulty == "easy" else 8)
    env = ToolQueryEnv(domain=domain)
    goals = set()
    for seed in range(150):
        env.reset(seed=seed)
        goals.add(env.fingerprint(env.task))
    assert len(goals) > 130


def test_easy_answers_stand_in_the_last_result() -> None:
    env = ToolQueryEnv(difficulty="easy")
    for seed in range(60):
        env.reset(seed=seed)
        while not env.expert_action().startswith("Action: finish"):
            messages = env.step(env.expert_action())[0]
        answer = env.task.plan[-1].arguments["answer"]
        assert str(answer) in messages[-1]["content"]


def test_train_and_test_ask_about_different_databases() -> None:
    for domain in DOMAINS:
        service = ToolQueryEnv.services[domain]
        keys = {}
        for split in ("train", "test"):
            tasks = [service.sample(Random(i), "medium", split) for i in range(40)]  # type: ignore[arg-type]
            keys[split] = {(task.world.split, task.world.number) for task in tasks}
            assert len(keys[split]) > 5
        assert not keys["train"] & keys["test"]


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_same_results_in_another_order_give_the_same_score(domain: str) -> None:
    env = ToolQueryEnv(domain=domain)
    for seed in range(20):
        env.reset(seed=seed)
        *calls, last = env.task.plan
        calls.sort(key=lambda call: not call.name.startswith("load"))
        loads = sum(call.name.startswith("load") for call in calls)
        for call in (*calls[:loads], *reversed(calls[loads:]), last):
            messages, _, _, _, info = env.step(say(call))
        assert info["metrics"]["success"] == 1, messages


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_expert_goes_on_after_detours(domain: str) -> None:
    env = ToolQueryEnv(domain=domain, difficulty="hard")
    for seed in range(15):
        env.reset(seed=seed)
        r = Random(seed)
        for _ in range(6):
            env.step(r.choice([say(r.choice(env.task.plan[:-1])), "nonsense", "Action: check_valid_actions"]))
        metrics = run(env)
        assert metrics["progress"] == metrics["success"] == 1


def test_to_finish_at_once_with_the_right_answer_is_no_success() -> None:
    env = ToolQueryEnv()
    env.reset(seed=1)
    _, reward, terminated, _, info = env.step(say(env.task.plan[-1]))
    assert terminated
    assert reward == pytest.approx(1 / len(env.task.subgoals))
    assert (info["metrics"]["success"], info["metrics"]["answer_correct"]) == (0, 1)


# What the tools say --------------------------------------------------------------------------------------------------


def test_weather_answers_for_the_city_within_50_km_and_refuses_elsewhere() -> None:
    env = ToolQueryEnv(domain="weather", max_steps=100)
    env.reset(seed=0)
    home = ask(env, "get_latitude_longitude", name=ask(env, "get_user_current_location").upper())["results"][0]
    here = {"latitude": home["latitude"], "longitude": home["longitude"]}
    height = ask(env, "get_elevation", **here)
    assert ask(env, "get_elevation", latitude=here["latitude"] + 0.4, longitude=here["longitude"]) == height
    assert "no station" in ask(env, "get_elevation", latitude=89, longitude=0)
    today = ask(env, "get_user_current_date")
    day = ask(env, "get_current_temp", **here, current_date=today)["daily"]
    assert day["time"] == [today]
    assert day["temperature_2m_min"][0] < day["temperature_2m_mean"][0] < day["temperature_2m_max"][0]
    assert "before today" in ask(env, "get_historical_rain", **here, start_date=today, end_date=today)
    assert "after today" in ask(env, "get_rain_forecast", **here, start_date=today, end_date=today)
    assert "only" in ask(env, "get_historical_rain", **here, start_date="1999-01-01", end_date="1999-01-02")
    assert "At most 31" in ask(env, "get_historical_rain", **here, start_date="1999-01-01", end_date="1999-03-02")
    assert "not be before" in ask(env, "get_historical_rain", **here, start_date="1999-01-02", end_date="1999-01-01")
    assert ask(env, "get_current_rain", **here, current_date="today").startswith("ERROR | ")
    assert ask(env, "get_elevation", latitude=91, longitude=0).startswith("ERROR | ")
    assert ask(env, "get_latitude_longitude", name="Atlantis").startswith("ERROR | ")
    levels = [ask(env, "get_air_quality_level", air_quality_index=i) for i in (20, 21, 40.5, 60, 61, 100, 101)]
    assert levels == ["good", "fair", "moderate", "moderate", "poor", "very poor", "extremely poor"]


def test_films_are_found_by_part_of_their_name_and_ids_may_be_text() -> None:
    env = ToolQueryEnv(domain="movie", max_steps=100)
    env.reset(seed=0)
    title = env.services["movie"].database(env.task.world).column("SELECT title FROM movie")[3]  # type: ignore[attr-defined]
    found = ask(env, "get_search_movie", movie_name=f" {title.lower()} ")[0]
    assert found["title"] == title
    details = ask(env, "get_movie_details", movie_id=found["id"])
    assert ask(env, "get_movie_details", movie_id=str(found["id"])) == details
    assert ask(env, "get_movie_details", movie_id=float(found["id"])) == details
    assert ask(env, "get_search_person", person_name="Nobody Atall") == []
    for name in ("%", "_", "\\", "' OR 1=1 --", "", "zzz"):
        assert ask(env, "get_search_movie", movie_name=name).startswith("ERROR | ")
    for number in (0, -1, 2**70, "1e3", "../1", "1; DROP TABLE movie", "٣"):
        assert "no film" in ask(env, "get_movie_cast", movie_id=number)
    cast = ask(env, "get_movie_cast", movie_id=found["id"])["cast"]
    films = ask(env, "get_person_cast", person_id=cast[0]["id"])["cast"]
    assert {"id": found["id"], "title": title, "character": cast[0]["character"]} in films


def test_graphs_must_be_loaded_and_agree_with_each_other() -> None:
    env = ToolQueryEnv(domain="academia", max_steps=100)
    env.reset(seed=0)
    author = env.services["academia"].database(env.task.world).column("SELECT name FROM author")[5]  # type: ignore[attr-defined]
    assert "load the AuthorNet" in ask(env, "neighbourCheck", graph="AuthorNet", node=author)
    ask(env, "loadAuthorNet")
    others = ask(env, "neighbourCheck", graph="AuthorNet", node=author)
    edge = ask(env, "authorEdgeCheck", node1=author, node2=others[0])
    assert edge["weight"] == len(edge["collaborative_papers"])
    assert "load the PaperNet" in ask(env, "paperNodeCheck", node=edge["collaborative_papers"][0])
    ask(env, "loadPaperNet")
    paper = ask(env, "paperNodeCheck", node=edge["collaborative_papers"][0])
    assert {author, others[0]} <= set(paper["authors"])
    assert "no edge" in ask(env, "authorEdgeCheck", node1=author, node2=author)
    assert "no node" in ask(env, "authorNodeCheck", node="Nobody")
    assert ask(env, "neighbourCheck", graph="Movies", node=author).startswith("ERROR | ")


def test_loading_a_graph_changes_the_own_episode_only() -> None:
    first, second = (ToolQueryEnv(domain="academia") for _ in range(2))
    first.reset(seed=0)
    second.reset(seed=0)
    before = first.snapshot()
    ask(first, "loadAuthorNet")
    name = "Nobody"
    assert "no node" in ask(first, "authorNodeCheck", node=name)
    assert "load the" in ask(second, "authorNodeCheck", node=name)
    first.restore(before)
    assert "load the" in ask(first, "authorNodeCheck", node=name)


def test_equal_numbers_of_other_forms_are_echoed_as_they_came() -> None:
    env = ToolQueryEnv(domain="weather", difficulty="easy", max_steps=100)
    env.reset(seed=0)
    database = env.services["weather"].database(env.task.world)  # type: ignore[attr-defined]
    latitude, longitude, day = database.rows("SELECT latitude, longitude, date FROM city JOIN today")[0]
    service = env.services["weather"]
    texts = [
        service.respond(
            env.state.world,
            Call("get_current_rain", {"latitude": form(latitude), "longitude": longitude, "current_date": day}),
        ).text
        for form in (int, float, int)
    ]
    assert texts[0] == texts[2] != texts[1]


# Attacks -------------------------------------------------------------------------------------------------------------

ATTACKS: list[Any] = [
    "'; DROP TABLE movie; --",
    "x' UNION SELECT name FROM sqlite_master --",
    "../../../etc/passwd",
    "%" * 2000,
    "_" * 2000,
    "x" * 19_000,
    "\x00",
    "🙂",
    "2020-02-30",
    "0001-01-01",
    "9999-12-31",
    "2020-W01-1",
    2**63,
    -(2**63) - 1,
    10**300,
    10**4000,
    1e308,
    -0.0,
    5e-324,
    True,
    None,
    [],
    {},
    [[[["x"]]]],
    {"$where": "1"},
]


@pytest.mark.parametrize("domain", DOMAINS)
def test_no_argument_raises_or_changes_what_others_see(domain: str) -> None:
    env, witness = ToolQueryEnv(domain=domain, max_steps=10**6), ToolQueryEnv(domain=domain)
    witness.reset(seed=3)
    run(witness)
    before = witness.render_mode, list(witness._running.messages)
    env.reset(seed=3)
    for name in ("loadPaperNet", "loadAuthorNet"):
        env.step(say(Call(name)))
    for spec in env.services[domain].tools.values():
        if spec.name == "finish":
            continue
        parameters = list(spec.schema["function"]["parameters"]["properties"])
        for attack in ATTACKS:
            observation, reward, terminated, _, _ = env.step(say(Call(spec.name, dict.fromkeys(parameters, attack))))
            assert not terminated
            assert len(observation[-1]["content"]) < 6001
            env._running.messages = env._running.messages[:2]  # Keep the test fast.
    witness.reset(seed=3)
    run(witness)
    assert (witness.render_mode, list(witness._running.messages)) == before


LEAVES = st.sampled_from(ATTACKS) | st.text(max_size=20) | st.integers() | st.floats(allow_nan=False) | st.none()


@given(st.sampled_from(DOMAINS), st.data())
@settings(max_examples=200)
def test_the_fast_check_agrees_with_jsonschema(domain: str, data: st.DataObject) -> None:
    spec = data.draw(st.sampled_from(list(ToolQueryEnv.services[domain].tools.values())))
    schema = spec.schema["function"]["parameters"]
    arguments = {key: data.draw(LEAVES) for key in schema["properties"] if data.draw(st.integers(0, 9))}
    assert (spec.complaint(arguments) == "") == Draft202012Validator(schema).is_valid(arguments)


@given(st.data())
@settings(max_examples=300)
def test_mutated_calls_are_answered(data: st.DataObject) -> None:
    env = ToolQueryEnv(domain=data.draw(st.sampled_from(DOMAINS)), max_steps=100)
    env.reset(seed=data.draw(st.integers(0, 3)))
    for _ in range(data.draw(st.integers(0, 2))):
        env.step(env.expert_action())
    call = parse_action(env.expert_action())
    arguments = dict(call.arguments)
    for key in data.draw(st.lists(st.sampled_from([*arguments, "extra"]), max_size=3)):
        arguments[key] = data.draw(LEAVES)
    text = say(Call(call.name, arguments))
    cut = data.draw(st.integers(0, len(text)))
    text = data.draw(st.sampled_from([text, text[:cut], text[cut:], text[:cut] + "\"'{}[]\\"[cut % 7] + text[cut:]]))
    messages, reward, *_ = env.step(text)
    assert messages in env.observation_space
    assert 0 <= reward <= 1


def test_environments_step_in_threads() -> None:
    alone = {}
    for seed in range(8):
        env = ToolQueryEnv()
        env.reset(seed=seed)
        run(env)
        alone[seed] = env._running.messages
    start = threading.Barrier(8)

    def work(seed: int) -> Any:
        env = ToolQueryEnv()
        start.wait()
        env.reset(seed=seed)
        run(env)
        return env._running.messages

    with ThreadPoolExecutor(8) as pool:
        assert dict(enumerate(pool.map(work, range(8)))) == alone


def test_wrong_domains_are_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="mixed, weather, movie, academia"):
        ToolQueryEnv(domain="sport")

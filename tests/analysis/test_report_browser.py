"""The report in a real browser: Chromium without a window, driven through its files alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")
pytest.importorskip("selenium", reason="selenium comes with the simulators: make simulators")

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from acenv.analysis.comparison import compare
from acenv.analysis.report import Candidate, ReportData, write_report
from acenv.runs import Results
from acenv.types import Episode, Message, Step, Transcript

if shutil.which("chromedriver") is None:
    pytest.skip("there is no Chromium with its driver: make simulators", allow_module_level=True)

TOOLS, NEEDLE = "acenv/ToolSandbox-v0", "acenv/Needle-v0"
HOSTILE = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">"
METHOD = "rtn <2> bit"
MANY = 5_000


@pytest.fixture(scope="module")
def chrome() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--window-size=1280,900",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


def run(returns: dict[str, list[float]], said: Callable[[int, float], str], steps: int = 2) -> Results:
    """Episodes of a few steps, the last of which earns the return."""
    episodes, transcripts = [], {}
    for env_id, values in returns.items():
        for seed, value in enumerate(values):
            messages: list[Message] = [{"role": "system", "content": "Use the tools."}]
            made = []
            for i in range(steps):
                last = i == steps - 1
                action = said(seed, value) if last else f"look {seed}"
                messages += [
                    {"role": "user", "content": f"task {seed}, step {i + 1}"},
                    {"role": "assistant", "content": action},
                ]
                made.append(Step(action, value if last else 0.0, fault="wrong tool" if last and value < 1 else ""))
            metrics = {"success": float(value == 1.0)}
            episodes.append(Episode(env_id, seed, value, steps, True, False, metrics=metrics))
            transcripts[env_id, seed] = Transcript(env_id, seed, messages, (), tuple(made))
    return Results({}, episodes, transcripts)


def small_report(folder: Path) -> Path:
    reference = run({TOOLS: [1.0] * 8, NEEDLE: [1.0] * 4 + [0.0]}, lambda seed, value: f'{{"name": "open {seed}"}}')
    hostile = run({TOOLS: [0.0] * 3 + [1.0] * 5, NEEDLE: [1.0] * 5}, lambda seed, value: f"{HOSTILE} badger{seed}")
    tokens = folder / "tokens.jsonl"
    turn = {"turn": 1, "tokens": ['{"name": "', "open", ' 0"}'], "kl": [0.0, 2.9, 0.1], "flip": [0, 1, 0]}
    tokens.write_text(json.dumps({"env_id": TOOLS, "seed": 0, "turns": [turn]}) + "\n")
    compared = compare(reference, hostile, resamples=50)
    candidate = Candidate(METHOD, "rtn:bits=2", hostile, compared, tokens=tokens)
    return write_report(ReportData("A report", "dense", "", reference, (candidate,)), folder / "report.html")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    return small_report(tmp_path_factory.mktemp("small")).as_uri()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of 5,000 pairs of ten steps each."""
    words = " ".join(f"word{i}" for i in range(60))
    half = MANY // 2
    reference = run({TOOLS: [1.0] * half, NEEDLE: [1.0] * half}, lambda seed, value: f"{words} {seed}", steps=10)
    other = run(
        {TOOLS: [float(i % 2) for i in range(half)], NEEDLE: [1.0] * half},
        lambda seed, value: f"{words} {seed} {value} unicorn{seed}",
        steps=10,
    )
    candidate = Candidate(METHOD, "m", other, compare(reference, other, resamples=20))
    data = ReportData("Many", "dense", "", reference, (candidate,))
    return write_report(data, tmp_path_factory.mktemp("large") / "report.html").as_uri()


class Reader:
    """What a person does with the page."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver = driver
        driver.get("about:blank")
        driver.get_log("browser")
        driver.get_log("performance")
        driver.get(address)
        driver.execute_script("document.getElementById('episodes').scrollIntoView()")
        self.wait(lambda: self.count() is not None)

    def wait(self, condition: Callable[[], Any], seconds: float = 30.0) -> None:
        WebDriverWait(self.driver, seconds, poll_frequency=0.02).until(lambda _: condition())

    def count(self) -> tuple[int, int] | None:
        words = self.driver.find_element(By.ID, "episode-count").text.replace(",", "").split()
        return (int(words[0]), int(words[2])) if len(words) == 4 else None

    def choose(self, name: str, text: str) -> None:
        Select(self.driver.find_element(By.NAME, name)).select_by_visible_text(text)

    def search(self, text: str) -> None:
        box = self.driver.find_element(By.NAME, "search")
        box.clear()
        box.send_keys(text)

    def links(self) -> list[Any]:
        """The rows that are on the page."""
        return self.driver.find_elements(By.CSS_SELECTOR, "#episode-list a")

    def episode(self) -> str:
        text: str = self.driver.find_element(By.ID, "episode").text
        return text

    def problems(self) -> list[str]:
        """What the console says, and requests that are for no local file."""
        console = [entry["message"] for entry in self.driver.get_log("browser")]
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        loaded: list[str] = self.driver.execute_script(
            "return performance.getEntriesByType('resource').map(entry => entry.name)"
        )
        return console + [url for url in asked + loaded if not url.startswith(("file:", "data:", "about:"))]


@pytest.fixture
def reader(chrome: webdriver.Chrome, small: str) -> Iterator[Reader]:
    reader = Reader(chrome, small)
    yield reader
    assert reader.problems() == []


def test_lost_episodes_come_first_and_filters_narrow_the_list(reader: Reader) -> None:
    reader.wait(lambda: reader.count() == (13, 13))
    rows = [row.text for row in reader.links()]
    assert all("1.00 → 0.00" in row and "lost 1.00" in row and "wrong tool" in row for row in rows[:3])
    assert "0.00 → 1.00" in rows[3] and "gained 1.00" in rows[3]
    assert all("same" in row for row in rows[4:])
    reader.choose("outcome", "Return fell")
    reader.wait(lambda: reader.count() == (3, 13))
    reader.choose("outcome", "All outcomes")
    reader.choose("env", "Needle")
    reader.wait(lambda: reader.count() == (5, 13))
    reader.choose("outcome", "Return rose")
    reader.wait(lambda: reader.count() == (1, 13))
    reader.choose("env", "All environments")
    reader.choose("outcome", "All outcomes")
    reader.choose("failure", "wrong tool")
    reader.wait(lambda: reader.count() == (3, 13))


def test_search_reads_the_transcripts(reader: Reader) -> None:
    reader.search("BADGER2 task")
    reader.wait(lambda: reader.count() == (2, 13))
    reader.search("<script> 4")
    reader.wait(lambda: reader.count() == (2, 13))
    reader.search("no such words")
    reader.wait(lambda: reader.count() == (0, 13))
    assert reader.links() == []


def test_an_episode_opens_side_by_side_and_its_words_stay_words(reader: Reader) -> None:
    reader.links()[0].click()
    reader.wait(lambda: "First difference: step 2" in reader.episode())
    sides = reader.driver.find_elements(By.CSS_SELECTOR, "#episode .side")
    assert [side.find_element(By.TAG_NAME, "h4").text for side in sides] == ["Original", METHOD]
    assert HOSTILE in sides[1].text and "wrong tool" in sides[1].text
    assert sides[0].rect["y"] == sides[1].rect["y"] and sides[0].rect["x"] < sides[1].rect["x"]
    assert reader.driver.title == "A report"
    assert not reader.driver.find_elements(By.CSS_SELECTOR, "#episode img, #episode script")
    assert "task 0, step 1" in reader.driver.find_element(By.CSS_SELECTOR, "#episode .same").text


def test_tool_calls_are_laid_out_and_what_differs_is_marked(chrome: webdriver.Chrome, tmp_path: Path) -> None:
    def call(city: str) -> Callable[[int, float], str]:
        arguments = {"city": city, "days": [1, 2], "note": HOSTILE}
        return lambda seed, value: json.dumps({"name": "get_weather", "arguments": arguments})

    reference, other = run({TOOLS: [1.0]}, call("Rome")), run({TOOLS: [0.0]}, call("Roma"))
    candidate = Candidate("a", "a", other, compare(reference, other, resamples=20))
    path = write_report(ReportData("Calls", "dense", "", reference, (candidate,)), tmp_path / "report.html")
    reader = Reader(chrome, path.as_uri())
    reader.links()[0].click()
    reader.wait(lambda: "First difference" in reader.episode())
    for side, city in zip(chrome.find_elements(By.CSS_SELECTOR, "#episode .side"), ("Rome", "Roma"), strict=True):
        assert side.find_element(By.CLASS_NAME, "call-name").text == "get_weather"
        assert [term.text for term in side.find_elements(By.TAG_NAME, "dt")] == ["city", "days", "note"]
        assert [value.text for value in side.find_elements(By.TAG_NAME, "dd")] == [city, "[1,2]", HOSTILE]
        assert [mark.text for mark in side.find_elements(By.TAG_NAME, "mark")] == [city]
        side.find_element(By.TAG_NAME, "summary").click()
        assert '{"name": "get_weather"' in side.find_element(By.CSS_SELECTOR, ".written pre").text
    assert chrome.title == "Calls" and reader.problems() == []


def test_tokens_are_coloured_and_the_colours_can_be_put_away(reader: Reader) -> None:
    reader.links()[0].click()
    reader.wait(lambda: reader.driver.find_elements(By.CSS_SELECTOR, "#episode pre .token"))
    tokens = reader.driver.find_elements(By.CSS_SELECTOR, "#episode pre .token")
    assert [token.text for token in tokens if "flip" in token.get_attribute("class").split()] == ["open"]
    shades = [token.value_of_css_property("background-color") for token in tokens]
    assert len(set(shades)) == 3
    assert "another at 1 of 3 tokens; highest KL 2.90 nats, at “open”" in reader.episode()
    reader.driver.find_element(By.CSS_SELECTOR, ".legend input").click()
    reader.wait(lambda: not reader.driver.find_elements(By.CSS_SELECTOR, "#episode pre .token"))


def test_links_lead_to_an_episode_and_to_a_view(chrome: webdriver.Chrome, small: str) -> None:
    reader = Reader(chrome, f"{small}#episode=rtn%20%3C2%3E%20bit/acenv/ToolSandbox-v0/1")
    reader.wait(lambda: "ToolSandbox, seed 1" in reader.episode() and "First difference" in reader.episode())
    current = chrome.find_elements(By.CSS_SELECTOR, "#episode-list [aria-current]")
    assert ["ToolSandbox · 1" in row.text for row in current] == [True]
    reader.choose("env", "ToolSandbox")
    reader.wait(lambda: reader.count() == (8, 13))
    reader.search("badger1")
    reader.wait(lambda: reader.count() == (1, 13))
    view = chrome.current_url
    reader = Reader(chrome, view)
    reader.wait(lambda: reader.count() == (1, 13) and "seed 1" in reader.episode())
    assert chrome.find_element(By.NAME, "search").get_attribute("value") == "badger1"
    for foreign in ("#episode=no/such/0", "#env=nowhere", "#episode=%E0%A4%A", "#a=b=c&&="):
        reader = Reader(chrome, small + foreign)
        assert reader.count() == (13, 13)
        assert reader.problems() == []


def test_the_next_episode_and_the_way_back(reader: Reader) -> None:
    def click(text: str) -> None:
        reader.driver.find_element(By.PARTIAL_LINK_TEXT, text).click()

    reader.links()[0].click()
    reader.wait(lambda: "seed 0" in reader.episode())
    click("Next")
    reader.wait(lambda: "seed 1" in reader.episode())
    click("Previous")
    reader.wait(lambda: "seed 0" in reader.episode())
    reader.driver.back()
    reader.wait(lambda: "seed 1" in reader.episode())
    click("Back to the list")
    reader.wait(lambda: "Choose an episode" in reader.episode())


def test_dark_and_light(reader: Reader) -> None:
    driver = reader.driver

    def paper() -> str:
        colour: str = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        return colour

    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    dark = paper()
    driver.find_element(By.ID, "theme").click()
    light = paper()
    assert (dark, light) == ("rgb(20, 23, 26)", "rgb(253, 253, 251)")
    driver.find_element(By.ID, "theme").click()
    assert paper() == dark
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    driver.execute_script("localStorage.clear()")


@pytest.mark.parametrize("width", [360, 390])
def test_a_phone_needs_no_sideways_scrolling(chrome: webdriver.Chrome, small: str, width: int) -> None:
    metrics = {"width": width, "height": 780, "deviceScaleFactor": 2, "mobile": True}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        reader = Reader(chrome, small)
        reader.links()[0].click()
        reader.wait(lambda: "First difference" in reader.episode())
        assert chrome.execute_script("return document.documentElement.scrollWidth") <= width
        one, two = (s.rect["x"] for s in chrome.find_elements(By.CSS_SELECTOR, "#episode .side"))
        assert one == two  # one above the other
    finally:
        chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_five_thousand_episodes(chrome: webdriver.Chrome, large: str) -> None:
    reader = Reader(chrome, f"{large}#episodes")
    reader.wait(lambda: reader.count() == (MANY, MANY))
    # Seconds, of which a browser on a busy machine may take more; the page is wrong if it is far from them.
    ready = chrome.execute_script("return performance.getEntriesByName('episodes-listed')[0].startTime")
    assert ready < 15_000
    assert len(reader.links()) < 60  # only those in sight
    chrome.execute_script("const s = document.getElementById('episode-scroller'); s.scrollTop = s.scrollHeight")
    reader.wait(lambda: chrome.find_elements(By.CSS_SELECTOR, f'#episode-list [aria-posinset="{MANY}"]'))
    assert len(reader.links()) < 60
    reader.search("unicorn1776")
    reader.wait(lambda: reader.count() == (2, MANY))
    reader.links()[0].click()
    reader.wait(lambda: "unicorn1776" in reader.episode())
    assert reader.problems() == []


def test_the_keyboard_walks_through_a_list_of_thousands(chrome: webdriver.Chrome, large: str) -> None:
    reader = Reader(chrome, f"{large}#episodes")
    reader.wait(lambda: reader.count() == (MANY, MANY))

    def place() -> int:
        value = chrome.execute_script("return document.activeElement.closest('li')?.getAttribute('aria-posinset')")
        return int(value or 0)

    chrome.execute_script("arguments[0].focus()", reader.links()[0])
    for key, expected in ((Keys.ARROW_DOWN, 2), (Keys.END, MANY), (Keys.ARROW_UP, MANY - 1), (Keys.HOME, 1)):
        chrome.switch_to.active_element.send_keys(key)
        assert place() == expected
    chrome.switch_to.active_element.send_keys(Keys.PAGE_DOWN)
    assert 3 <= place() <= 20
    assert len(chrome.find_elements(By.CSS_SELECTOR, '#episode-list a[tabindex="0"]')) == 1
    # A focused row keeps the focus, and is kept, when it is scrolled out of sight.
    here = place()
    chrome.execute_script("document.getElementById('episode-scroller').scrollTop = 90000")
    reader.wait(
        lambda: (
            len(reader.links()) > 5 and "1251" in chrome.find_element(By.ID, "episode-list").get_attribute("innerHTML")
        )
    )
    assert place() == here
    assert reader.problems() == []


def test_it_can_be_used_with_the_keyboard_and_read_aloud(reader: Reader) -> None:
    driver = reader.driver
    unnamed = driver.execute_script(
        "return [...document.querySelectorAll('button, select, input, nav, article, section, [tabindex=\"0\"]')]"
        ".filter(e => !e.hidden && !(e.labels?.length || e.getAttribute('aria-label')"
        " || document.getElementById(e.getAttribute('aria-labelledby')) || (e.matches('button, a') &&"
        " e.textContent.trim()))).map(e => e.outerHTML.slice(0, 200))"
    )
    assert unnamed == []
    assert driver.find_element(By.ID, "episode-count").get_attribute("aria-live") == "polite"
    assert reader.links()[0].find_element(By.XPATH, "..").get_attribute("aria-setsize") == "13"
    driver.execute_script("arguments[0].focus()", reader.links()[0])
    driver.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    reader.wait(lambda: "seed 1" in reader.episode())
    focused = driver.switch_to.active_element
    assert focused.tag_name == "h3" and "seed 1" in focused.text

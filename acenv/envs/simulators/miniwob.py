"""``acenv/MiniWoB-v0``: web pages in a real browser, as text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from acenv.envs.base import Difficulty, Split, pick
from acenv.envs.commands import misread
from acenv.envs.simulators.base import SimulatorEnv, Turn
from acenv.envs.simulators.browser import Browser, BrowserError
from acenv.envs.simulators.miniwob_page import READ_SCRIPT, Element, Page, read_page
from acenv.envs.simulators.miniwob_tasks import TASKS, PageTask, check_task, expert, pages
from acenv.types import Fault

_RULES = """\
You see a web page as a list of what is on it. Things that you can use have a number in brackets. Do what the task \
says. Write one action a message:
click [5]: click on thing 5
type [5] "some words": write into text box 5, in place of what is there
select [5] "an option": choose in list 5
press KEY: one of {keys}
scroll down, scroll up, scroll down [5]: move the page, or what scrolls around thing 5
check valid actions: list what can be done now"""

ResultT = TypeVar("ResultT")

_CONTROL = "\ue009"
KEYS = {
    "Enter": "\ue007",
    "Tab": "\ue004",
    "Escape": "\ue00c",
    "Space": " ",
    "Backspace": "\ue003",
    "Delete": "\ue017",
    "Home": "\ue011",
    "End": "\ue010",
    "PageUp": "\ue00e",
    "PageDown": "\ue00f",
    "ArrowLeft": "\ue012",
    "ArrowUp": "\ue013",
    "ArrowRight": "\ue014",
    "ArrowDown": "\ue015",
    "Ctrl+A": _CONTROL + "a",
    "Ctrl+C": _CONTROL + "c",
    "Ctrl+V": _CONTROL + "v",
}
"""Keys that can be pressed, with WebDriver's codes; there are no others, such as those that open other pages."""

_FORMS = (
    ("click", re.compile(r"click (?:on )?\[?(\d{1,7})\]?", re.IGNORECASE)),
    ("type", re.compile(r"type (?:in(?:to)? )?\[?(\d{1,7})\]? ?[:,]? ?(.*)", re.IGNORECASE | re.DOTALL)),
    ("select", re.compile(r"select (?:in )?\[?(\d{1,7})\]? ?[:,]? ?(.+)", re.IGNORECASE | re.DOTALL)),
    ("press", re.compile(r"press (\S+)", re.IGNORECASE)),
    ("scroll", re.compile(r"scroll (down|up)(?: (?:in )?\[?(\d{1,7})\]?)?", re.IGNORECASE)),
)

_EPISODE_MILLISECONDS = 1_000_000_000
"""Pages end an episode after some seconds, which a model cannot keep; this is more than eleven days."""

_START_SCRIPT = """
core.EPISODE_MAX_TIME = arguments[1];
if (window.jQuery) jQuery.fx.off = true;
document.addEventListener('submit', event => event.preventDefault(), true);
Math.seedrandom(arguments[0]);
core.startEpisodeReal();
"""

_SETTLE_SCRIPT = """
const finish = arguments[0];
const deadline = performance.now() + 1500;
let quiet = setTimeout(end, 60);
const watch = new MutationObserver(() => {
  clearTimeout(quiet);
  quiet = setTimeout(end, Math.max(0, Math.min(60, deadline - performance.now())));
});
watch.observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
function end() { watch.disconnect(); finish(typeof WOB_TASK_READY === 'undefined' || WOB_TASK_READY); }
"""
"""Waits until the page has not changed for a moment."""

_CLICK_SCRIPT = "core.elementClick(arguments[0]);"
_FOCUS_SCRIPT = (
    "const e = core.previousDOMInfo[arguments[0]]; core.elementClick(arguments[0]); if (e.select) e.select();"
)
_SELECT_SCRIPT = """
const list = core.previousDOMInfo[arguments[0]];
list.focus();
list.options[arguments[1]].selected = true;
for (const kind of ['input', 'change']) list.dispatchEvent(new Event(kind, {bubbles: true}));
"""
_SCROLL_SCRIPT = """
let area = arguments[0] ? core.previousDOMInfo[arguments[0]] : null;
while (area && !(area.scrollHeight > area.clientHeight + 2 && getComputedStyle(area).overflowY !== 'visible'))
  area = area.parentElement;
(area || document.scrollingElement).scrollBy(0, arguments[1]);
"""


class MiniWoBEnv(SimulatorEnv[PageTask]):
    """Do what a web page asks for (MiniWoB++, Liu et al. 2018), in a headless Chromium.

    The page is told as text: one line for each thing that can be seen, with its role, name, value and state, and a
    number where it can be used. Numbers stay the same during an episode. Actions are ``click [5]``,
    ``type [5] "words"``, ``select [5] "option"``, ``press Enter``, ``scroll down``. What the agent writes reaches the
    page as keystrokes, numbers of elements and options that the page itself offers; it is never run as a script.

    The score is 1 where the page rewards with 1, and else 0. ``info["metrics"]`` has the page's own ``raw_reward`` in
    [-1, 1], without its discount for time. The page's time limit is lifted.

    Pages have no state that could be put back, so :meth:`snapshot` refuses. Each environment has a browser of its own,
    started at the first reset, and ended by :meth:`close` and whatever else ends the process. A browser that crashes
    or hangs makes the episode an error, and the next reset starts a new one.
    """

    env_id = "acenv/MiniWoB-v0"
    branches = False

    def __init__(
        self,
        *,
        task: str = "mixed",
        difficulty: Difficulty = "medium",
        split: Split = "test",
        max_steps: int = 30,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment.

        Args:
            task: ``"mixed"``: each episode's seed decides among the tasks of the difficulty; or the name of one of
                the pages, such as ``"click-test-2"``.
            difficulty: Which tasks ``"mixed"`` draws from: one or two clicks or a text to type; forms, tables and
                widgets; mail, flights, social media.
            split: Which seeds of the pages to draw; ``"train"`` and ``"test"`` have none in common.
            max_steps: Actions after which an episode is cut.
            render_mode: ``"ansi"`` or None.

        Raises:
            MissingSimulatorError: miniwob, chromium or chromedriver is not installed.
            ValueError: A value that is not one of those named above.
        """
        super().__init__(difficulty=difficulty, split=split, max_steps=max_steps, render_mode=render_mode)
        self.name = task if task == "mixed" else check_task(task)
        self._browser: Browser | None = None
        self._page = Page("")
        self._address = ""

    def sample_task(self, rng: np.random.Generator) -> PageTask:
        """Draw a task of the difficulty, and a seed for its page."""
        name = pick(rng, TASKS[self.difficulty]) if self.name == "mixed" else self.name
        return PageTask(name, int(rng.integers(2**31)))

    def fingerprint(self, task: PageTask) -> str:
        """The task and its seed; the simplest pages have so few variants that only seeds tell them apart."""
        return f"{task.name} {task.seed}"

    def begin(self, task: PageTask) -> str:
        """Rules, instruction and page.

        Raises:
            BrowserError: The browser does not start, or has crashed, or does not answer.
        """
        if self._browser is None:
            self._browser = Browser()
        self._guard(lambda browser: browser.open((pages() / f"{task.name}.html").as_uri()))
        self._guard(lambda browser: browser.run(_START_SCRIPT, str(task.seed), _EPISODE_MILLISECONDS))
        self._address = (pages() / f"{task.name}.html").as_uri()
        self._look()
        rules = _RULES.format(keys=", ".join(KEYS))
        return f"{rules}\nTask: {self._page.instruction}\nPage:\n{self._page.text}"

    def act(self, command: str) -> Turn:
        """Do one action on the page.

        Raises:
            BrowserError: The browser has crashed, or does not answer.
        """
        complaint = self._do(command)
        if complaint:
            return Turn(f"{complaint}\nPage:\n{self._page.text}", 0.0, valid=False, fault=self._fault_of(command))
        self._look()
        page = self._page
        if page.address != self._address:
            return Turn("You have left the page, and the task with it.", 0.0, done=True)
        if page.done:
            won = page.reward >= 1.0
            return Turn(
                "The task is done." if won else "The task is over; it was not done right.", float(won), done=True
            )
        return Turn(f"Page:\n{page.text}", 0.0)

    def valid_actions(self) -> list[str]:
        """Clicks, texts and options for all that can be seen, keys, and scrolling."""
        usable = [element for element in self._page.elements if element.ref > 0]
        clicks = [f"click [{element.ref}]" for element in usable]
        texts = [f'type [{element.ref}] "..."' for element in usable if _takes_text(element)]
        options = [f'select [{element.ref}] "{option}"' for element in usable for option in element.options]
        return [*texts, *options, *clicks, "scroll down", "scroll up", *(f"press {key}" for key in KEYS)]

    def expert_action(self) -> str:
        """The next action of rules that acenv has for some easy tasks.

        Raises:
            NotImplementedError: There are none for this task.
        """
        return expert(self.task.name, self._page)

    def metrics(self) -> dict[str, float]:
        """The page's reward without its discount for time."""
        return {"raw_reward": self._page.reward}

    def labels(self) -> dict[str, str]:
        """The task, and ``"hard"`` for those that ``difficulty="hard"`` draws."""
        return {"task": self.task.name, "level": "hard" if self.task.name in TASKS["hard"] else "easy"}

    def close(self) -> None:
        """End the browser; the next reset starts a new one."""
        if self._browser is not None:
            self._browser.close()
            self._browser = None
        super().close()

    def _guard(self, request: Callable[[Browser], ResultT]) -> ResultT:
        """Ask the browser; one that fails is given up, so that the next reset starts another."""
        if self._browser is None:
            raise BrowserError("the browser of this episode is gone: call reset()")
        try:
            return request(self._browser)
        except BrowserError:
            self.close()
            raise

    def _look(self) -> None:
        """Wait until the page stands still, and read it."""
        for _ in range(20):
            if self._guard(lambda browser: browser.run_async(_SETTLE_SCRIPT)):
                break
        raw = self._guard(lambda browser: browser.run(READ_SCRIPT))
        self._page = read_page(raw) if raw is not None else Page(self._page.instruction)

    def _do(self, command: str) -> str:
        """Do what a command says; what is wrong with it, or nothing."""
        verb, match = next(((v, m) for v, form in _FORMS if (m := form.fullmatch(command))), ("", None))
        if match is None:
            return (
                'This is no action. Write one of: click [5], type [5] "some words", select [5] "an option", '
                "press KEY, scroll down, scroll up."
            )
        if verb == "press":
            key = next((key for key in KEYS if key.lower() == match[1].lower().strip(" .<>[]\"'")), None)
            if key is None:
                return f"There is no such key. The keys are {', '.join(KEYS)}."
            self._guard(lambda browser: browser.press(KEYS[key]))
            return ""
        number = match[2] if verb == "scroll" else match[1]
        element = self._page.find(int(number)) if number else None
        if number and element is None:
            return f"There is no thing with the number {number}."
        if verb == "scroll":
            amount = 100 if match[1].lower() == "down" else -100
            self._guard(lambda browser: browser.run(_SCROLL_SCRIPT, element.ref if element else 0, amount))
            return ""
        assert element is not None
        if "disabled" in element.states:
            return f"Thing {number} is disabled."
        if verb == "click":
            self._guard(lambda browser: browser.run(_CLICK_SCRIPT, element.ref))
            return ""
        words = unquote(match[2])
        return self._type(element, words) if verb == "type" else self._select(element, words)

    def _fault_of(self, command: str) -> Fault:
        """What is wrong with a command that :meth:`_do` has refused."""
        verb, match = next(((v, m) for v, form in _FORMS if (m := form.fullmatch(command))), ("", None))
        if match is None:
            return misread(command, [v for v, _ in _FORMS])
        number = match[2] if verb == "scroll" else match[1]
        named = verb == "press" or (number and self._page.find(int(number)) is None)
        return "wrong argument" if named or verb == "select" else "invalid in this world"

    def _type(self, element: Element, words: str) -> str:
        if not _takes_text(element):
            return f"Thing {element.ref} is no text box."
        if not words.isprintable() or any(ord(c) > 0xFFFF or 0xE000 <= ord(c) <= 0xF8FF for c in words):
            return "Some of these characters cannot be typed."
        self._guard(lambda browser: browser.run(_FOCUS_SCRIPT, element.ref))
        self._guard(lambda browser: browser.press(*words or KEYS["Delete"]))
        return ""

    def _select(self, element: Element, words: str) -> str:
        if not element.options:
            return f"Thing {element.ref} is no list."
        wanted = " ".join(words.split())
        if wanted not in element.options:
            return f"The list has no such option; it has {', '.join(element.options)}."
        index = element.options.index(wanted)
        self._guard(lambda browser: browser.run(_SELECT_SCRIPT, element.ref, index))
        return ""


def unquote(text: str) -> str:
    """Text without the quotes around it.

    >>> unquote('"some words"'), unquote("it's"), unquote('say "yes"')
    ('some words', "it's", 'say "yes"')
    """
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text


def _takes_text(element: Element) -> bool:
    return element.role == "text box"

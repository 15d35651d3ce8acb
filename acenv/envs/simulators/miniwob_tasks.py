"""The tasks of MiniWoB by difficulty, and rules that solve the easy ones."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from acenv.envs.base import Difficulty
from acenv.envs.simulators.miniwob_page import Element, Page

TASKS: dict[Difficulty, tuple[str, ...]] = {
    "easy": (
        *("click-button", "click-link", "click-option", "click-test", "click-test-2", "click-dialog", "focus-text"),
        *("focus-text-2", "enter-text", "enter-password"),
    ),
    "medium": (
        *("choose-list", "click-button-sequence", "click-checkboxes", "click-checkboxes-large", "click-collapsible"),
        *("click-dialog-2", "click-tab", "click-tab-2-easy", "click-widget", "enter-date", "enter-text-dynamic"),
        *("enter-time", "find-word", "form-sequence", "form-sequence-2", "form-sequence-3", "login-user"),
        *("login-user-popup", "multi-layouts", "multi-orderings", "navigate-tree", "read-table", "search-engine"),
        *("simple-algebra", "simple-arithmetic", "tic-tac-toe", "unicode-test", "use-spinner"),
    ),
    "hard": (
        *("book-flight-nodelay", "buy-ticket", "choose-date-nodelay", "click-checkboxes-soft"),
        *("click-checkboxes-transfer", "click-collapsible-2-nodelay", "click-scroll-list", "click-tab-2-hard"),
        *("copy-paste", "copy-paste-2", "email-inbox", "email-inbox-delete", "email-inbox-forward"),
        *("email-inbox-forward-nl", "email-inbox-important", "email-inbox-nl-turk", "email-inbox-reply"),
        *("email-inbox-star-reply", "find-greatest", "guess-number", "order-food", "phone-book", "read-table-2"),
        *("sign-agreement", "social-media", "social-media-all", "social-media-some", "terminal"),
        "use-autocomplete-nodelay",
    ),
}
"""What ``"mixed"`` draws from: tasks that words can solve. Those that need the picture, the mouse's path or a quick
hand (drawing, dragging, moving targets) can be asked for by name."""


@dataclass(frozen=True, slots=True)
class PageTask:
    """A MiniWoB task with the seed of its page."""

    name: str
    seed: int


@cache
def pages() -> Path:
    """The folder with the pages of all tasks."""
    import miniwob

    return Path(miniwob.__file__).parent / "html" / "miniwob"


def check_task(name: str) -> str:
    """The name of a task, with or without ``miniwob/`` and a version.

    Raises:
        ValueError: There is no such task; the message has the closest names.
    """
    short = re.sub(r"-v\d+$", "", name.removeprefix("miniwob/"))
    known = sorted(path.stem for path in pages().glob("*.html"))
    if short not in known:
        close = ", ".join(difflib.get_close_matches(short, known, n=3, cutoff=0.3)) or "click-test"
        raise ValueError(f"task must be 'mixed' or one of MiniWoB's {len(known)} tasks, such as {close}, not {name!r}")
    return short


# Experts -----------------------------------------------------------------------------------------------------------


def expert(task: str, page: Page) -> str:
    """The right next action of a task that rules can solve.

    Raises:
        NotImplementedError: There are no rules for it, or they do not fit the page.
    """
    rule = _RULES.get(task)
    if rule is None:
        raise NotImplementedError(
            f"MiniWoB has no expert, and acenv has no rules for {task!r}; it has them for {', '.join(sorted(_RULES))}"
        )
    action = rule(page)
    if action is None:
        raise NotImplementedError(f"the rules for {task!r} do not fit this page: {page.instruction!r}")
    return action


def _quoted(page: Page) -> list[str]:
    return re.findall(r'"([^"]*)"', page.instruction)


def _click(page: Page, role: str, name: str | None = None) -> str | None:
    fits = [e for e in page.elements if e.role == role and name in (None, e.name) and e.ref > 0]
    return f"click [{fits[0].ref}]" if fits else None


def _boxes(page: Page) -> list[Element]:
    return [element for element in page.elements if element.role == "text box"]


def _click_named(page: Page) -> str | None:
    names = _quoted(page)
    fits = [e for e in page.elements if e.ref > 0 and e.name in names[:1] and e.role != "heading"]
    return f"click [{fits[0].ref}]" if fits else None


def _click_option(page: Page) -> str | None:
    if any("checked" in element.states for element in page.elements):
        return _click(page, "button")
    wanted = re.match(r"Select (.*) and click Submit", page.instruction)
    return _click(page, "radio button", wanted[1]) if wanted else None


def _close_dialog(page: Page) -> str | None:
    close = [e for e in page.elements if e.role == "button"]
    return f"click [{close[0].ref}]" if close else None


def _focus(page: Page) -> str | None:
    boxes = _boxes(page)
    ordinal = re.search(r"(\d+)(?:st|nd|rd|th)", page.instruction)
    index = int(ordinal[1]) - 1 if ordinal else 0
    return f"click [{boxes[index].ref}]" if index < len(boxes) else None


def _enter(page: Page) -> str | None:
    names = _quoted(page)
    for box in _boxes(page):
        if names and box.value != names[0]:
            return f'type [{box.ref}] "{names[0]}"'
    return _click(page, "button")


def _log_in(page: Page) -> str | None:
    for box, text in zip(_boxes(page), _quoted(page), strict=False):
        if box.value != text:
            return f'type [{box.ref}] "{text}"'
    return _click(page, "button")


def _check_boxes(page: Page) -> str | None:
    wanted = re.match(r"Select (.*) and click Submit", page.instruction)
    if wanted is None:
        return None
    names = [] if wanted[1] == "nothing" else wanted[1].split(", ")
    for element in page.elements:
        if element.role == "checkbox" and (element.name in names) != ("checked" in element.states):
            return f"click [{element.ref}]"
    return _click(page, "button")


def _choose(page: Page) -> str | None:
    wanted = re.match(r"Select (.*) from the list and click Submit", page.instruction)
    box = next((e for e in page.elements if e.role == "list"), None)
    if wanted is None or box is None:
        return None
    if f'"{wanted[1]}" is chosen' not in box.states:
        return f'select [{box.ref}] "{wanted[1]}"'
    return _click(page, "button")


_RULES: dict[str, Callable[[Page], str | None]] = {
    "click-button": _click_named,
    "click-link": _click_named,
    "click-option": _click_option,
    "click-test": lambda page: _click(page, "button"),
    "click-test-2": lambda page: _click(page, "button", "ONE"),
    "click-dialog": _close_dialog,
    "click-checkboxes": _check_boxes,
    "click-checkboxes-large": _check_boxes,
    "choose-list": _choose,
    "enter-password": _enter,
    "enter-text": _enter,
    "focus-text": _focus,
    "focus-text-2": _focus,
    "login-user": _log_in,
}

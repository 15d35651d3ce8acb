"""A MiniWoB page in words: what is on it, with a number for each thing that can be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

READ_SCRIPT = """
if (typeof core === 'undefined' || typeof WOB_DONE_GLOBAL === 'undefined') return null;
const instruction = core.getUtterance();
const page = {
  done: WOB_DONE_GLOBAL, reward: WOB_RAW_REWARD_GLOBAL, address: location.href.split(/[?#]/)[0],
  instruction: typeof instruction === 'string' ? instruction : instruction.utterance, elements: [],
};
if (page.done) return page;
const words = text => (text || '').replace(/\\s+/g, ' ').trim();
const walk = (info, label, parent, siblings) => {
  const element = core.previousDOMInfo[info.ref];
  if (element && !element.checkVisibility({visibilityProperty: true})) return;
  const one = {ref: info.ref, tag: info.tag.toLowerCase(), text: words(info.text), value: info.value};
  if (element) {
    const style = getComputedStyle(element);
    const labels = [...(element.labels || [])].map(l => words(l.textContent)).join(' ');
    one.name = words(element.getAttribute('aria-label') || labels || element.placeholder || element.title ||
                     element.alt || '');
    one.kind = words((typeof element.className === 'string' && element.className) || element.id);
    one.role = element.getAttribute('role');
    one.focused = !!info.focused && info.tag !== 'BODY';
    one.disabled = !!element.disabled;
    one.active = /(^| )(active|selected|ui-state-active|ui-tabs-active|ui-selected)( |$)/.test(one.kind);
    one.pointer = style.cursor === 'pointer';
    one.svg = element instanceof SVGElement;
    one.drawn = style.backgroundImage !== 'none' || (!!one.kind && Math.max(info.width, info.height) <= 60);
    if (one.svg) one.colour = element.getAttribute('fill') || style.fill;
    else if (!/rgba\\(.*, 0\\)|rgb\\(255, 255, 255\\)/.test(style.backgroundColor)) one.colour = style.backgroundColor;
    one.scrolls = element.scrollHeight > element.clientHeight + 2 && /auto|scroll/.test(style.overflowY);
    if (element instanceof HTMLSelectElement) {
      one.options = [...element.options].map(o => words(o.text));
      one.chosen = [...element.selectedOptions].map(o => words(o.text));
    }
  }
  if (!element && siblings.filter(other => other.tag === 't').length === 1) {
    one.ref = +parent.dataset.wob_ref;  // The only words of what holds them, beside an icon, say: it can be clicked.
    one.pointer = getComputedStyle(parent).cursor === 'pointer';
  }
  const leaf = !info.children.length || one.options || (element instanceof HTMLButtonElement) ||
               (element instanceof HTMLAnchorElement);
  if (leaf && !one.text && element && !one.options) one.text = words(element.textContent);
  one.leaf = !!leaf;
  // The text of a label is the name of its control, and is not said twice.
  const inside = label || (element instanceof HTMLLabelElement && !!element.control);
  if (!(inside && ['t', 'label', 'span'].includes(one.tag))) page.elements.push(one);
  if (!leaf) info.children.forEach(child => walk(child, inside, element, info.children));
};
walk(core.getDOMInfo(), false, null, []);
return page;
"""
"""Gives the state of the task and all elements that are rendered, in the order of the document."""

_ROLES = {
    "a": "link",
    "button": "button",
    "input_button": "button",
    "input_submit": "button",
    "input_checkbox": "checkbox",
    "input_radio": "radio button",
    "textarea": "text box",
    "select": "list",
    "img": "image",
    "li": "item",
    "th": "cell",
    "td": "cell",
    "t": "text",
}
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_SHAPES = ("circle", "rect", "polygon", "ellipse", "line", "path", "polyline")
_TEXT_INPUTS = ("text", "password", "search", "email", "number", "date", "time", "tel", "url")


@dataclass(frozen=True, slots=True)
class Element:
    """A thing on the page.

    Attributes:
        ref: The page's own number of it, which stays the same during an episode.
        role: What it is: ``"button"``, ``"link"``, ``"text box"``, ``"checkbox"``, ``"text"`` and so on.
        name: Its text or label.
        states: What else can be seen: ``"checked"``, ``"focused"``, a color.
        value: What is written in a text box.
        options: What a list offers.
    """

    ref: int
    role: str
    name: str
    states: tuple[str, ...] = ()
    value: str = ""
    options: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The element as the agent reads it."""
        words = [f"[{self.ref}] {self.role}" if self.ref > 0 else self.role]
        if self.name:
            words.append(f'"{self.name}"')
        if self.value:
            words.append(f'with the text "{self.value}"')
        if self.options:
            words.append("of " + ", ".join(f'"{option}"' for option in self.options))
        return " ".join(words) + (f" ({', '.join(self.states)})" if self.states else "")


@dataclass(frozen=True, slots=True)
class Page:
    """A page at one moment.

    Attributes:
        instruction: What the agent is asked to do.
        elements: What can be seen, in the order of the document.
        done: Whether the page has ended the task.
        reward: The page's reward without its time discount, in [-1, 1]; 0 until it is done.
        address: Where the page lies.
    """

    instruction: str
    elements: tuple[Element, ...] = ()
    done: bool = False
    reward: float = 0.0
    address: str = ""

    @property
    def text(self) -> str:
        """All elements, one a line."""
        return "\n".join(element.line for element in self.elements) or "The page is empty."

    def find(self, ref: int) -> Element | None:
        """The element with a number, if it can be seen."""
        return next((element for element in self.elements if element.ref == ref > 0), None)


def read_page(raw: dict[str, Any]) -> Page:
    """Turn what :data:`READ_SCRIPT` gives into a page."""
    elements = tuple(_element(one) for one in raw["elements"] if _worth_telling(one))
    return Page(
        instruction=raw["instruction"],
        elements=elements,
        done=bool(raw["done"]),
        reward=float(raw["reward"] or 0.0),
        address=raw["address"],
    )


def _worth_telling(one: dict[str, Any]) -> bool:
    tag = one["tag"]
    if tag == "t" or tag in _ROLES or tag.startswith("input_") or one.get("scrolls"):
        return bool(one["text"]) or tag not in ("t", "li", "th", "td")
    if not one["leaf"] or tag in ("br", "hr", "body") or one.get("kind") == "spacer":
        return False
    if one.get("svg"):
        return tag in _SHAPES or bool(one["text"])
    return bool(one["text"]) or bool(one.get("pointer") or one.get("colour") or one.get("drawn"))


def _element(one: dict[str, Any]) -> Element:
    tag = one["tag"]
    kind = tag.removeprefix("input_") if tag.startswith("input_") else ""
    writes = kind in _TEXT_INPUTS or tag == "textarea"
    role = _ROLES.get(tag) or ("" if one.get("role") in (None, "status", "presentation") else one["role"])
    if not role:
        if writes:
            role = "text box"
        elif kind:
            role = f"{kind} input"
        elif tag in _HEADINGS:
            role = "heading"
        elif one.get("svg"):
            role = "text" if tag == "text" else tag
        elif one.get("scrolls") and not one["leaf"]:
            role = "scrollable area"
        else:
            role = "text" if one["text"] else "icon"
    value = one.get("value")
    button = role == "button"
    name = one.get("name") or (str(value or "") if button and kind else one["text"] if not writes else "")
    if not name and role in ("icon", "image", "link", "button"):
        name = one.get("kind") or ""
    states = [state for state in ("focused", "disabled", "active") if one.get(state)]
    if one.get("scrolls") and role != "scrollable area":
        states.append("scrolls")
    if role == "text" and one.get("pointer"):
        states.append("clickable")
    if kind in ("checkbox", "radio") and value:
        states.insert(0, "checked")
    if role in ("icon", *_SHAPES) and one.get("colour"):
        states.append(str(one["colour"]))
    states += [f'"{option}" is chosen' for option in one.get("chosen") or ()]
    return Element(
        ref=int(one["ref"]),
        role=role,
        name=name,
        states=tuple(states),
        value=str(value or "") if writes or (kind and not button and kind not in ("checkbox", "radio")) else "",
        options=tuple(one.get("options") or ()),
    )

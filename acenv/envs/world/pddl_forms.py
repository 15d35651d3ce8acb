"""The brackets of PDDL: nested lists of names, each with its line for complaints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from acenv.envs.sources import RecordError, describe

_COMMENT = re.compile(r";[^\n]*")
_TOKEN = re.compile(r"[()]|[^\s()]+")
_NAME = re.compile(r"\w[\w-]*")
_LOOSE_HYPHEN = re.compile(r"(?<!\w)-|-(?!\w)")

OBJECT = "object"
"""The type of everything."""


@dataclass(frozen=True, slots=True)
class Form:
    """A list in brackets.

    Attributes:
        path: The file, for complaints.
        line: Where it begins, from 1.
        items: Words in small letters, and lists.
    """

    path: Path
    line: int
    items: list[str | Form] = field(default_factory=list)

    @property
    def head(self) -> str:
        """The word that says what the list is."""
        first = self.items[0] if self.items else ""
        return first if isinstance(first, str) and first else self.refuse("a list that begins with a word", str(self))

    def refuse(self, expected: str, got: str) -> NoReturn:
        """Say what is wrong in this place."""
        raise RecordError(self.path, f"in line {self.line}", expected, got)

    def rest(self, start: int = 1) -> Iterator[Form]:
        """The lists from an index on."""
        for item in self.items[start:]:
            yield item if isinstance(item, Form) else self.refuse(f"only lists in ({self.head} ...)", describe(item))

    def words(self, start: int = 1) -> list[str]:
        """The words from an index on."""
        return [i if isinstance(i, str) else self.refuse("a word", f"the list {i}") for i in self.items[start:]]

    def name(self, index: int) -> str:
        """The name at an index."""
        item = self.items[index] if index < len(self.items) else ""
        return self.plain(item) if isinstance(item, str) and item else self.refuse("a name", f"none in {self}")

    def plain(self, word: str) -> str:
        """See :func:`plain_name`; anything that is no name is refused."""
        if not _NAME.fullmatch(word):
            self.refuse("a name of letters, digits, hyphens and underscores", describe(word))
        return plain_name(word)

    def typed(self, start: int = 1) -> list[tuple[str, str]]:
        """A list of words with types, ``a b - t c``; what has no type is an object."""
        found: list[tuple[str, str]] = []
        waiting: list[str] = []
        items = self.items[start:]
        while items:
            item = items.pop(0)
            if isinstance(item, Form):
                self.refuse("a word", f"the list {item}")
            if item != "-":
                waiting.append(item)
                continue
            kind = items.pop(0) if items else ""
            if isinstance(kind, Form):
                kind.refuse("the name of a type", f"{kind}; (either ...) is not supported")
            found += [(word, self.plain(kind)) for word in waiting]
            waiting = []
        return found + [(word, OBJECT) for word in waiting]

    def __str__(self) -> str:
        inside = " ".join(map(str, self.items[:6])) + (" ..." if len(self.items) > 6 else "")
        return f"({inside})"[:80]


def plain_name(word: str) -> str:
    """A name as it can be said, where hyphens stand between letters.

    >>> plain_name("pick-up"), plain_name("b--1-")
    ('pick-up', 'b__1_')
    """
    return _LOOSE_HYPHEN.sub("_", word)


def read_form(path: Path) -> Form:
    """The one list that a PDDL file is.

    Raises:
        RecordError: The brackets do not match, there is something outside of them, or it is no text in UTF-8.
    """
    try:
        text = _COMMENT.sub("", path.read_text(encoding="utf-8")).lower()
    except UnicodeDecodeError as error:
        raise RecordError(path, None, "a text in UTF-8", f"something else ({error})") from error
    top = Form(path, 1)
    stack = [top]
    line, seen = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", seen, match.start())
        seen = match.start()
        token = match.group()
        if token == "(":
            form = Form(path, line)
            stack[-1].items.append(form)
            stack.append(form)
        elif token != ")":
            stack[-1].items.append(token)
        elif len(stack) > 1:
            stack.pop()
        else:
            raise RecordError(path, f"in line {line}", "brackets that match", "one ')' too many")
    if len(stack) > 1:
        stack[-1].refuse("brackets that match", "a '(' that is never closed")
    if len(top.items) != 1 or not isinstance(top.items[0], Form):
        raise RecordError(path, None, "one (define ...)", "nothing" if not top.items else "something beside it")
    return top.items[0]

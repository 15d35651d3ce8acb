"""Whatever a model or a server says, a parser reads it or says what is wrong, in the way it documents."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.parsers import PARSERS, parse
from tests.fuzz.programs import FRAGMENTS

STARTS = (
    *('{"name": "f", "arguments": {"a": 1}}', "[f(a=[1, 2]), f(b='x')]", "Action: f with Action Input: {'a': 1}"),
    *("Node:\n1: a\n2: b\nEdge: (START,1) (1,2) (2,END)", '[{"name": "a.b", "id": 0, "args": {}}]', "go to shelf 1"),
    *("Answer_1:\n3 + 4 = 7. The answer is 7.\n\nAnswer_2: (B)", "new int[]{1, 2}", "[[1, 2], ['a']]", "{a: [1, 'x']}"),
    *('new HashMap<String, Integer>() {{ put("a", 1); }}', 'new ArrayList<>() {{ add("a"); }}', "The answer is C."),
    *('{"env_id": "a", "seed": 0, "messages": [], "tools": [], "steps": []}', '{"a": {"b": [1, {"c": "d"}]}}'),
)

pieces = st.one_of(st.text(max_size=30), st.sampled_from(FRAGMENTS))


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Texts that are nearly right: something that is, with pieces put in, taken out or repeated."""
    text = draw(st.one_of(st.sampled_from(STARTS), st.text(max_size=80), st.lists(pieces, max_size=5).map("".join)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        to = min(len(text), at + draw(st.integers(0, 12)))
        text = text[:at] + draw(st.one_of(pieces, st.just(text[at:to] * 3))) + text[to:]
    return text


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts())
def test_a_text_is_read_or_refused(name: str, text: str) -> None:
    parse(name, text)


@pytest.mark.parametrize("name", PARSERS)
def test_long_rows_of_anything_are_read_or_refused(name: str) -> None:
    for piece in FRAGMENTS:
        parse(name, (piece * 4000)[:4000])


@pytest.mark.parametrize("name", ["Python calls", "service calls", "T-Eval values", "literals", "plans"])
def test_what_python_thinks_of_a_text_is_told_nobody(name: str) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        action = "Action: f with Action Input: {'a': 1if 1 else 2, 'b': '\\d'}"
        for text in (action, "{'a': '\\d'}", "f(a=1if 1 else 2)"):
            parse(name, text)
    assert not told

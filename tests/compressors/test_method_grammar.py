"""Passes, overrides and ignored layers in method strings."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.compressors import parse
from acenv.compressors.options import Target

LINEARS = [
    f"model.layers.{layer}.{name}"
    for layer in range(3)
    for name in ("self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj")
]


def targets(text: str) -> dict[str, Target]:
    (step,) = parse(text).passes
    return {name: options.target() for name, options in step.layers(LINEARS, ["model.embed_tokens"]).items()}


def test_without_overrides_all_layers_are_alike() -> None:
    assert targets("rtn:bits=3") == dict.fromkeys(LINEARS, Target(bits=3, group_size=128))


def test_the_last_override_that_matches_counts() -> None:
    found = targets("gptq:bits=4,group_size=32@*.down_proj:bits=8@model.layers.0.*:bits=2@model.layers.0.mlp.*:keep")
    assert found["model.layers.1.mlp.up_proj"] == Target(bits=4, group_size=32)
    assert found["model.layers.1.mlp.down_proj"] == Target(bits=8, group_size=32)
    assert found["model.layers.0.self_attn.q_proj"] == Target(bits=2, group_size=32)
    assert "model.layers.0.mlp.down_proj" not in found
    # An override adds to what holds for all layers, and not to an override before it.
    found = targets("gptq:bits=4,group_size=32@*.down_proj:bits=8@model.layers.0.*:group_size=64")
    assert found["model.layers.0.mlp.down_proj"] == Target(bits=4, group_size=64)
    assert targets("rtn@*.down_proj:keep@*.2.*:bits=3")["model.layers.2.mlp.down_proj"].bits == 3


def test_ignored_layers_stay_dense() -> None:
    found = targets("rtn:ignore=*.q_proj|model.layers.[01].*|lm_head|model.embed_tokens,bits=8")
    assert list(found) == [f"model.layers.2.{name}" for name in ("self_attn.o_proj", "mlp.up_proj", "mlp.down_proj")]
    # Whatever an override says.
    assert "model.layers.2.mlp.up_proj" not in targets("rtn:ignore=*.up_proj@*.up_proj:bits=8")


def test_an_override_may_replace_the_pattern_by_a_sparsity() -> None:
    found = targets("wanda:pattern=2:4@*.q_proj:sparsity=0.25@*.o_proj:pattern=1:4@*.up_proj:sparsity=0.75,pattern=3:4")
    assert found["model.layers.0.mlp.down_proj"] == Target(sparsity=0.5, pattern=(2, 4))
    assert found["model.layers.0.self_attn.q_proj"] == Target(sparsity=0.25)
    assert found["model.layers.0.self_attn.o_proj"] == Target(sparsity=0.25, pattern=(1, 4))
    assert found["model.layers.0.mlp.up_proj"] == Target(sparsity=0.75, pattern=(3, 4))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rtn@*.downproj:bits=8", "'*.downproj' matches no layer of this model; it has *.down_proj"),
        ("rtn:ignore=model.layers.7.mlp.up_proj", "it has model.layers."),
        ("rtn:ignore=nothing.like.this.at.all", "matches no layer"),
        ("rtn@model.embed_tokens:bits=8", "matches no layer"),  # it is never compressed
        ("rtn:ignore=*", "every layer is ignored"),
        ("rtn@*_proj:keep", "every layer is ignored or kept"),
    ],
)
def test_patterns_that_do_not_fit_the_model(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        targets(text)


def test_two_passes() -> None:
    method = parse("wanda:pattern=2:4 + gptq:bits=4,group_size=64")
    assert [step.name for step in method.passes] == ["wanda", "gptq"]
    assert method.slug == "wanda-2x4-gptq-4bit-g64"
    assert method.needs_calibration
    assert not parse("magnitude+rtn").needs_calibration
    assert parse(str(method)) == method


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gptq+wanda", "one pruning (wanda, sparsegpt, magnitude) and then at most one quantising (gptq, "),
        ("wanda+magnitude", "has the passes wanda, magnitude"),
        ("gptq+rtn", "has the passes gptq, rtn"),
        ("wanda+gptq+rtn", "such as wanda:pattern=2:4+gptq:bits=4"),
        ("wanda+", "unknown method '' between its + signs"),
        ("wanda+gptk", "did you mean gptq?"),
        ("wanda+gptq:bits=5", "gptq: bits must be one of"),
        ("gptq@*.down_proj", "is no @GLOB:option=value"),
        ("gptq@:bits=4", "gptq: '' is no pattern over the names of modules"),
        ("gptq@a b:bits=4", "'a b' is no pattern over the names of modules"),
        ("gptq@x:", "is no @GLOB:option=value; write it like gptq@*.down_proj:bits=8"),
        ("gptq@x:bits=5", "gptq: bits must be one of 2, 3, 4, 8, not 5"),
        ("gptq@x:bit=8", "did you mean bits?"),
        ("gptq@x:kep", "is no option=value"),
        ("gptq@x:ignore=y", "leave single layers dense with @x:keep"),
        ("gptq:ignore=", "is no option=value"),
        ("gptq:ignore=a||b", "'' is no pattern"),
        ("gptq:ignor=a", "did you mean ignore?"),
        ("gptq:ignore=a,ignore=b", "gives ignore twice"),
        ("wanda@x:pattern=2:4,sparsity=0.6", "wanda@x: pattern=2:4 always means sparsity=0.5"),
    ],
)
def test_errors_name_the_fix(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(text)


@st.composite
def method_strings(draw: Callable[[st.SearchStrategy[Any]], Any]) -> str:
    options = {
        "gptq": {
            "bits": st.sampled_from([2, 3, 4, 8]),
            "group_size": st.sampled_from([16, 128, -1]),
            "desc_act": st.sampled_from(["true", "False"]),
            "damp": st.floats(0.001, 0.9).map(lambda x: round(x, 9)),
        },
        "rtn": {"bits": st.integers(2, 8), "group_size": st.sampled_from([32, 1024])},
        "wanda": {"sparsity": st.integers(1, 10**9 - 1).map(lambda n: f"{n / 10**9:.9f}")},
        "magnitude": {"pattern": st.integers(2, 16).flatmap(lambda m: st.integers(1, m - 1).map(f"{{}}:{m}".format))},
    }
    glob = st.from_regex(r"[a-z0-9_.*?\[\]!-]{1,12}", fullmatch=True)

    def some(name: str) -> str:
        chosen = draw(st.lists(st.sampled_from(sorted(options[name])), unique=True, min_size=1))
        return ",".join(f"{key}={draw(options[name][key])}" for key in chosen)

    passes = []
    for name in draw(st.sampled_from([["gptq"], ["wanda"], ["magnitude", "rtn"], ["wanda", "gptq"]])):
        text = name
        settings = [some(name)] * draw(st.booleans())
        if draw(st.booleans()):
            settings.append("ignore=" + "|".join(draw(st.lists(glob, min_size=1, max_size=3))))
        text += ":" * bool(settings) + ",".join(settings)
        for pattern in draw(st.lists(glob, max_size=2)):
            text += f"@{pattern}:{draw(st.sampled_from(['keep', some(name)]))}"
        passes.append(text)
    return "+".join(passes)


@settings(max_examples=40)
@given(method_strings(), method_strings())
def test_canonical_text_and_slug_stand_for_the_method(first: str, second: str) -> None:
    a, b = parse(first), parse(second)
    assert parse(str(a)) == a
    assert str(parse(str(a))) == str(a)
    assert (a.slug == b.slug) == (a == b)
    assert re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,59}", a.slug)

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acenv.compressors import METHODS, parse
from acenv.compressors.options import Target


def test_options_and_defaults() -> None:
    method = parse(" GPTQ: bits=3 , group_size=32 ")
    (step,) = method.passes
    assert step.name == "gptq"
    assert step.settings == {"bits": 3, "group_size": 32, "desc_act": False, "sym": True, "damp": 0.01}
    assert str(method) == "gptq:bits=3,group_size=32,desc_act=false,sym=true,damp=0.01"
    assert parse("gptq").passes[0].settings["group_size"] == 128
    assert method.needs_calibration
    assert not parse("rtn").needs_calibration


@pytest.mark.parametrize(
    ("text", "slug", "target"),
    [
        ("gptq:bits=4,group_size=32", "gptq-4bit-g32", Target(bits=4, group_size=32)),
        ("gptq:group_size=-1,desc_act=true,sym=false", "gptq-4bit-row-actorder-asym", Target(bits=4)),
        ("gptq:damp=0.05", "gptq-4bit-g128-damp0.05", Target(bits=4, group_size=128)),
        ("rtn:bits=3", "rtn-3bit-g128", Target(bits=3, group_size=128)),
        ("wanda", "wanda-50", Target(sparsity=0.5)),
        ("rtn:bits=7,group_size=-1", "rtn-7bit-row", Target(bits=7)),
        ("sparsegpt:sparsity=0.625", "sparsegpt-62.5", Target(sparsity=0.625)),
        ("magnitude:sparsity=0.000001", "magnitude-0.0001", Target(sparsity=0.000001)),
        ("wanda:pattern=2:4", "wanda-2x4", Target(sparsity=0.5, pattern=(2, 4))),
        ("magnitude:pattern=4:8,sparsity=0.5", "magnitude-4x8", Target(sparsity=0.5, pattern=(4, 8))),
        ("wanda:pattern=1:4", "wanda-1x4", Target(sparsity=0.25, pattern=(1, 4))),
        ("sparsegpt:pattern=1:3", "sparsegpt-1x3", Target(sparsity=0.333333333, pattern=(1, 3))),
        ("wanda:pattern=15:16", "wanda-15x16", Target(sparsity=0.9375, pattern=(15, 16))),
    ],
)
def test_slug_and_target(text: str, slug: str, target: Target) -> None:
    method = parse(text)
    assert method.slug == slug
    assert method.passes[0].options.target() == target
    assert parse(str(method)) == method


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Known: gptq, "),
        ("gptk:bits=4", "did you mean gptq?"),
        ("gptq:bits=5", "bits must be one of 2, 3, 4, 8, not 5"),
        ("gptq:bits=four", "bits must be a whole number, not 'four'"),
        ("gptq:bits=4.0", "whole number"),
        ("gptq:group_size=33", "group_size must be one of"),
        ("gptq:groupsize=32", "did you mean group_size?"),
        ("gptq:sym=yes", "sym must be true or false"),
        ("gptq:bits=4,bits=4", "gives bits twice"),
        ("gptq:bits", "is no option=value"),
        ("gptq:", "ends with a colon"),
        ("gptq:bits=4,", "is no option=value"),
        ("rtn:desc_act=true", "rtn has no option 'desc_act'"),
        ("wanda:sparsity=1", "above 0 and below 1"),
        ("wanda:sparsity=nan", "must be a number"),
        ("wanda:sparsity=-0.5", "above 0 and below 1"),
        ("gptq:damp=1", "damp must be above 0 and below 1"),
        ("rtn:bits=9", "bits must be one of 2, 3, 4, 5, 6, 7, 8, not 9"),
        ("wanda:pattern=4:4", "with N below M and M at most 16, not '4:4'"),
        ("wanda:pattern=0:4", "pattern must be unstructured, or N:M"),
        ("wanda:pattern=02:4", "pattern must be unstructured, or N:M"),
        ("wanda:pattern=8:17", "M at most 16"),
        ("wanda:pattern=2-4", "such as 2:4"),
        ("wanda:pattern=2:4,sparsity=0.6", "always means sparsity=0.5"),
        ("wanda:pattern=1:4,sparsity=0.5", "pattern=1:4 always means sparsity=0.25; leave one of the two out"),
    ],
)
def test_errors_name_the_fix(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(text)


@given(st.text() | st.builds("{}:{}={}".format, st.sampled_from([*METHODS]), st.text(), st.text()))
def test_junk_gives_a_method_or_a_short_value_error(text: str) -> None:
    try:
        method = parse(text)
    except ValueError as error:
        assert len(str(error)) < 400
    else:
        assert parse(str(method)) == method


def test_importing_and_parsing_needs_no_torch() -> None:
    code = (
        "import sys, acenv.compressors as c; c.parse('gptq:bits=4'); "
        "print(sorted({'torch', 'transformers', 'gptqmodel', 'llmcompressor'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

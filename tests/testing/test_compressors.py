"""The check for compression methods of one's own."""

from __future__ import annotations

import pytest

from acenv.testing import check_compressor

pytest.importorskip("llmcompressor")


def test_a_method_of_the_library_passes() -> None:
    check_compressor("magnitude:sparsity=0.5")


def test_a_method_that_does_not_fit_is_named() -> None:
    with pytest.raises(AssertionError, match="rtn:bits=4,group_size=1024: compressing raised ValueError"):
        check_compressor("rtn:bits=4,group_size=1024")

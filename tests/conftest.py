"""What all tests share."""

from __future__ import annotations

import copy
import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Nothing in the tests may reach for a network, and a model hub that is not there must not cost a minute of retries.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# The same examples in every run; set another profile to look for new ones.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

ROOT = Path(__file__).resolve().parent.parent

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<pad>", "<bos>", "<eos>", "<|im_start|>", "<|im_end|>"]


@pytest.fixture(scope="session")
def parity_dir() -> Path:
    """The folder with the official inputs and outputs; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("ACENV_PARITY_DIR", ROOT.parent / "shared"))
    if not (folder / "oracle").is_dir():
        pytest.skip(f"no official results in {folder}: set ACENV_PARITY_DIR to the folder that holds oracle/")
    return folder


@pytest.fixture
def no_collections() -> Iterator[None]:
    """No garbage is collected meanwhile: after thousands of tests that alone takes a second."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def burn_down(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the engines fail for each method with a text in its string."""
    from acenv.compressors import CompressionError
    from acenv.studies import steps

    compress = steps.compress

    def fail_for(text: str) -> None:
        def fail(source: Any, method: str, *more: Any) -> Any:
            if text in method:
                raise CompressionError("the engine has burnt down")
            return compress(source, method, *more)

        monkeypatch.setattr(steps, "compress", fail)

    return fail_for


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    """A byte-level BPE of 400 tokens with ChatML marks, whose template knows no tools."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["system user assistant the cat sat on the mat and the dog ran home"] * 5, trainer)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>"
    )
    fast.chat_template = TEMPLATE
    return fast


@pytest.fixture(scope="session")
def with_template(tiny_tokenizer: Any) -> Callable[[str | None], Any]:
    """Gives the tokenizer with another chat template."""

    def make(template: str | None) -> Any:
        tokenizer = copy.deepcopy(tiny_tokenizer)
        tokenizer.chat_template = template
        return tokenizer

    return make

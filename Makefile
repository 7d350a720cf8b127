# Each target sets .venv up by itself: Python's own venv and pip, versions pinned by .ci/constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(patsubst %/pyproject.toml,./%,$(wildcard plugins/*/pyproject.toml))
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt

.PHONY: demo test test-deb test-install check bench fuzz deb clean

demo: $(VENV)/.run
	$(BIN)/sessiond demo

# Unit tests first, with the coverage they must have; then real processes, several files at a time;
# then the chaos part, which kills them and breaks what they live on: step by step, and at random.
test: $(VENV)/.real tests/issuer/node_modules/.package-lock.json
	$(BIN)/coverage erase
	COVERAGE_PROCESS_START=pyproject.toml $(BIN)/python -m pytest -n 2 tests/unit tests/fuzz
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --include='sessiond/core/*,sessiond/qipc/*' --fail-under=100
	$(BIN)/python -m pytest -n 4 --dist loadfile -m 'not chaos' tests/integration tests/q tests/bench $(PLUGINS)
	$(BIN)/python -m pytest -n 4 -m chaos tests/integration
	$(BIN)/python -m pytest tests/chaos

# As root on a Debian machine, some minutes each: the package in a booted Debian, and an
# installation by docs/operations.md alone in a Debian made by debootstrap.
test-deb: $(VENV)/.real
	$(BIN)/python -m pytest tests/deb

test-install: $(VENV)/.real
	$(BIN)/python -m pytest tests/install

deb:
	debian/build-deb dist

check: $(VENV)/.real
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	for plugin in $(PLUGINS); do MYPYPATH=$$plugin:$$plugin/tests $(BIN)/mypy $$plugin || exit 1; done
	$(BIN)/lint-imports

bench: $(VENV)/.real tests/issuer/node_modules/.package-lock.json
	$(BIN)/python -m tests.bench

fuzz: $(BIN)/python
	$(PIP) --editable '.[dev,fuzz]'
	$(BIN)/python -m tests.fuzz

clean:
	rm -rf $(VENV) tests/issuer/node_modules

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; set PYTHON=" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml .ci/constraints.txt | $(BIN)/python
	$(PIP) --editable .
	touch $@

$(VENV)/.real: pyproject.toml .ci/constraints.txt $(wildcard plugins/*/pyproject.toml) | $(BIN)/python
	$(PIP) --editable '.[dev,real]'
	$(PIP) --no-build-isolation $(PLUGINS:%=--editable %)
	touch $@ $(VENV)/.run

tests/issuer/node_modules/.package-lock.json: tests/issuer/package-lock.json $(VENV)/.real
	$(BIN)/python -m tests.issuer.install

# Each target sets .venv up by itself: Python's own venv and pip. Whatever comes from the index is a wheel
# of the version and the hash that .ci/pins has, what builds this tree too: nothing is fetched for a build.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(patsubst %/pyproject.toml,./%,$(wildcard plugins/*/pyproject.toml))
TOOLS := $(VENV)/tools
PINS := .ci/pins
INSTALL := -m pip install --quiet --disable-pip-version-check
PINNED := $(BIN)/python $(INSTALL) --require-hashes
OWN := $(BIN)/python $(INSTALL) --no-deps --no-build-isolation
COMPILE := $(TOOLS)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--only-binary :all: --emit-build-options --no-annotate --custom-compile-command 'make pins' $(UPGRADE)

# In pytest's words. What is not `chaos` or `heavy` is what `make test` runs.
UNIT := tests/unit tests/shapes tests/fuzz
REAL := tests/integration tests/q tests/bench tests/chaos $(PLUGINS)
# What is held by tests that read the tree: sizes, layout, what documents name.
WALLS := $(addprefix tests/unit/test_,layout.py log_reference.py map.py messages.py proofs.py sizes.py)
LIGHT := -m 'not chaos and not heavy'
PEERS := $(VENV)/.real $(VENV)/.ldap tests/issuer/node_modules/.package-lock.json tests/clients/dist/javakdb.jar
KEYCLOAK := tests/keycloak/dist/.installed

# The tests start hundreds of daemons: each would compile all of its modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-chaos test-heavy coverage test-deb test-install check bench fuzz deb pins audit clean

demo: $(VENV)/.demo
	$(BIN)/sessiond demo

# Unit tests first, then real processes, several files at a time. The other two have the rest:
# what kills them and breaks what they live on, step by step and at random; and what is heavy.
test: $(PEERS)
	$(BIN)/python -m pytest -n 2 $(LIGHT) $(UNIT)
	$(BIN)/python -m pytest -n 6 --dist loadfile $(LIGHT) $(REAL)

test-chaos: $(PEERS)
	$(BIN)/python -m pytest -n 4 -m chaos $(UNIT) $(REAL)

test-heavy: $(PEERS) $(KEYCLOAK)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m heavy $(UNIT) $(REAL)

# The unit tests once more, and those of the program that people sign in with, with the branches
# counted that they must pass.
coverage: $(PEERS)
	$(BIN)/coverage erase
	COVERAGE_PROCESS_START=pyproject.toml $(BIN)/python -m pytest -n 2 $(UNIT)
	COVERAGE_PROCESS_START=pyproject.toml $(BIN)/python -m pytest -n 2 --dist loadfile plugins/sessiond-login
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='sessiond/*' --fail-under=95
	$(BIN)/coverage report --include='sessiond/core/*,sessiond/qipc/*' --fail-under=100
	$(BIN)/coverage report --include='plugins/*' --fail-under=95

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
	$(BIN)/python -m pytest -q $(WALLS)

# Beside Dovecot's auth where it is installed (apt-get install dovecot-core); writes what it finds.
bench: $(PEERS)
	$(BIN)/python -m tests.bench --profile --document docs/performance.md

fuzz: $(VENV)/.real
	$(PINNED) -r $(PINS)/fuzz.txt
	$(BIN)/python -m tests.fuzz

# After a change of the requirements in pyproject.toml. Versions stay as they are where they can;
# UPGRADE=--upgrade takes the newest of all, UPGRADE='--upgrade-package NAME' of one.
pins: $(TOOLS)/.done
	$(COMPILE) -o $(PINS)/tools.txt $(PINS)/tools.in
	$(COMPILE) -o $(PINS)/build.txt $(PINS)/build.in
	$(COMPILE) -o $(PINS)/run.txt -c $(PINS)/build.txt pyproject.toml
	$(COMPILE) -o $(PINS)/web.txt -c $(PINS)/run.txt -c $(PINS)/build.txt $(PINS)/web.in
	$(COMPILE) -o $(PINS)/dev.txt -c $(PINS)/run.txt -c $(PINS)/web.txt -c $(PINS)/build.txt \
		--extra dev --extra real --extra web pyproject.toml
	$(COMPILE) -o $(PINS)/login.txt -c $(PINS)/dev.txt -c $(PINS)/build.txt plugins/sessiond-login/pyproject.toml
	$(TOOLS)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-build-isolation \
		--no-annotate --custom-compile-command 'make pins' $(UPGRADE) -o $(PINS)/ldap.txt $(PINS)/ldap.in
	$(COMPILE) -o $(PINS)/fuzz.txt -c $(PINS)/dev.txt --extra fuzz pyproject.toml

# Whether a pinned version has a known vulnerability, asked of the package index's advisories; what the
# index cannot be asked about is a failure too.
audit: $(TOOLS)/.done
	for each in run web build login ldap dev fuzz tools; do \
		$(TOOLS)/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
			--vulnerability-service pypi -r $(PINS)/$$each.txt || failed=1; \
	done; test -z "$$failed"

clean:
	rm -rf $(VENV) tests/issuer/node_modules tests/clients/node_modules tests/clients/dist tests/keycloak/dist

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; set PYTHON=" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# The daemon, whatever it is configured for, and the program that people sign in with.
$(VENV)/.demo: pyproject.toml plugins/sessiond-login/pyproject.toml $(addprefix $(PINS)/,run.txt web.txt login.txt build.txt) | $(BIN)/python
	$(PINNED) $(addprefix -r $(PINS)/,run.txt web.txt login.txt build.txt)
	$(OWN) --editable . --editable ./plugins/sessiond-login
	touch $@

$(VENV)/.real: pyproject.toml $(PINS)/dev.txt $(wildcard plugins/*/pyproject.toml) | $(BIN)/python
	$(PINNED) -r $(PINS)/dev.txt
	$(OWN) --editable . $(PLUGINS:%=--editable %)
	touch $@ $(VENV)/.demo

# The one thing that is compiled: there is no wheel of it. Without OpenLDAP's headers the tests that
# need it are listed as not run; in CI they fail.
$(VENV)/.ldap: $(PINS)/ldap.txt $(PINS)/build.txt $(VENV)/.real
	if test -e /usr/include/ldap.h || test "$(CI)" = true; then \
		$(PINNED) -r $(PINS)/build.txt && $(PINNED) --no-build-isolation -r $(PINS)/ldap.txt; \
	fi
	touch $@

$(TOOLS)/.done: $(PINS)/tools.txt | $(BIN)/python
	$(BIN)/python -m venv $(TOOLS)
	$(TOOLS)/bin/python $(INSTALL) --require-hashes -r $(PINS)/tools.txt
	touch $@

tests/issuer/node_modules/.package-lock.json: tests/issuer/package-lock.json $(VENV)/.real
	$(BIN)/python -m tests.issuer.install

tests/clients/dist/javakdb.jar: tests/clients/package-lock.json $(PINS)/javakdb.sha512 $(VENV)/.real
	$(BIN)/python -m tests.clients.install

$(KEYCLOAK): $(PINS)/keycloak.sha512 | $(VENV)/.real
	$(BIN)/python -m tests.keycloak.install

# Recaudo's commands. `make` alone lists them.
#
#   PYTHON=python3.12 make demo        with another Python (3.11 or newer)
#   make test ARGS="tests/domain -x"   with options for pytest

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --no-input
ARGS   ?=
CORES  := $(or $(shell getconf _NPROCESSORS_ONLN 2>/dev/null),2)

# Many tests wait for something, so three processes keep two processors busy; more than four are no faster.
TEST_PROCESSES ?= $(shell processes=$$(( $(CORES) + ($(CORES) + 1) / 2 )); echo $$(( processes < 4 ? processes : 4 )))

# The browser that the page tests drive. The tests look in the same places.
CHROMIUM := $(or $(RECAUDO_TEST_CHROMIUM),$(firstword \
	$(wildcard /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome)))

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo demo-gateways storm crash simulate fuzz audit test test-bench lint format bench lock clean check-browser

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(VENV)/.run ## install what the server needs into .venv

setup-dev: $(VENV)/.dev ## the same, and what the tests and checks need

demo: setup ## start a server with a demo merchant on http://127.0.0.1:8000
	@$(BIN)/recaudo demo

demo-gateways: setup ## the same, with fakes of Wompi and Mercado Pago to pay through
	@$(BIN)/python -m tests.fakes.demo

storm: setup-dev ## 10,000 payments with trouble at every step (ARGS="--payments 500 --seed 3")
	@$(BIN)/python -m tests.gateways.storm $(ARGS)

crash: setup-dev ## load while server, worker and PostgreSQL are killed at random (ARGS="--seconds 300 --seed 3")
	@$(BIN)/python -m tests.crash $(ARGS)

simulate: setup ## 2,000 made-up worlds in which everything fails (ARGS="--seeds 1-200 --steps 60")
	@$(BIN)/recaudo simulate --seeds 1-2000 --processes $(CORES) $(ARGS)

fuzz: setup-dev ## requests made from the documents and from bytes, for long (ARGS="--examples 500 --seed 3")
	@$(BIN)/python -m tests.fuzzing.documents $(ARGS)
	@RECAUDO_FUZZ_TIMES=20 $(BIN)/python -m pytest tests/fuzzing --deselect tests/fuzzing/test_documents.py --timeout 3600

test: setup-dev check-browser ## run every test (ARGS="..." goes to pytest)
	@$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

test-bench: setup-dev ## run every bench for a moment, to see that it runs and counts right
	@$(BIN)/python -m pytest -m bench tests/bench $(ARGS)

lint: setup-dev ## check style, types and the layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright
	$(BIN)/lint-imports
	@$(BIN)/python tools/audit.py requirements.lock requirements-dev.lock

audit: setup-dev ## the part of lint that asks for advisories about the locked packages, and insists on an answer
	@RECAUDO_AUDIT_STRICT=1 $(BIN)/python tools/audit.py requirements.lock requirements-dev.lock

format: setup-dev ## rewrite the code in the project's style
	$(BIN)/ruff check --fix-only --exit-zero
	$(BIN)/ruff format

bench: setup-dev ## measure speed; bench/README.md explains the figures
	@$(BIN)/python -m bench $(ARGS)

lock: ## write the lock files from pyproject.toml (ARGS="--upgrade" for newer releases)
	@PYTHON=$(PYTHON) tools/lock.sh $(ARGS)

clean: ## remove .venv and everything generated; your data in .recaudo stays
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# Each stamp says that .venv holds what its lock file asks for, and is older than the lock when it no longer does.
# pip checks the hash of every file it installs, the build backend's among them, and builds with nothing else.

$(VENV)/.run: $(BIN)/python requirements.lock pyproject.toml
	@echo "Installing the pinned packages into $(VENV) (about half a minute the first time)"
	@$(PIP) install --quiet --require-hashes -r requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@echo "Installing the packages for tests and checks into $(VENV)"
	@$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "Recaudo needs Python 3.11 or newer, and there is no '$(PYTHON)' here." >&2; \
		echo "Install it, or name yours: make PYTHON=/path/to/python3.12 setup" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Recaudo needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Name a newer one: make PYTHON=python3.12 setup" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "This Python cannot make virtual environments: its venv module is missing." >&2; \
		echo "On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)

# Without a browser the page tests are skipped, with this notice. In CI nothing may be skipped, so that is an error.
check-browser:
	@test -x "$(CHROMIUM)" || { \
		echo "No Chromium found: the page tests are skipped here, and fail where CI=true." >&2; \
		echo "On Debian: apt-get install chromium. Elsewhere: RECAUDO_TEST_CHROMIUM=/path/to/chromium make test" >&2; \
		test "$$CI" != true; }

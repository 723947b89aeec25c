# genesis: `make demo` and `make test` set everything up by themselves.
# Needed on the machine: Python 3.11 with venv, pip, make, gcc.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# Every worker imports the same packages: compiled files save each of them seconds.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help demo chain test test-slow lint format bench lock clean setup setup-demo

PYTHON ?= $(shell for p in python3.11 python3 python; do \
	if command -v $$p >/dev/null 2>&1 && \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; \
	then command -v $$p; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
DEV := $(VENV)/.dev-installed
RESEARCH := $(VENV)/.research-installed
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q
# Setuptools is in the lock, so the package itself needs nothing from outside.
PACKAGE := $(PIP) --no-deps --no-build-isolation --editable .
UV ?= $(shell command -v uv || echo uvx uv)
COMPILE := $(UV) pip compile -q pyproject.toml --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "error: no Python 3.11 found (looked for python3.11, python3, python)" >&2; \
		echo "fix:   install it, or say where it is: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
		exit 2; fi
	@if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "error: $(PYTHON) cannot create virtual environments" >&2; \
		echo "fix:   install its venv module (Debian: apt-get install python3.11-venv)" >&2; \
		exit 2; fi
	"$(PYTHON)" -m venv $(VENV)

# The development lock contains the research lock, so the first target that ran decides once.
$(DEV): requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "installing requirements/dev.txt (several minutes the first time)"
	$(PIP) --require-hashes -r requirements/dev.txt
	$(PACKAGE)
	@touch $(RESEARCH) $@

$(RESEARCH): requirements/research.txt pyproject.toml | $(BIN)/python
	@echo "installing requirements/research.txt (a few minutes the first time)"
	$(PIP) --require-hashes -r requirements/research.txt
	$(PACKAGE)
	@touch $@

setup: $(DEV) ## Install everything into .venv.

setup-demo: $(RESEARCH) ## Install what research needs into .venv, without test tools.

demo: $(RESEARCH) ## Breed strategies on a synthetic market, in under a minute.
	$(BIN)/genesis demo

chain: $(RESEARCH) ## From a market to a killed live run on a local exchange (under 10 minutes).
	$(BIN)/python experiments/chain/chain.py

test: $(DEV) ## Fast tests (under 15 minutes on two cores).
	$(BIN)/python -m pytest -q -ra

test-slow: $(DEV) ## Kills, clusters, pages and the demo.
	$(BIN)/python -m pytest -q -ra -m slow --timeout 900

lint: $(DEV) ## ruff, mypy --strict, import contracts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict genesis
	$(BIN)/lint-imports

format: $(DEV) ## Let ruff rewrite the sources.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV) ## Every figure of the project, hours in all; one JSON object each.
	@status=0; for script in $$(grep -l __main__ benchmarks/*.py); do \
		echo "== $$script"; $(BIN)/python $$script || status=1; done; exit $$status

lock: ## Write requirements/*.txt anew (needs uv).
	$(COMPILE) --extra research --extra ccxt --extra dev --extra build -o requirements/dev.txt
	$(COMPILE) --extra research --extra build -c requirements/dev.txt -o requirements/research.txt
	$(COMPILE) -c requirements/dev.txt -o requirements/base.txt

clean: ## Remove the environment and every cache; keeps .genesis.
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

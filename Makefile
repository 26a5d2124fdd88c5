# Every target installs what it needs into .venv; Python 3.11 is all a machine must bring. The pip it brings is renewed
# first: that of 3.11 takes twice as long to resolve.
PYTHON ?= python3
BIN := .venv/bin
# What was compiled once is kept, whatever the machine says of it: every process a test starts would do it again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help install run test check conformance bench crash elm mutants policies valuesets hostile validation

help:  ## This list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: .venv/installed  ## Install the server into .venv

.venv/installed: pyproject.toml
	$(PYTHON) -m venv --upgrade-deps .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/tester: pyproject.toml
	$(PYTHON) -m venv --upgrade-deps .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e '.[test]'
	@touch .venv/installed $@

.venv/developer: .venv/tester
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

run: install  ## Serve on HOST:PORT (127.0.0.1:8080)
	$(BIN)/davinci-payer serve

test: .venv/tester  ## Every test, on every core
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

check: .venv/developer  ## Format, lint, types, arrows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_arrows.py

conformance: .venv/tester  ## What the tests make the server emit, held to the official validator
	$(BIN)/python -m tests.conformance

crash: .venv/tester  ## Kill the server a hundred times on each database, then balance the books
	$(BIN)/python -W ignore -m tests.crash

hostile: .venv/tester  ## Ten thousand mistreated requests, token attacks and the OpenAPI sent at random (COUNT, SEED)
	$(BIN)/python -m pytest tests/hostile tests/security
	$(BIN)/python -W ignore -m tests.hostile.siege --count $(or $(COUNT),10000) $(if $(SEED),--seed $(SEED))

validation: .venv/tester  ## Our profile validator beside the official one: remakes docs/validation.md
	$(BIN)/python -W ignore -m tests.validation.comparison --write docs/validation.md

bench: .venv/tester  ## How fast it is: medians and ratios of one run
	$(BIN)/python -m tests.bench

valuesets: .venv/tester  ## Value sets from the lists in cql/valuesets/source
	$(BIN)/python cql/valuesets/build.py

elm: install  ## Translate cql/*.cql, the plans' values among them (needs Node)
	$(BIN)/python cql/benefit-managers/build.py
	cd cql/translate && npm install --no-package-lock --no-audit --no-fund --silent && npm run --silent elm

mutants: .venv/tester  ## Do the cases notice a changed rule? SAMPLE=300 for a part
	$(BIN)/python -m tests.mutants --sample $(or $(SAMPLE),0)

policies: install  ## docs/policies.md from the policy data
	$(BIN)/davinci-payer policy docs > docs/policies.md

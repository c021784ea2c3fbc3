# The two commands are `make demo` and `make test`; both build .venv when it is missing or stale.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types unit clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   the whole life of a migration, on an embedded PostgreSQL, with the reference app under load"
	@echo "make test   lint, types, layers and the whole test suite, against a real PostgreSQL"

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/shadow demo $(DEMO_ARGS)

test: lint types unit

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(VENV)/.installed
	$(BIN)/mypy

unit: $(VENV)/.installed
	@dashboards/ensure-prometheus.sh
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info

# Two commands do everything on a fresh machine with python3 (venv) and make:
#   make demo   sets up, then runs CFT on images with hidden labels
#   make test   sets up, then runs the tests

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test setup lint types doctest benchmark clean

demo: setup
	$(BIN)/cftlearn demo $(DEMO)

test: setup
	$(BIN)/pytest -n 2 $(PYTEST)

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[tests,lint]" --constraint constraints.txt
	touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

doctest: setup
	$(BIN)/pytest --doctest-modules cftlearn
	$(BIN)/pytest --doctest-glob="*.md" README.md

clean:
	rm -rf $(VENV)

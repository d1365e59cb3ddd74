# Two commands do everything on a fresh machine with python3 (venv) and make:
#   make demo   sets up, then runs CFT on images with hidden labels
#   make test   sets up, then runs the tests
# `make gpu` runs the tests that need a CUDA GPU, and measures what cftlearn does on one,
# and `make docs` builds the documentation in docs/_build/html, without network once its
# packages are there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DOCS_INSTALLED := $(VENV)/.installed-docs
PAGES := README.md $(wildcard docs/*.md docs/user_guide/*.md)

MUTANTS ?= --share 0.2

FUZZ ?= --n 500
FUZZERS := models labels configurations images
FAULTS ?= --n 100

.PHONY: demo test gpu mutants fuzz faults test-floors test-newest test-bare
.PHONY: setup lint types doctest docs wheel clean

demo: setup
	$(BIN)/cftlearn demo $(DEMO)

test: setup
	$(BIN)/pytest -n 2 $(PYTEST)

gpu: setup
	$(BIN)/python benchmarks/gpu.py $(GPU)

# Changes the code in small ways, and fails if the tests notice too few of them.
mutants: setup
	$(BIN)/python benchmarks/mutants.py $(MUTANTS)

# Reads damaged and odd models, label files, configurations and images. The tests have a
# short form of it; `make fuzz FUZZ="--n 20000 --seed 1"` takes longer.
fuzz: setup
	for what in $(FUZZERS); do $(BIN)/python benchmarks/fuzz_$$what.py $(FUZZ) || exit 1; done

# Kills processes that write, and interrupts fits: `make faults FAULTS="--n 5000"`.
faults: setup
	$(BIN)/python benchmarks/faults.py $(FAULTS)
	$(BIN)/python benchmarks/faults_fits.py $(FAULTS)

# The tests with the oldest versions that pyproject.toml allows, with the newest that
# there are, and without any extra. Each takes an environment of its own below build/.
test-floors: setup
	$(PYTHON) -m venv build/floors
	$(BIN)/uv pip install --quiet --python build/floors/bin/python \
	    --resolution lowest-direct --editable ".[tests]"
	build/floors/bin/pytest -n 2 $(PYTEST)

test-newest:
	$(PYTHON) -m venv build/newest
	build/newest/bin/python -m pip install --quiet --upgrade --editable ".[tests]"
	build/newest/bin/pytest -n 2 $(PYTEST)

test-bare: setup
	$(PYTHON) -m venv build/bare
	build/bare/bin/python -m pip install --quiet --editable . hypothesis pytest \
	    pytest-xdist --constraint constraints.txt
	build/bare/bin/pytest -n 2 $(PYTEST)

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
	$(BIN)/pytest --doctest-glob="*.md" $(PAGES)

docs: $(DOCS_INSTALLED)
	$(BIN)/sphinx-build -W -n --keep-going -q -b html docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable ".[docs]" --constraint constraints.txt
	touch $@

# Builds wheel and sdist, installs the wheel without extras into an empty environment,
# and uses it there.
wheel: setup
	rm -rf dist build/clean
	$(BIN)/python -m build --outdir dist
	$(PYTHON) -m venv build/clean
	build/clean/bin/python -m pip install --quiet dist/*.whl --constraint constraints.txt
	cd build && clean/bin/python ../tests/use_installed.py

clean:
	rm -rf $(VENV) docs/_build docs/_generated docs/api docs/gallery

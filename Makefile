# `make demo` and `make test` set everything up themselves: an empty clone needs only Python 3.11 and a network.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

.PHONY: help demo test test-fast test-long coverage lint format bench docs notebooks man clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

$(VENV)/.core: pyproject.toml constraints.txt setup.py $(wildcard native/*)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	$(BIN)/python -m compileall -q aezip  # where Python may not keep what it compiles, each command would take 0.3 s longer
	touch $@

$(VENV)/.test: $(VENV)/.core
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

$(VENV)/.bench: $(VENV)/.core
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[bench]'
	touch $@

$(VENV)/.docs: $(VENV)/.core
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

$(VENV)/.notebooks: $(VENV)/.core
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[notebooks]'
	touch $@

demo: $(VENV)/.core  ## set up, and do the whole job on a small real data set
	$(BIN)/aezip demo

test: $(VENV)/.test  ## set up, and run the tests: some ten minutes on two cores
	$(PYTEST)

test-fast: $(VENV)/.test  ## the tests that neither train nor start processes: a minute
	$(PYTEST) -m "not train and not process and not long"

test-long: $(VENV)/.test  ## all tests, those included that take minutes to hours
	$(BIN)/python -m pytest --run-long

coverage: $(VENV)/.test  ## run the tests and tell which lines they do not reach
	$(PYTEST) --cov=aezip --cov-report=term-missing:skip-covered --cov-report=html --cov-fail-under=95

lint: $(VENV)/.test  ## ruff and mypy
	$(BIN)/ruff check aezip tests benchmarks tools
	$(BIN)/ruff format --check aezip tests benchmarks tools
	$(BIN)/mypy --strict aezip benchmarks

format: $(VENV)/.test  ## put the source into the one form
	$(BIN)/ruff check --fix aezip tests benchmarks tools
	$(BIN)/ruff format aezip tests benchmarks tools

bench: $(VENV)/.bench  ## compare with other codecs; needs the data sets of AEZIP_DATA
	$(BIN)/python -m benchmarks

docs: $(VENV)/.docs  ## build the documentation site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

notebooks: $(VENV)/.notebooks  ## run the notebooks of docs/notebooks in place: two minutes
	$(BIN)/python -m tools.notebooks

man: $(VENV)/.core  ## the manual pages, in build/man
	$(BIN)/python -m tools.man build/man

clean:  ## remove what was built
	rm -rf $(VENV) build dist htmlcov site *.egg-info

# `make demo` and `make test` set everything up themselves: an empty clone needs only Python 3.11 and a network.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-long lint bench clean

$(VENV)/.core: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.test: $(VENV)/.core
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

$(VENV)/.bench: $(VENV)/.core
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[bench]'
	touch $@

demo: $(VENV)/.core
	$(BIN)/aezip demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -n auto --dist worksteal

test-long: $(VENV)/.test
	$(BIN)/python -m pytest --run-long

lint: $(VENV)/.test
	$(BIN)/ruff check aezip tests benchmarks
	$(BIN)/mypy --strict aezip benchmarks

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist *.egg-info

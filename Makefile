# The commands of development. `make test-all` is what CI runs; `make check` is the quick round before a commit.
VENV ?= .venv
PYTHON = $(VENV)/bin/python

.PHONY: setup lint type check test test-all machine golden bench docs clean

setup: $(VENV)/.development ## make the virtual environment with the development tools

$(VENV)/.development: pyproject.toml
	./observability version >/dev/null
	$(PYTHON) -m pip install --quiet --editable '.[development]'
	touch $@

lint: setup ## style, types, floors
	$(VENV)/bin/ruff format --check src tests
	$(VENV)/bin/ruff check src tests
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

check: lint test ## everything cheap, under two minutes

test: setup ## tests that need neither root nor a booted machine
	$(PYTHON) -m pytest -q tests/unit tests/golden tests/property

test-all: setup ## everything, as CI runs it
	$(PYTHON) -m pytest tests

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
